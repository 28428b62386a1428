import type { Limit, LimitState, RateLimiter } from '../db/rate-limit.ts'
import type { ApiError } from '../errors.ts'
import { rateLimited } from '../rate-headers.ts'
import type { Holder, WorkspaceState } from './authority.ts'
import type { LoadedAction } from './catalogue.ts'

const minute = 60_000
const hour = 3_600_000

export const workspaceLimit = (workspace: WorkspaceState): Limit => ({
  name: `workspace:${workspace.id}`,
  limit: workspace.requestsPerMinute,
  windowMs: minute,
})

/**
 * Counts a call for its token, its action (a minute and an hour, over all tokens; null when it names none) and
 * its workspace, in all of them or in none. Tells the tightest, for the headers, and answers the refusal when
 * one is used up.
 */
export const countCall = (
  limiter: RateLimiter,
  holder: Holder,
  action: LoadedAction | null,
  now: number,
  call: { tellLimits(state: LimitState): void },
): ApiError | null => {
  const limits: Limit[] = []
  if (action) limits.push({ name: `action:${action.id}`, limit: action.rate_limit_rpm, windowMs: minute })
  if (action && action.rate_limit_rph !== null) {
    limits.push({ name: `action_hour:${action.id}`, limit: action.rate_limit_rph, windowMs: hour })
  }
  if (holder.rateLimitRpm !== null) {
    limits.push({ name: `token:${holder.id}`, limit: holder.rateLimitRpm, windowMs: minute })
  }
  limits.push(workspaceLimit(holder.workspace))
  const { isRefused, state } = limiter.take(limits, now)
  call.tellLimits(state)
  return isRefused ? rateLimited(state, now) : null
}
