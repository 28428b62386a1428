import type { UpstreamFailure } from './egress-failure.ts'
import type { Retry, RetryCause } from './retry.ts'

/** Two calls that fail together should not come back together: full jitter, below a bound that doubles. */
const firstBackOffMs = 100
const maxBackOffMs = 5_000
/** A try with less time than this would most likely only turn a known failure into a timeout. */
const leastTryMs = 100

/** Why a failure lets the call be tried again, or null: it is not among the causes, or may have had an effect. */
export const causeOfFailure = ({ reason, sent }: UpstreamFailure, retry: Retry): RetryCause | null => {
  if (sent && !retry.mayRepeat) return null
  // A connection that was not made in time is one that was not made.
  const cause = reason === 'unreachable' || (reason === 'timeout' && !sent) ? 'connection' : reason
  return (cause === 'connection' || cause === 'timeout') && retry.on.has(cause) ? cause : null
}

export const causeOfStatus = (status: number, retry: Retry): RetryCause | null => {
  if (!retry.mayRepeat) return null
  for (const cause of statuses) if (status === Number(cause) && retry.on.has(cause)) return cause
  return null
}

const statuses = ['429', '502', '503', '504'] as const

/**
 * How long to wait before the next try, or null when it would come too late. What the upstream asks for is never
 * shortened; the jitter is added to it, because everybody who was turned away was told the same.
 */
export const waitMs = (
  { tries, askedMs, leftMs }: { tries: number; askedMs: number; leftMs: number },
  random: () => number,
): number | null => {
  const wait = askedMs + random() * Math.min(firstBackOffMs * 2 ** (tries - 1), maxBackOffMs)
  return wait + leastTryMs <= leftMs ? wait : null
}

/**
 * The deadline of one try. Where a timeout is tried again the tries share what is left, or the first would take
 * all of it.
 */
export const tryMs = (retry: Retry, tries: number, leftMs: number): number =>
  retry.mayRepeat && retry.on.has('timeout') ? leftMs / Math.max(1, retry.max + 2 - tries) : leftMs

type Headers = readonly (readonly [name: string, value: string])[]

/**
 * What Retry-After asks for, in milliseconds, or null when it is absent or unreadable (RFC 9110 section 10.2.3). A
 * date is compared with the upstream's own Date, which whoever can tell the one has to send.
 */
export const retryAfterMs = (headers: Headers): number | null => {
  const text = headerOf(headers, 'retry-after')
  if (text === undefined) return null
  if (/^\d{1,9}$/.test(text)) return Number(text) * 1000
  const [until, from] = [dateOf(text), dateOf(headerOf(headers, 'date'))]
  return until === null || from === null ? null : Math.max(0, until - from)
}

const headerOf = (headers: Headers, wanted: string): string | undefined =>
  headers.find(([name]) => name === wanted)?.[1].trim()

/** Only the form that is written today: `Date.parse` takes almost any text for a date. */
const dateOf = (text: string | undefined): number | null => {
  const date = new Date(text ?? '')
  return date.toUTCString() === text ? date.getTime() : null
}
