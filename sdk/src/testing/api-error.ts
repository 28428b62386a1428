import type { ErrorDetail } from '../errors.ts'
import { type ErrorCode, errorStatuses } from '../generated/errors.ts'

/** The body of a refusal, beside its code. */
export interface ApiErrorFields {
  /** For a person. Default: one that names the code. */
  readonly message?: string
  /** What is wrong with which part of the request. */
  readonly details?: readonly ErrorDetail[]
  /** Also sent as `Retry-After`. */
  readonly retry_after_seconds?: number
  /** What else the code comes with, such as `required_scope`. */
  readonly [field: string]: unknown
}

/** A refusal as NarrowAPI would make it: the mock answers with its status, headers and body. */
export class MockApiError extends Error {
  /** A code of the API. */
  readonly code: ErrorCode
  /** Its HTTP status. */
  readonly status: number
  /** The rest of the body. */
  readonly fields: ApiErrorFields

  constructor(code: ErrorCode, fields: ApiErrorFields = {}, status: number = errorStatuses[code]) {
    super(fields.message ?? `Mocked ${code}`)
    this.name = 'MockApiError'
    this.code = code
    this.status = status
    this.fields = fields
  }
}

/** Return or throw it in an override: `mock.on('actions.get', () => apiError('not_found'))`. */
export const apiError = (code: ErrorCode, fields?: ApiErrorFields): MockApiError =>
  new MockApiError(code, fields)

export const notFound = (message = 'It does not exist, or is not yours'): MockApiError =>
  apiError('not_found', { message })

export const invalidBody = (details: readonly ErrorDetail[]): MockApiError =>
  apiError('validation_failed', { message: 'request body is invalid', details })

export const toProblem = (
  error: MockApiError,
  requestId: string,
  headers: Headers,
): { status: number; body: string } => {
  const { message: _, ...fields } = error.fields
  headers.set('x-narrowapi-error', error.code)
  if (error.status === 401) headers.set('www-authenticate', 'Bearer realm="NarrowAPI"')
  if (error.status === 415) headers.set('accept', 'application/json')
  const { retry_after_seconds, upstream_status } = fields
  if (retry_after_seconds !== undefined) headers.set('retry-after', String(Math.ceil(retry_after_seconds)))
  if (upstream_status !== undefined) headers.set('x-upstream-status', String(upstream_status))
  return {
    status: error.status,
    body: JSON.stringify({
      error: error.code,
      message: error.message,
      ...fields,
      request_id: requestId,
      doc_url: `https://narrowapi.com/docs/errors#${error.code}`,
    }),
  }
}
