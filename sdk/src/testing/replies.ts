import { apiError, MockApiError } from './api-error.ts'
import type { State } from './state.ts'

/**
 * Does it for the first request with a key and repeats the answer to later ones. A refusal keeps nothing, so a
 * corrected request may use its key again; `keepsError` says which errors are answers nevertheless.
 */
export const once = async (
  { replies }: State,
  { name, body }: { name: string; body: string },
  headers: Headers,
  work: () => Promise<Response>,
  keepsError: (error: MockApiError) => boolean,
): Promise<Response> => {
  const known = replies.get(name)
  if (known) {
    if (known.body !== body) {
      throw apiError('idempotency_key_reused', {
        message: 'This Idempotency-Key belongs to another request body; use a new key',
      })
    }
    if (!known.answer) {
      throw apiError('idempotency_in_progress', {
        message: 'The first request with this key is still running',
        retry_after_seconds: 1,
      })
    }
    headers.set('idempotent-replayed', 'true')
    const { status, headers: kept, text, error } = known.answer
    for (const [header, value] of kept) headers.set(header, value)
    // Told anew, with the request id of the one who asks again.
    if (error) throw error
    return new Response(text, { status, headers })
  }
  replies.set(name, { body })
  try {
    const response = await work()
    const text = response.body === null ? null : await response.clone().text()
    replies.set(name, { body, answer: { status: response.status, headers: keptOf(headers), text } })
    return response
  } catch (error) {
    if (error instanceof MockApiError && keepsError(error))
      replies.set(name, {
        body,
        answer: { status: error.status, headers: keptOf(headers), text: null, error },
      })
    else replies.delete(name)
    throw error
  }
}

/** What of an answer is told again. */
const keptOf = (headers: Headers): [string, string][] => [...headers].filter(([name]) => KEPT.has(name))

const KEPT = new Set([
  'content-security-policy',
  'content-type',
  'etag',
  'location',
  'x-execution-id',
  'x-upstream-status',
])
