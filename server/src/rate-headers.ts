import type { Limit, LimitState } from './db/rate-limit.ts'
import { ApiError } from './errors.ts'

/**
 * Both forms, names and values in turn: the one every reference uses, and the two fields of the IETF draft
 * (httpapi-ratelimit-headers). How much is left is told of one limit; `others` are the policies that counted beside it.
 */
export const limitHeaders = (state: LimitState, now: number, others: readonly Limit[] = []): string[] => {
  const seconds = Math.max(0, Math.ceil((state.resetsAt - now) / 1000))
  return [
    'X-RateLimit-Limit',
    String(state.limit),
    'X-RateLimit-Remaining',
    String(state.remaining),
    'X-RateLimit-Reset',
    String(Math.ceil(state.resetsAt / 1000)),
    'RateLimit-Policy',
    [state, ...others].map(policyText).join(', '),
    'RateLimit',
    `"${policyName(state)}";r=${state.remaining};t=${seconds}`,
  ]
}

const policyText = (limit: Limit): string =>
  `"${policyName(limit)}";q=${limit.limit};w=${limit.windowMs / 1000}`

/** Names of limits are `<policy>:<subject>`; the subject is nobody's business. */
const policyName = ({ name }: Limit): string => name.slice(0, name.indexOf(':'))

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
