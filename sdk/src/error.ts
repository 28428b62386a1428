import type { ErrorCode } from './generated/errors.ts'

/** Codes of failures that did not come from NarrowAPI as an error body. */
export type ClientErrorCode =
  | 'timeout'
  | 'connection_failed'
  | 'aborted'
  | 'invalid_usage'
  | 'upstream_response'
  | 'unexpected_response'
  | 'response_too_large'

/** Open: a newer server may send codes that this version does not know. */
export type NarrowErrorCode = ErrorCode | ClientErrorCode | (string & {})

/** What every error knows about the call it ended. */
export interface CallContext {
  /** For example `actions.create`. */
  readonly operation: string
  /** How many attempts were made, this one included. */
  readonly attempts: number
  /** The key all of them carried; undefined for reads. */
  readonly idempotencyKey: string | undefined
}

/** How many requests may still be made, as of an answer. */
export interface RateLimit {
  /** How many requests the window allows. */
  readonly limit: number
  /** How many of them are left. */
  readonly remaining: number
  /** When the next window begins. */
  readonly resetAt: Date
}

/** Registered, so that the errors of one installed copy of this package are known to every other. */
const BRAND: unique symbol = Symbol.for('@narrowapi/sdk/error') as never

/**
 * Everything a call can be rejected with, except what the caller's own functions throw. Those in errors.ts are
 * questions for `instanceof`, answered by what an error holds: so they work between two copies of this
 * package, and a bundle has only those that its program asks.
 */
export class NarrowError extends Error {
  /** What `instanceof` asks of an error of this package. */
  static is(_: NarrowError): boolean {
    return true
  }

  static override [Symbol.hasInstance](value: unknown): boolean {
    // A subclass made outside this file asks nothing and is recognised in the ordinary way.
    // biome-ignore lint/complexity/noThisInStatic: which subclass is asked decides the answer
    if (!Object.hasOwn(this, 'is')) return super[Symbol.hasInstance](value)
    // biome-ignore lint/complexity/noThisInStatic: as above
    return Object(value)[BRAND] && this.is(value as NarrowError)
  }

  /** Decide by this; it never changes its meaning. */
  declare readonly code: NarrowErrorCode
  /** Whether the same call may succeed later without being changed. */
  declare readonly retryable: boolean
  /** For example `actions.create`. */
  declare readonly operation: string
  /** How many attempts were made, this failure included. */
  declare readonly attempts: number
  /** The key of this call; pass it to the same call after a crash to resume instead of repeating. */
  declare readonly idempotencyKey: string | undefined
  /** The HTTP status, if there was an answer; so are the next three. */
  declare readonly status: number | undefined
  /** Quote it when you ask for help. */
  declare readonly requestId: string | undefined
  /** How long the server asked to wait, in milliseconds. */
  declare readonly retryAfterMs: number | undefined
  /** The request rate as of the failed answer. */
  declare readonly rateLimit: RateLimit | undefined

  /** @internal `facts` become the error's own fields, `cause` among them. */
  constructor(
    name: string,
    code: NarrowErrorCode,
    message: string,
    facts: Omit<CallContext, 'idempotencyKey'> & ErrorOptions & { readonly [fact: string]: unknown },
  ) {
    super(message, facts)
    Object.assign(this, { name, code, retryable: false }, facts)
  }

  /** @internal */
  get [BRAND](): true {
    return true
  }

  /** For logs. Leaves out the cause and bodies, which may hold what must not be logged. */
  toJSON(): Record<string, unknown> {
    return { ...(this as object), message: this.message, body: undefined }
  }
}

/** @internal */
export const usageError = (message: string, operation: string, facts?: ErrorOptions): NarrowError =>
  new NarrowError('NarrowUsageError', 'invalid_usage', `${operation}: ${message}`, {
    operation,
    attempts: 0,
    ...facts,
  })
