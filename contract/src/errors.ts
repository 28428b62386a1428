import { z } from 'zod'

/**
 * Every error code of the API, once: its HTTP status, what it means, and whether the same request may
 * succeed later without being changed. The OpenAPI document, the SDK's error classes and the documentation
 * are made from this table.
 */
export const errorCodes = {
  invalid_request: { status: 400, title: 'The request is malformed', retryable: false },
  workspace_required: {
    status: 400,
    title: 'An account key needs the X-Workspace-ID header',
    retryable: false,
  },
  invalid_cursor: {
    status: 400,
    title: 'The cursor was not issued for this list and these filters',
    retryable: false,
  },
  cannot_retry: { status: 400, title: 'This delivery cannot be retried', retryable: false },
  idempotency_key_required: {
    status: 400,
    title: 'This request needs an Idempotency-Key header',
    retryable: false,
  },
  unauthorized: { status: 401, title: 'Missing or invalid API key or token', retryable: false },
  forbidden: { status: 403, title: 'The credential is valid but may not do this', retryable: false },
  policy_denied: { status: 403, title: 'A constraint refuses this input', retryable: false },
  approval_denied: { status: 403, title: 'The approval for this execution was denied', retryable: false },
  paused: { status: 403, title: 'The workspace, action or token is paused', retryable: false },
  action_limit_reached: { status: 403, title: 'The plan allows no further active action', retryable: false },
  execution_limit_reached: {
    status: 403,
    title: 'The monthly executions of the plan are used up',
    retryable: false,
  },
  feature_limit_reached: {
    status: 403,
    title: 'The plan allows no further use of this feature',
    retryable: false,
  },
  budget_exceeded: {
    status: 403,
    title: 'A budget of this token, action or customer is used up',
    retryable: false,
  },
  token_exhausted: { status: 403, title: 'The token has no uses left', retryable: false },
  not_found: { status: 404, title: 'The object does not exist or is not yours', retryable: false },
  method_not_allowed: { status: 405, title: 'The path exists, but not with this method', retryable: false },
  conflict: { status: 409, title: 'The request conflicts with the current state', retryable: false },
  version_conflict: { status: 409, title: 'The object was changed since you read it', retryable: false },
  in_use: { status: 409, title: 'Something else still uses this object', retryable: false },
  invalid_state: {
    status: 409,
    title: 'The object is in a state that does not allow this',
    retryable: false,
  },
  idempotency_in_progress: {
    status: 409,
    title: 'A request with this Idempotency-Key is still running',
    retryable: true,
  },
  connection_required: { status: 409, title: 'No connection is available for this action', retryable: false },
  connection_expired: { status: 409, title: 'The connection must be authorised again', retryable: false },
  ai_provider_not_configured: { status: 409, title: 'The workspace has no AI provider', retryable: false },
  sunset: { status: 410, title: 'This version is no longer served', retryable: false },
  payload_too_large: { status: 413, title: 'The body is larger than allowed', retryable: false },
  unsupported_media_type: {
    status: 415,
    title: 'The body must be application/json in UTF-8',
    retryable: false,
  },
  validation_failed: { status: 422, title: 'The request does not fit its schema', retryable: false },
  idempotency_key_reused: {
    status: 422,
    title: 'The Idempotency-Key was used with another request',
    retryable: false,
  },
  rate_limited: { status: 429, title: 'Too many requests; see retry_after_seconds', retryable: true },
  internal_error: { status: 500, title: 'Something failed on our side', retryable: true },
  upstream_error: {
    status: 502,
    title: 'The upstream could not be reached or answered with an error',
    retryable: false,
  },
  upstream_auth_failed: {
    status: 502,
    title: 'The upstream refused the stored credential',
    retryable: false,
  },
  upstream_blocked: { status: 502, title: 'The target address is not allowed', retryable: false },
  invalid_upstream_response: {
    status: 502,
    title: 'The upstream answered something unusable',
    retryable: false,
  },
  upstream_outcome_unknown: {
    status: 502,
    title: 'It is unknown whether the upstream acted',
    retryable: false,
  },
  unavailable: { status: 503, title: 'The service is not available right now', retryable: true },
  upstream_timeout: { status: 504, title: 'The upstream did not answer in time', retryable: false },
} as const satisfies Record<string, { status: number; title: string; retryable: boolean }>

