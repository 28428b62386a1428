import { type ErrorCode, errorCodes } from '@narrowapi/contract'

export type ErrorDetail = { field: string; message: string }

/** Typed fields that some codes carry beside the common ones (model: error codes). */
export type ErrorExtras = {
  required_scope?: string
  rule?: string
  path?: string
  accepted?: unknown
  feature?: string
  limit?: number
  current_usage?: number
  upgrade_url?: string
  remaining?: number
  reset_at?: string
  retry_after_seconds?: number
  policy?: string
  upstream_status?: number
  excerpt?: string
}

/**
 * A refusal that the caller is told about. `message` says what to do next and never holds a secret;
 * `cause` stays in the log.
 */
export class ApiError extends Error {
  readonly code: ErrorCode
  readonly details: readonly ErrorDetail[] | undefined
  readonly extras: ErrorExtras

  constructor(
    code: ErrorCode,
    message: string,
    options: { details?: readonly ErrorDetail[]; cause?: unknown } & ErrorExtras = {},
  ) {
    const { details, cause, ...extras } = options
    super(message, cause === undefined ? undefined : { cause })
    this.name = 'ApiError'
    this.code = code
    this.details = details
    this.extras = extras
  }

  get status(): number {
    return errorCodes[this.code].status
  }
}

/** Nothing could be asked of the database. Apart from other reasons to be `unavailable`, which wake nobody. */
export class DatabaseAway extends ApiError {
  constructor(message: string) {
    super('unavailable', message, { retry_after_seconds: 1 })
  }
}
