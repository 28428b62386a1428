import {
  type CallContext,
  type ErrorDetail,
  NarrowApiError,
  type NarrowResponseError,
  UpstreamResponseError,
} from './errors.ts'
import { isRetryable, serverWishMs } from './retry.ts'
import type { Route } from './types.ts'

/** What a 2xx answer brought: JSON, nothing, or in the case of an upstream any text. */
export const toData = (
  route: Route,
  { status, headers }: Response,
  text: string,
  context: CallContext,
): unknown => {
  const data = parseJson(text)
  if (route.paged ? isList(data) : data !== undefined) return data
  if (text === '' && !route.paged) return undefined
  if (context.operation === EXECUTE) return text
  // NarrowAPI sends neither, so something else answered in its place.
  const message = `The answer to ${context.operation} is not what NarrowAPI sends; check baseUrl`
  const answer = { status, headers, body: text, retryAfterMs: undefined, retryable: false, details: [] }
  throw new NarrowApiError('unexpected_response', message, context, answer)
}

/** What any other answer is thrown as. */
export const toError = (
  { status, headers }: Response,
  text: string,
  context: CallContext,
): NarrowResponseError => {
  const parsed = parseJson(text)
  const refusal = headers.get('x-narrowapi-error')
  const answer = { status, headers, body: parsed ?? text, retryAfterMs: serverWishMs(status, headers) }
  // Every refusal of ours carries that header on this route; what does not carry it, the upstream said.
  if (context.operation === EXECUTE && refusal === null) return new UpstreamResponseError(context, answer)

  const body: ErrorBody = parsed ?? {}
  const code = refusal ?? (typeof body.error === 'string' ? body.error : 'unexpected_response')
  const message =
    typeof body.message === 'string' ? body.message : `${context.operation} was answered with ${status}`
  return new NarrowApiError(code, message, context, {
    ...answer,
    retryable: isRetryable(status, headers, code),
    // In the contract's error body this is a list of field and message.
    details: Array.isArray(body.details) ? (body.details as ErrorDetail[]) : [],
    // Browsers hide headers from other origins unless the server allows them; the body says the same.
    requestId: typeof body.request_id === 'string' ? body.request_id : undefined,
    retryAfterMs:
      answer.retryAfterMs ??
      (typeof body.retry_after_seconds === 'number' ? body.retry_after_seconds * 1000 : undefined),
  })
}

/** Whatever stands between may quote a request in its error. Too short a key could be any word of the text. */
export const withoutKey = (text: string, key: string): string =>
  key.length < 8 ? text : text.replaceAll(key, '[secret]')

interface ErrorBody {
  readonly error?: unknown
  readonly message?: unknown
  readonly details?: unknown
  readonly request_id?: unknown
  readonly retry_after_seconds?: unknown
}

const isList = (value: unknown): boolean =>
  Array.isArray((value as { readonly data?: unknown } | null | undefined)?.data)

/** Undefined, which no JSON text means, when the text is not JSON. */
const parseJson = (text: string): unknown => {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

/** The one operation that is answered by somebody else's API. */
const EXECUTE = 'x.execute'
