import { apiError, type MockApiError } from './api-error.ts'
import type { State } from './state.ts'

/** Names are `<policy>:<subject>`; only the policy is told. */
export interface Limit {
  readonly name: string
  readonly limit: number
  readonly windowMs: number
}

/** What a call holds from its checks to its answer, named as limits are. */
export interface Slot {
  readonly name: string
  readonly limit: number
}

const MINUTE = 60_000

/** When to come back while every slot is held. */
const SOON = 1_000

/** That of a self-hosted installation: a test is refused for its pace only where an action or token says so. */
const PER_MINUTE = 200_000

export const workspaceLimit = ({ workspace }: State): Limit => ({
  name: `workspace:${workspace.id}`,
  limit: PER_MINUTE,
  windowMs: MINUTE,
})

export const keyLimit = (id: string): Limit => ({
  name: `default:${id}`,
  limit: PER_MINUTE,
  windowMs: MINUTE,
})

export const unknownLimit: Limit = { name: 'unknown:anybody', limit: 600, windowMs: MINUTE }

const policyOf = ({ name }: Limit): string => name.slice(0, name.indexOf(':'))

const policyText = (one: Limit): string => `"${policyOf(one)}";q=${one.limit};w=${one.windowMs / 1000}`

/**
 * Counts a request in fixed windows, in all of the limits or in none; the tightest is told in the headers, and, but
 * for a run, the policies of the others.
 * Answers the refusal when one is used up, or when no slot is free.
 */
export const countRequest = (
  state: State,
  limits: readonly Limit[],
  headers: Headers,
  run?: { slot: Slot | null },
): MockApiError | null => {
  const now = state.now().getTime()
  const windows = limits.map((limit) => {
    const known = state.windows.get(limit.name)
    const window = known && known.endsAt > now ? known : { count: 0, endsAt: now + limit.windowMs }
    state.windows.set(limit.name, window)
    return { ...limit, window }
  })
  const full =
    windows.find(({ limit, window }) => window.count >= limit) ?? fullSlot(state, run?.slot ?? null, now)
  if (!full) for (const { window } of windows) window.count += 1
  const left = ({ limit, window }: (typeof windows)[number]) => limit - window.count
  const [tightest = full] = windows.toSorted((a, b) => left(a) - left(b))
  const told = full ?? tightest
  if (!told) return null
  const { limit, window } = told
  const policy = policyOf(told)
  const seconds = Math.max(0, Math.ceil((window.endsAt - now) / 1000))
  headers.set('x-ratelimit-limit', String(limit))
  headers.set('x-ratelimit-remaining', String(left(told)))
  headers.set('x-ratelimit-reset', String(Math.ceil(window.endsAt / 1000)))
  const policies = run ? [told] : new Set([told, ...windows])
  headers.set('ratelimit-policy', [...policies].map(policyText).join(', '))
  headers.set('ratelimit', `"${policy}";r=${left(told)};t=${seconds}`)
  if (!full) return null
  const retry_after_seconds = Math.max(1, seconds)
  return apiError('rate_limited', {
    message: `Too many requests; try again in ${retry_after_seconds} seconds`,
    retry_after_seconds,
    limit,
    remaining: 0,
    reset_at: new Date(window.endsAt).toISOString(),
    policy,
  })
}

/** Takes a slot for a call, and gives it back when the call has ended. */
export const holding = async <T>(state: State, slot: Slot | null, work: () => Promise<T>): Promise<T> => {
  if (slot === null) return work()
  const count = (by: number) => state.running.set(slot.name, (state.running.get(slot.name) ?? 0) + by)
  count(1)
  try {
    return await work()
  } finally {
    count(-1)
  }
}

const fullSlot = (state: State, slot: Slot | null, now: number) =>
  slot !== null && (state.running.get(slot.name) ?? 0) >= slot.limit
    ? { ...slot, windowMs: SOON, window: { count: slot.limit, endsAt: now + SOON } }
    : undefined
