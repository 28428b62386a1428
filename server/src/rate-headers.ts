import type { LimitState } from './db/rate-limit.ts'
import { ApiError } from './errors.ts'

/**
 * Both forms, names and values in turn: the one every reference uses, and the two fields of the IETF draft
 * (httpapi-ratelimit-headers).
 */
export const limitHeaders = (state: LimitState, now: number): string[] => {
  const seconds = Math.max(0, Math.ceil((state.resetsAt - now) / 1000))
  const name = policyName(state)
  return [
    'X-RateLimit-Limit',
    String(state.limit),
    'X-RateLimit-Remaining',
    String(state.remaining),
    'X-RateLimit-Reset',
    String(Math.ceil(state.resetsAt / 1000)),
    'RateLimit-Policy',
    `"${name}";q=${state.limit};w=${state.windowMs / 1000}`,
    'RateLimit',
    `"${name}";r=${state.remaining};t=${seconds}`,
  ]
}

/** Names of limits are `<policy>:<subject>`; the subject is nobody's business. */
const policyName = ({ name }: LimitState): string => name.slice(0, name.indexOf(':'))

export const rateLimited = (state: LimitState, now: number): ApiError => {
  const seconds = Math.max(1, Math.ceil((state.resetsAt - now) / 1000))
  return new ApiError('rate_limited', `Too many requests; try again in ${seconds} seconds`, {
    retry_after_seconds: seconds,
    limit: state.limit,
    remaining: 0,
    reset_at: new Date(state.resetsAt).toISOString(),
    policy: policyName(state),
  })
}
