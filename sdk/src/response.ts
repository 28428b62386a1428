import type { CallContext, RateLimit } from './error.ts'

export type { RateLimit }

/** What is known about an answer beside its data. Headers are read only when asked for. */
export interface CallResponse extends CallContext {
  /** The HTTP status. */
  readonly status: number
  /** All headers that the runtime lets a program read. */
  readonly headers: Headers
  /** Quote it when you ask for help. */
  readonly requestId: string | undefined
  /** The request rate; undefined when the answer does not tell it. */
  readonly rateLimit: RateLimit | undefined
}

/** A class, since an engine takes long to give back the memory of an object with getters of its own. */
export class AnsweredCall implements CallResponse {
  declare readonly operation: string
  declare readonly attempts: number
  declare readonly idempotencyKey: string | undefined
  declare readonly status: number
  declare readonly headers: Headers

  constructor({ status, headers }: Pick<Response, 'status' | 'headers'>, context: CallContext) {
    Object.assign(this, context, { status, headers })
  }

  get requestId(): string | undefined {
    return this.headers.get('x-request-id') ?? undefined
  }

  get rateLimit(): RateLimit | undefined {
    const read = (name: string) => Number(this.headers.get(`x-ratelimit-${name}`))
    const [limit, reset] = [read('limit'), read('reset') * 1000]
    return limit && reset ? { limit, remaining: read('remaining'), resetAt: new Date(reset) } : undefined
  }
}

/** Out of sight of comparisons, copies and `JSON.stringify`. A WeakMap would cost more than the rest of a call. */
const RESPONSE = Symbol()

export const remember = (data: unknown, value: CallResponse): void => {
  // What is no object, such as the text of an upstream, cannot hold it; its wrapper is lost at once.
  Object.defineProperty(Object(data), RESPONSE, { value })
}

/**
 * The status, headers, request id and rate limit of the answer that brought `data`; undefined when `data`
 * is not an object returned by a call (a copy is not it).
 */
export const responseOf = (data: object): CallResponse | undefined =>
  (data as { [RESPONSE]?: CallResponse })[RESPONSE]
