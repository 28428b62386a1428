import { retryableCodes } from './generated/errors.ts'

/**
 * Whether an answer outside 2xx may be asked for again. `x-should-retry` is the server's last word. Where the
 * server names the code in a header, or says 409, the contract's table decides, because one status can mean
 * both (409 `idempotency_in_progress` passes, 409 `in_use` stays; 503 `unavailable` passes, 504
 * `upstream_timeout` is the recorded outcome of an execution). Everything else goes by its status.
 */
export const isRetryable = (status: number, headers: Headers, code: string): boolean => {
  const wish = headers.get('x-should-retry')
  if (wish === 'true' || wish === 'false') return wish === 'true'
  if (status === 409 || headers.has('x-narrowapi-error')) {
    return (retryableCodes as readonly string[]).includes(code)
  }
  return status === 408 || status === 425 || status === 429 || (status >= 500 && status !== 501)
}

/**
 * How long the server asks to wait, in milliseconds, from the most exact header that is present and readable.
 * A date is compared with the server's own clock where the answer tells it, so a wrong clock on this side
 * neither shortens nor lengthens the wait.
 */
export const serverWishMs = (status: number, headers: Headers, now = Date.now()): number | undefined => {
  const exact = headers.get('retry-after-ms')
  if (exact !== null && NUMBER.test(exact)) return Number(exact)
  const after = headers.get('retry-after')
  if (after !== null && NUMBER.test(after)) return Number(after) * 1000
  if (after !== null && HTTP_DATE.test(after)) {
    const serverNow = headers.get('date')
    const from = serverNow !== null && HTTP_DATE.test(serverNow) ? Date.parse(serverNow) : now
    return Math.max(0, Date.parse(after) - from)
  }
  // Every answer carries RateLimit; only a refusal for that reason asks anybody to wait for its reset.
  return status === 429 ? resetMs(headers.get('ratelimit') ?? '') : undefined
}

/** Full jitter spreads the clients that failed together; it is never applied to a server's wish. */
export const backOffMs = (attempt: number, random = Math.random): number =>
  random() * Math.min(500 * 2 ** (attempt - 1), 8000)

/** `"default";r=0;t=30, "quota";r=12;t=9000`: the latest reset among the policies with nothing remaining. */
const resetMs = (rateLimit: string): number | undefined => {
  const resets = rateLimit.split(',').flatMap((policy) => {
    const seconds = /;\s*t=(\d+)/.exec(policy)?.[1]
    return seconds !== undefined && /;\s*r=0(?!\d)/.test(policy) ? [Number(seconds) * 1000] : []
  })
  return resets.length > 0 ? Math.max(...resets) : undefined
}

const NUMBER = /^\d+(\.\d+)?$/
/** Strict (RFC 9110, IMF-fixdate): `Date.parse` alone would take almost any text for a date. */
const HTTP_DATE = /^[A-Z][a-z]{2}, \d\d [A-Z][a-z]{2} \d{4} \d\d:\d\d:\d\d GMT$/
