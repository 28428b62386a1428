import { NarrowError } from './error.ts'
import type { CallResponse } from './response.ts'
import { isRetryable, serverWishMs, toMs } from './retry.ts'

/** Takes the data from an answer, or throws it as an error, without the key that may stand in it. */
export type Read<Data = unknown> = (answer: CallResponse, text: string, key: string) => Data

/** What NarrowAPI answers with: an object, or nothing. */
export const readAnswer: Read<object | undefined> = (answer, text, key) => {
  const data = parseJson(text)
  if (answer.status === 204) return undefined
  return isOk(answer) && data instanceof Object ? data : fail(answer, text, key)
}

/** What any other answer is thrown as. */
export const fail: Read<never> = (answer, text, key) => {
  const { headers, ...facts } = answer
  const body = parseBody(text, key)
  // Text has none of these, and what else answers in the place of NarrowAPI may have any.
  const { error, message, details, request_id, retry_after_seconds }: ErrorBody = Object(body)
  const code = headers.get('x-narrowapi-error') ?? toText(error) ?? 'unexpected_response'
  const guess = `${facts.operation}: ${facts.status}, not by NarrowAPI; check baseUrl`
  throw new NarrowError('NarrowApiError', code, toText(message) ?? guess, {
    ...facts,
    // Browsers hide headers from other origins unless the server allows them; the body says the same.
    requestId: answer.requestId ?? toText(request_id),
    rateLimit: answer.rateLimit,
    retryAfterMs: serverWishMs(answer) ?? toMs(JSON.stringify(retry_after_seconds), 1000),
    body,
    details: [details ?? []].flat(),
    retryable: isRetryable(answer, code),
  })
}

const toText = (value: unknown) => (typeof value === 'string' ? value : undefined)

/** Whatever stands between may quote a request in its error. Too short a key could be any word of the text. */
export const parseBody = (text: string, key: string): unknown => {
  const scrubbed = key.length < 8 ? text : text.replaceAll(key, '[secret]')
  return parseJson(scrubbed) ?? scrubbed
}

/** Undefined, which no JSON text means, when the text is not JSON. */
export const parseJson = (text: string): unknown => {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

export const isOk = ({ status }: { readonly status: number }): boolean => /^2/.test(`${status}`)

interface ErrorBody {
  readonly error?: unknown
  readonly message?: unknown
  readonly details?: unknown
  readonly request_id?: unknown
  readonly retry_after_seconds?: unknown
}
