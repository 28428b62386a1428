import { fail, isOk, parseBody, parseJson, type Read } from './answer.ts'
import { type Client, toCall } from './core.ts'
import { NarrowError } from './error.ts'
import { serverWishMs } from './retry.ts'
import type { Call, RequestOptions } from './types.ts'

/**
 * Runs an action with an execution token (`sxt_…`) and gives what the upstream answered. An upstream answer
 * outside 2xx is thrown as `UpstreamResponseError` and never retried.
 */
export const execute = <Output = unknown>(
  client: Client,
  actionId: string,
  input: object = {},
  options?: RequestOptions,
): Call<Output> => {
  const name = 'x.execute'
  const path = '/x/{action_id}'
  return toCall(client.send({ name, method: 'POST', path, params: [actionId], input, options, read }))
}

/** The one operation that somebody else's API answers: any JSON, any text, or nothing. */
const read: Read = (answer, text, key) => {
  const { headers, ...facts } = answer
  // The first marks every refusal of ours, the second all that we pass on; what has neither, another one said.
  if (headers.has('x-narrowapi-error') || !headers.has('x-upstream-status')) return fail(answer, text, key)
  if (isOk(answer)) {
    const data = parseJson(text)
    if (data !== undefined) return data
    if (!text || !/json/.test(headers.get('content-type') ?? '')) return text || undefined
  }
  const message = `${facts.operation}: the upstream answered with ${facts.status}${isOk(answer) ? ' and broken JSON' : ''}`
  throw new NarrowError('UpstreamResponseError', 'upstream_response', message, {
    ...facts,
    requestId: answer.requestId,
    rateLimit: answer.rateLimit,
    retryAfterMs: serverWishMs(answer),
    body: parseBody(text, key),
    executionId: headers.get('x-execution-id') ?? undefined,
  })
}
