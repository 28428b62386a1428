import { startOfMonth } from '../db/months.ts'
import type { Limit, Limiter, LimitState, Taken } from '../db/rate-limit.ts'
import type { Slot } from '../db/slots.ts'
import { ApiError } from '../errors.ts'
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

/** What a call must hold from its checks to its answer; null for an action of which any number may run at once. */
export const slotOf = ({ id, concurrency_limit }: LoadedAction): Slot | null =>
  concurrency_limit === null ? null : { name: `concurrency:${id}`, limit: concurrency_limit, id: 0 }

/**
 * Counts a call for its token, its action (a minute and an hour, over all tokens; null when it names none) and
 * its workspace, and takes its slot, all of them or none. Tells the tightest, for the headers, and answers the
 * refusal when one is used up. A promise only where limits are shared between servers.
 */
export const countCall = (
  limiter: Limiter,
  holder: Holder,
  action: LoadedAction | null,
  slot: Slot | null,
  now: number,
  call: { tellLimits(state: LimitState): void },
): ApiError | null | Promise<ApiError | null> => {
  const limits: Limit[] = []
  if (action) limits.push({ name: `action:${action.id}`, limit: action.rate_limit_rpm, windowMs: minute })
  if (action && action.rate_limit_rph !== null) {
    limits.push({ name: `action_hour:${action.id}`, limit: action.rate_limit_rph, windowMs: hour })
  }
  if (holder.rateLimitRpm !== null) {
    limits.push({ name: `token:${holder.id}`, limit: holder.rateLimitRpm, windowMs: minute })
  }
  limits.push(workspaceLimit(holder.workspace))
  const taken = limiter.take(limits, now, slot)
  return taken instanceof Promise ? taken.then((later) => told(later, now, call)) : told(taken, now, call)
}

const told = (
  { isRefused, state }: Taken,
  now: number,
  call: { tellLimits(state: LimitState): void },
): ApiError | null => {
  call.tellLimits(state)
  return isRefused ? rateLimited(state, now) : null
}

export const tokenExhausted = () =>
  new ApiError('token_exhausted', 'This token has no uses left; ask for a new one')

export const executionLimitReached = (limit: number, now: Date) =>
  new ApiError('execution_limit_reached', `The ${limit} executions of this month are used up`, {
    feature: 'monthly_executions',
    limit,
    current_usage: limit,
    reset_at: startOfMonth(now, 1).toISOString(),
  })
