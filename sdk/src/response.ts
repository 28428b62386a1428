export interface RateLimit {
  readonly limit: number
  readonly remaining: number
  readonly resetAt: Date
}

/** What is known about an answer beside its data. Headers are read only when asked for. */
export class CallResponse {
  readonly status: number
  readonly headers: Headers
  /** How many attempts this answer took. */
  readonly attempts: number
  /** The key that every attempt carried; undefined for reads. */
  readonly idempotencyKey: string | undefined

  constructor(response: Response, attempts: number, idempotencyKey: string | undefined) {
    this.status = response.status
    this.headers = response.headers
    this.attempts = attempts
    this.idempotencyKey = idempotencyKey
  }

  get requestId(): string | undefined {
    return requestIdOf(this.headers)
  }

  get rateLimit(): RateLimit | undefined {
    return rateLimitOf(this.headers)
  }
}

export const requestIdOf = (headers: Headers): string | undefined => headers.get('x-request-id') ?? undefined

export const rateLimitOf = (headers: Headers): RateLimit | undefined => {
  const [limit, remaining, reset] = ['limit', 'remaining', 'reset'].map((name) =>
    Number.parseInt(headers.get(`x-ratelimit-${name}`) ?? '', 10),
  )
  // NaN, from a missing or unreadable header, is falsy; so are zeros, which only `remaining` may be.
  return limit && reset && remaining !== undefined && remaining >= 0
    ? { limit, remaining, resetAt: new Date(reset * 1000) }
    : undefined
}

/** Weak, so that remembering an answer's headers never keeps its data alive. */
const responses = new WeakMap<object, CallResponse>()

export const remember = (data: unknown, response: CallResponse): void => {
  if (typeof data === 'object' && data !== null) responses.set(data, response)
}

/**
 * The status, headers, request id and rate limit of the answer that brought `data`; undefined when `data`
 * is not an object returned by a call (a copy is not it).
 */
export const responseOf = (data: object): CallResponse | undefined => responses.get(data)
