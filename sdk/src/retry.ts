import { retryableCodes } from './generated/errors.ts'

interface Answer {
  readonly status: number
  readonly headers: Headers
}

/**
 * Whether an answer outside 2xx may be asked for again. `x-should-retry` is the server's last word. Where the
 * server names the code in a header, or says 409, the registry decides, because one status can mean both (409
 * `idempotency_in_progress` passes, 409 `in_use` stays; 503 `unavailable` passes, 504 `upstream_timeout` is the
 * recorded outcome of an execution). Everything else goes by its status.
 */
export const isRetryable = ({ status, headers }: Answer, code: string): boolean => {
  const wish = headers.get('x-should-retry')
  if (wish) return wish === 'true'
  return status === 409 || headers.has('x-narrowapi-error')
    ? (retryableCodes as readonly string[]).includes(code)
    : /^(408|42[59]|5(?!01))/.test(`${status}`)
}

/**
 * How long the server asks to wait, in milliseconds, from the most exact header that is present and readable.
 * A date is compared with the server's own clock where the answer tells it, so a wrong clock on this side
 * neither shortens nor lengthens the wait.
 */
export const serverWishMs = ({ status, headers }: Answer, now = Date.now()): number | undefined => {
  const after = headers.get('retry-after')
  const from = toDateMs(headers.get('date')) ?? now
  const until = toDateMs(after)
  return (
    toMs(headers.get('retry-after-ms'), 1) ??
    toMs(after, 1000) ??
    (until ? Math.max(0, until - from) : undefined) ??
    // Every answer carries RateLimit; only a refusal for that reason asks anybody to wait for its reset.
    (status === 429 ? resetMs(headers.get('ratelimit')) : undefined)
  )
}

/** Full jitter spreads the clients that failed together; it is never applied to a server's wish. */
export const backOffMs = (attempt: number, random = Math.random): number =>
  random() * Math.min(500 * 2 ** (attempt - 1), 8000)

export const toMs = (text: string | null | undefined, unitMs: number): number | undefined =>
  /^\d+(\.\d+)?$/.test(`${text}`) ? Number(text) * unitMs : undefined

/** Strict (RFC 9110, IMF-fixdate): `Date.parse` alone would take almost any text for a date. */
const toDateMs = (text: string | null): number | undefined => {
  const date = new Date(text ?? '')
  return date.toUTCString() === text ? date.getTime() : undefined
}

/** `"default";r=0;t=30, "quota";r=12;t=9000`: the latest reset among the policies with nothing remaining. */
const resetMs = (rateLimit: string | null): number | undefined =>
  Math.max(
    ...`${rateLimit}`
      .split(',')
      .map((policy) => (/;\s*r=0(?!\d)/.test(policy) ? Number(/;\s*t=(\d+)/.exec(policy)?.[1] ?? 0) : 0)),
  ) * 1000 || undefined
