import { type ClientErrorCode, NarrowError } from './error.ts'
import type { ErrorCode } from './generated/errors.ts'

export type { CallContext, ClientErrorCode, NarrowErrorCode } from './error.ts'
export { NarrowError }

/** A complete answer with a status outside 2xx, or one that cannot be used. */
export class NarrowResponseError extends NarrowError {
  static override is(error: NarrowError): boolean {
    return 'status' in error
  }

  /** The HTTP status of the answer. */
  declare readonly status: number
  /** The parsed body, or its text when it is not JSON. */
  declare readonly body: unknown
}

/** What is wrong with one part of a request. */
export interface ErrorDetail {
  /** A dotted path into the request, such as `input_schema.properties.amount`. */
  readonly field: string
  /** What to do about it, for a person. */
  readonly message: string
}

/** NarrowAPI refused the request, or failed. Decide by `code`; `message` tells a person what to do. */
export class NarrowApiError extends NarrowResponseError {
  static override is(error: NarrowError): boolean {
    return 'details' in error
  }

  /** What is wrong with which part of the request; empty when that is not the matter. */
  declare readonly details: readonly ErrorDetail[]
}

/**
 * NarrowAPI did its part, and the API behind the action answered with something other than 2xx. That is the
 * result of the execution, not a failure of ours, so it is never retried here: trying again would be a second
 * execution, which only the caller can decide.
 */
export class UpstreamResponseError extends NarrowResponseError {
  static override is(error: NarrowError): boolean {
    return 'executionId' in error
  }

  /** The record of the execution, to be read with `executions.get`. */
  declare readonly executionId: string | undefined
}

/** There was no complete answer in time. Whether the request had its effect is unknown. */
export class NarrowTimeoutError extends NarrowError {
  static override is(error: NarrowError): boolean {
    return error.code === 'timeout'
  }

  /** Which bound was hit: that of the last attempt or that of the whole call. */
  declare readonly limit: 'timeout' | 'totalTimeout'
  /** How long that bound is, in milliseconds. */
  declare readonly timeoutMs: number
}

/** The connection could not be made or broke. The runtime's own error is the `cause`. */
export class NarrowConnectionError extends NarrowError {
  static override is(error: NarrowError): boolean {
    return error.code === 'connection_failed'
  }
}

/** The caller's signal ended the call. Its reason is the `cause`. */
export class NarrowAbortError extends NarrowError {
  static override is(error: NarrowError): boolean {
    return error.code === 'aborted'
  }
}

/** The call cannot be sent as it was written, or the client cannot be made of these options. */
export class NarrowUsageError extends NarrowError {
  static override is(error: NarrowError): boolean {
    return error.code === 'invalid_usage'
  }
}

interface ClientErrors {
  timeout: NarrowTimeoutError
  connection_failed: NarrowConnectionError
  aborted: NarrowAbortError
  invalid_usage: NarrowUsageError
  upstream_response: UpstreamResponseError
  unexpected_response: NarrowApiError
  response_too_large: NarrowResponseError
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
