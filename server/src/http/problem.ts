import { type ErrorBody, type ErrorCode, errorCodes } from '@narrowapi/contract'
import { RequestValidationError } from '@ts-rest/express'
import type { ErrorRequestHandler } from 'express'
import { isDatabaseAway, isUnavailable, sqlState } from '../db/sql.ts'
import type { Deps } from '../deps.ts'
import { ApiError } from '../errors.ts'
import { findContext, type Request, type Response } from './context.ts'
import { requestTrace } from './trace.ts'
import { refuseBody, refuseQuery } from './validation.ts'

/** The last step of every request that failed: any thrown value becomes one documented error body. */
export const problem =
  (deps: Deps): ErrorRequestHandler =>
  (thrown: unknown, req, res, next) => {
    if (res.headersSent) return next(thrown)
    sendProblem(deps, req, res, thrown)
  }

export const sendProblem = (deps: Deps, req: Request, res: Response, thrown: unknown): void => {
  const error = asApiError(thrown, (cause) => logFailure(deps, req, cause))
  deps.metrics.requests.refuse(error)
  if (isDatabaseAway(thrown)) deps.metrics.databaseAway.add()
  const body = JSON.stringify(errorBody(error, findContext(req)?.requestId ?? '', deps.publicUrl()))
  setErrorHeaders(res, error)
  res.setHeader('Content-Type', 'application/json; charset=utf-8')
  res.setHeader('Content-Length', Buffer.byteLength(body))
  res.statusCode = error.status
  res.end(body)
}

export const errorBody = (error: ApiError, requestId: string, publicUrl: string): ErrorBody => ({
  error: error.code,
  message: error.message,
  ...(error.details ? { details: [...error.details] } : {}),
  ...error.extras,
  request_id: requestId,
  doc_url: `${publicUrl}/docs/errors#${error.code}`,
})

type HeaderTarget = { setHeader(name: string, value: string): unknown }

/** The headers that a status or code demands (RFC 9110, 6585). */
const setErrorHeaders = (res: HeaderTarget, error: ApiError): void => {
  const { retry_after_seconds, upstream_status } = error.extras
  res.setHeader('Cache-Control', 'no-store')
  res.setHeader('X-NarrowAPI-Error', error.code)
  if (error.status === 401) res.setHeader('WWW-Authenticate', 'Bearer realm="NarrowAPI"')
  if (upstream_status !== undefined) res.setHeader('X-Upstream-Status', String(upstream_status))
  if (error.status === 415) res.setHeader('Accept', 'application/json')
  if (retry_after_seconds !== undefined) res.setHeader('Retry-After', String(Math.ceil(retry_after_seconds)))
}

/** What is told of a thrown value. What is not ours to tell goes to `onFailure` and becomes `internal_error`. */
const asApiError = (thrown: unknown, onFailure: (error: unknown) => void): ApiError => {
  if (thrown instanceof ApiError) {
    // What made us unavailable is our trouble; the causes of other errors belong to the caller or the upstream.
    if (thrown.code === 'unavailable' && thrown.cause !== undefined) onFailure(thrown.cause)
    return thrown
  }
  if (thrown instanceof RequestValidationError) return validationError(thrown)
  if (isUnavailable(thrown)) {
    onFailure(thrown)
    return new ApiError('unavailable', 'The database cannot be reached right now; try again', {
      retry_after_seconds: 1,
    })
  }
  const fromStatus = httpError(thrown)
  if (fromStatus) return new ApiError(fromStatus, errorCodes[fromStatus].title, { cause: thrown })
  onFailure(thrown)
  return new ApiError('internal_error', 'Something failed on our side; the request id helps us find it', {
    cause: thrown,
  })
}

const validationError = ({ pathParams, query, body }: RequestValidationError): ApiError => {
  // An id of the wrong form names nothing, like an id that was never given out.
  if (pathParams) return notFound()
  if (query) return refuseQuery(query.issues)
  if (body) return refuseBody(body.issues)
  return new ApiError('invalid_request', 'A request header is malformed')
}

export const notFound = () => new ApiError('not_found', 'It does not exist, or is not yours')

/** Express refuses some requests itself, such as a path that is not percent-encoded UTF-8. */
const httpError = (thrown: unknown): ErrorCode | null => {
  if (!(thrown instanceof Error) || !('status' in thrown)) return null
  const status = Number(thrown.status)
  return status === 413 ? 'payload_too_large' : status >= 400 && status < 500 ? 'invalid_request' : null
}

const logFailure = (deps: Deps, req: Request, error: unknown): void => {
  deps.log.error(
    {
      error,
      request_id: findContext(req)?.requestId,
      trace_id: findContext(req) && requestTrace(deps, req).traceId,
      method: req.method,
      path: req.url?.split('?', 1)[0]?.slice(0, 200),
      sql_state: sqlState(error),
    },
    'a request failed',
  )
}
