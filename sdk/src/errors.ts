import type { ErrorCode } from './generated/errors.ts'
import { type RateLimit, rateLimitOf, requestIdOf } from './response.ts'

/** Codes of failures that did not come from NarrowAPI as an error body. */
export type ClientErrorCode =
  | 'timeout'
  | 'connection_failed'
  | 'aborted'
  | 'invalid_usage'
  | 'upstream_response'
  | 'unexpected_response'

/** Open: a newer server may send codes that this version does not know. */
export type NarrowErrorCode = ErrorCode | ClientErrorCode | (string & {})

/** What every error knows about the call it ended. */
export interface CallContext {
  /** For example `actions.create`. */
  readonly operation: string
  readonly attempts: number
  readonly idempotencyKey: string | undefined
}

/**
 * Where a class stands in the tree below, written as a path. Kept under a registered symbol, so that
 * `instanceof` holds between two installed copies of this package.
 */
const KIND: unique symbol = Symbol.for('@narrowapi/sdk/error') as never

/** Everything a call can be rejected with, except what the caller's own functions throw. */
export class NarrowError extends Error {
  static readonly [KIND]: string = 'error'

  static override [Symbol.hasInstance](value: unknown): boolean {
    // A subclass made outside this file has no kind of its own and is recognised in the ordinary way.
    // biome-ignore lint/complexity/noThisInStatic: as above, the subclass matters
    if (!Object.hasOwn(this, KIND)) return Function.prototype[Symbol.hasInstance].call(this, value)
    const kind = (value as { [KIND]?: unknown } | null | undefined)?.[KIND]
    // biome-ignore lint/complexity/noThisInStatic: which subclass is asked decides the answer
    return typeof kind === 'string' && `${kind}/`.startsWith(`${this[KIND]}/`)
  }

  readonly code: NarrowErrorCode
  /** Whether the same call may succeed later without being changed. */
  readonly retryable: boolean
  readonly operation: string
  /** How many attempts were made, this failure included. */
  readonly attempts: number
  /** The key of this call; pass it to the same call after a crash to resume instead of repeating. */
  readonly idempotencyKey: string | undefined

  constructor(
    name: string,
    code: NarrowErrorCode,
    message: string,
    context: CallContext,
    options: { retryable?: boolean; cause?: unknown } = {},
  ) {
    super(message, 'cause' in options ? { cause: options.cause } : undefined)
    this.name = name
    this.code = code
    this.retryable = options.retryable ?? false
    this.operation = context.operation
    this.attempts = context.attempts
    this.idempotencyKey = context.idempotencyKey
  }

  get [KIND](): string {
    // Every constructor in this tree is a NarrowError, so the static is there.
    return (this.constructor as typeof NarrowError)[KIND]
  }

  /** For logs. Leaves out the cause and upstream bodies, which may hold what must not be logged. */
  toJSON(): Record<string, unknown> {
    const { name, code, message, operation, attempts, idempotencyKey } = this
    return { name, code, message, operation, attempts, idempotencyKey }
  }
}

/** A complete answer with a status outside 2xx. */
export class NarrowResponseError extends NarrowError {
  static override readonly [KIND]: string = 'error/response'

  readonly status: number
  /** The parsed body, or its text when it is not JSON. */
  readonly body: unknown
  readonly requestId: string | undefined
  /** How long the server asked to wait, in milliseconds. */
  readonly retryAfterMs: number | undefined
  readonly rateLimit: RateLimit | undefined

  constructor(
    name: string,
    code: NarrowErrorCode,
    message: string,
    context: CallContext,
    answer: Answer & { retryable?: boolean },
  ) {
    super(name, code, message, context, answer)
    this.status = answer.status
    this.body = answer.body
    this.requestId = requestIdOf(answer.headers) ?? answer.requestId
    this.retryAfterMs = answer.retryAfterMs
    this.rateLimit = rateLimitOf(answer.headers)
  }

  override toJSON(): Record<string, unknown> {
    const { status, requestId, retryAfterMs } = this
    return { ...super.toJSON(), status, requestId, retryAfterMs }
  }
}

export interface Answer {
  readonly status: number
  readonly headers: Headers
  readonly body: unknown
  readonly retryAfterMs: number | undefined
  /** As the body gives it, for when the header cannot be read. */
  readonly requestId?: string | undefined
}