export type ErrorCode = keyof typeof errorCodes

export const ErrorDetail = z
  .object({
    field: z.string().describe('The field as a dotted path; a query or path parameter by its name'),
    message: z.string().describe('What is wrong with it'),
  })
  .meta({ id: 'ErrorDetail', description: 'One thing that is wrong with a request' })

const codes = (status: number): ErrorCode[] =>
  // The keys of a const object literal are exactly its key type.
  (Object.keys(errorCodes) as ErrorCode[]).filter((code) => errorCodes[code].status === status)

/** Fields that some codes carry beside the common ones. */
const extras = {
  required_scope: z.string().describe('With `forbidden`: the scope the credential lacks'),
  rule: z.string().describe('With `policy_denied`: the constraint that refused'),
  path: z.string().describe('With `policy_denied`: JSON Pointer to the refused value'),
  accepted: z.unknown().describe('With `policy_denied`: what the constraint would accept'),
  feature: z.string().describe('With a limit: the feature that is used up'),
  limit: z.number().describe('With a limit: how much is allowed'),
  current_usage: z.number().describe('With a limit: how much is used'),
  upgrade_url: z.string().describe('With a plan limit: where to get more'),
  remaining: z.number().describe('With `rate_limited`: what is left in this window'),
  reset_at: z.string().describe('When the limit starts anew (RFC 3339)'),
  retry_after_seconds: z.number().describe('How long to wait before trying again'),
  policy: z.string().describe('With `rate_limited`: which limit was met'),
  upstream_status: z.number().describe('With an upstream failure: the status the upstream answered'),
  excerpt: z.string().describe('With `upstream_error`: the beginning of the redacted upstream answer'),
}

export const ErrorBody = z
  .object({
    error: z.string().describe('A code to switch on; new ones may appear'),
    message: z.string().describe('What went wrong and what to do next, for people'),
    details: z.array(ErrorDetail).optional().describe('With `validation_failed`: one entry for each problem'),
    request_id: z.string().describe('Names this request in logs and to support; equals X-Request-ID'),
    doc_url: z.string().describe('Where this code is documented'),
  })
  .extend(z.object(extras).partial().shape)
  .meta({
    id: 'Error',
    description: 'Every refusal and failure has this shape.',
    examples: [
      {
        error: 'validation_failed',
        message: 'request body is invalid',
        details: [{ field: 'name', message: 'is required' }],
        request_id: 'req_06Wz1Xb4mJq0YcT7eKs2hU',
        doc_url: 'https://narrowapi.com/docs/errors#validation_failed',
      },
    ],
  })
export type ErrorBody = z.output<typeof ErrorBody>

/** Error responses by status for the codes a route may raise, each with its literal codes. */
export const errorResponses = (raised: readonly ErrorCode[]): Record<number, z.ZodType> => {
  const statuses = [...new Set(raised.map((code) => errorCodes[code].status))].sort((a, b) => a - b)
  return Object.fromEntries(
    statuses.map((status) => [status, errorBodyOf(codes(status).filter((code) => raised.includes(code)))]),
  )
}

const bodies = new Map<string, z.ZodType>()

/** One schema for each set of codes, so that the document has one component for it. */
const errorBodyOf = (raised: readonly ErrorCode[]): z.ZodType => {
  const name = raised.map((code) =>
    code.replaceAll(/(?:^|_)([a-z])/g, (_, letter: string) => letter.toUpperCase()),
  )
  const known = bodies.get(name.join())
  if (known) return known
  const body = ErrorBody.extend({
    error: z.enum(raised).describe(raised.map((code) => `\`${code}\`: ${errorCodes[code].title}`).join('. ')),
  }).meta({
    id: `${name.join('Or')}Error`,
    description: raised.map((code) => errorCodes[code].title).join('. Or: '),
  })
  bodies.set(name.join(), body)
  return body
}