export interface ErrorDetail {
  /** A dotted path into the request, such as `input_schema.properties.amount`. */
  readonly field: string
  readonly message: string
}

/** NarrowAPI refused the request, or failed. Decide by `code`; `message` tells a person what to do. */
export class NarrowApiError extends NarrowResponseError {
  static override readonly [KIND]: string = 'error/response/api'

  readonly details: readonly ErrorDetail[]

  constructor(
    code: NarrowErrorCode,
    message: string,
    context: CallContext,
    answer: Answer & { retryable: boolean; details: readonly ErrorDetail[] },
  ) {
    super('NarrowApiError', code, message, context, answer)
    this.details = answer.details
  }

  override toJSON(): Record<string, unknown> {
    return { ...super.toJSON(), details: this.details }
  }
}

/**
 * NarrowAPI did its part, and the API behind the action answered with something other than 2xx. That is the
 * result of the execution, not a failure of ours, so it is never retried here: trying again would be a second
 * execution, which only the caller can decide.
 */
export class UpstreamResponseError extends NarrowResponseError {
  static override readonly [KIND]: string = 'error/response/upstream'

  readonly executionId: string | undefined

  constructor(context: CallContext, answer: Answer) {
    const message = `The upstream answered ${context.operation} with ${answer.status}`
    super('UpstreamResponseError', 'upstream_response', message, context, answer)
    this.executionId = answer.headers.get('x-execution-id') ?? undefined
  }

  override toJSON(): Record<string, unknown> {
    return { ...super.toJSON(), executionId: this.executionId }
  }
}

/** There was no complete answer in time. Whether the request had its effect is unknown. */
export class NarrowTimeoutError extends NarrowError {
  static override readonly [KIND]: string = 'error/timeout'

  /** Which bound was hit: that of the last attempt or that of the whole call. */
  readonly limit: 'timeout' | 'totalTimeout'
  readonly timeoutMs: number

  constructor(limit: 'timeout' | 'totalTimeout', timeoutMs: number, context: CallContext) {
    const message = `No complete answer to ${context.operation} within the ${limit} of ${timeoutMs} ms`
    super('NarrowTimeoutError', 'timeout', message, context, { retryable: true })
    this.limit = limit
    this.timeoutMs = timeoutMs
  }
}

/** The connection could not be made or broke. The runtime's own error is the `cause`. */
export class NarrowConnectionError extends NarrowError {
  static override readonly [KIND]: string = 'error/connection'

  constructor(context: CallContext, cause: unknown) {
    const message = `The connection for ${context.operation} failed; the cause says why`
    super('NarrowConnectionError', 'connection_failed', message, context, { retryable: true, cause })
  }
}

/** The caller's signal ended the call. Its reason is the `cause`. */
export class NarrowAbortError extends NarrowError {
  static override readonly [KIND]: string = 'error/abort'

  constructor(context: CallContext, cause: unknown) {
    super('NarrowAbortError', 'aborted', `${context.operation} was aborted`, context, { cause })
  }
}

/** The call cannot be sent as it was written; nothing was sent. */
export class NarrowUsageError extends NarrowError {
  static override readonly [KIND]: string = 'error/usage'

  constructor(message: string, operation: string) {
    const context = { operation, attempts: 0, idempotencyKey: undefined }
    super('NarrowUsageError', 'invalid_usage', message, context)
  }
}

interface ClientErrors {
  timeout: NarrowTimeoutError
  connection_failed: NarrowConnectionError
  aborted: NarrowAbortError
  invalid_usage: NarrowUsageError
  upstream_response: UpstreamResponseError
  unexpected_response: NarrowApiError
}

type ErrorOf<C extends ErrorCode | ClientErrorCode> = (C extends ClientErrorCode
  ? ClientErrors[C]
  : NarrowApiError) & { readonly code: C }

/**
 * Whether a thrown value is an error of this package, and if codes are given, one with any of them:
 * `if (isNarrowError(error, 'rate_limited')) await wait(error.retryAfterMs)`.
 */
export function isNarrowError(error: unknown): error is NarrowError
export function isNarrowError<const C extends ErrorCode | ClientErrorCode>(
  error: unknown,
  ...codes: readonly C[]
): error is ErrorOf<C>
export function isNarrowError(error: unknown, ...codes: readonly string[]): boolean {
  return error instanceof NarrowError && (codes.length === 0 || codes.includes(error.code))
}
