import type { UpstreamAnswer } from './egress-call.ts'
import { type FailureReason, UpstreamFailure } from './egress-failure.ts'

/**
 * A circuit breaker for each target: an origin as one workspace calls it. Workspaces do not share one, since a
 * tenant could then shut a target for all others, by short timeouts or a credential that the upstream hates.
 *
 * It opens after `failuresToOpen` failures with no other answer between them. A ratio would also open on a target
 * that serves half of its calls, and what it saved is bounded already by deadlines. Failed is what says that the
 * target is down: no connection, no answer in time, no HTTP, and 502, 503, 504. Any other answer, 500 among
 * them, speaks of one request and closes it. After `firstOpenMs` one call is let through as a probe; each probe
 * that fails doubles the time, up to `maxOpenMs`.
 *
 * Only targets in trouble are kept, so a server whose targets are well asks whether a map is empty, and no more.
 * Each server learns for itself, as it would have to find out anyway whether it can reach the target.
 */
export class Breakers {
  readonly #now: () => number
  readonly #tell: (change: BreakerChange) => void
  readonly #capacity: number
  readonly #troubled = new Map<string, Trouble>()
  #openings = 0

  /** `tell` hears of every change, for logs and metrics. */
  constructor(options: { now: () => number; tell: (change: BreakerChange) => void; capacity?: number }) {
    this.#now = options.now
    this.#tell = options.tell
    this.#capacity = options.capacity ?? 10_000
  }

  /** Null when a call may go on. After the open time the first that asks becomes the probe. */
  admit(workspaceId: string, origin: string): OpenBreaker | null {
    if (this.#troubled.size === 0) return null
    const trouble = this.#troubled.get(keyOf(workspaceId, origin))
    if (trouble === undefined || trouble.state === 'closed') return null
    const now = this.#now()
    if (now < trouble.until) {
      trouble.refused += 1
      return { retryAfterMs: trouble.until - now, isRecorded: trouble.refused <= recordedRefusals }
    }
    trouble.probeAt = now
    trouble.until = now + probeStartMs
    this.#change(trouble, 'half_open')
    return null
  }

  /** Keeps the place of a probe for as long as it may take. One that is never sent loses its place by itself. */
  sending(workspaceId: string, origin: string, timeoutMs: number): void {
    if (this.#troubled.size === 0) return
    const trouble = this.#troubled.get(keyOf(workspaceId, origin))
    if (trouble?.state === 'half_open') trouble.until = this.#now() + timeoutMs + probeStartMs
  }

  /** How a call ended that began at `startedAt`: only a probe can fail as one. */
  note(
    workspaceId: string,
    origin: string,
    result: Pick<UpstreamAnswer, 'status'> | UpstreamFailure,
    startedAt: number,
  ): void {
    if (result instanceof UpstreamFailure) {
      if (isOfTheTarget(result)) this.#fail(workspaceId, origin, startedAt)
    } else if (isDown(result.status)) this.#fail(workspaceId, origin, startedAt)
    else if (this.#troubled.size > 0) this.#close(keyOf(workspaceId, origin))
  }

  /** Whether a call that is under way should not be tried again. */
  isOpen(workspaceId: string, origin: string): boolean {
    return this.#troubled.get(keyOf(workspaceId, origin))?.state === 'open'
  }

  /** How often one opened, for a counter. */
  get openings(): number {
    return this.#openings
  }

  /** The targets that are in trouble now, for a gauge; every other one is closed. */
  list(): BreakerChange[] {
    return [...this.#troubled.values()].map(shown)
  }

  #fail(workspaceId: string, origin: string, startedAt: number): void {
    const trouble = this.#troubleOf(workspaceId, origin)
    trouble.failures += 1
    if (trouble.state === 'closed') {
      if (trouble.failures >= failuresToOpen) this.#open(trouble, firstOpenMs)
    } else if (trouble.state === 'half_open' && startedAt >= trouble.probeAt) {
      this.#open(trouble, Math.min(2 * trouble.openMs, maxOpenMs))
    }
  }

  #open(trouble: Trouble, openMs: number): void {
    trouble.openMs = openMs
    trouble.until = this.#now() + openMs
    trouble.refused = 0
    this.#openings += 1
    this.#change(trouble, 'open')
  }

  #close(key: string): void {
    const trouble = this.#troubled.get(key)
    if (trouble === undefined) return
    this.#troubled.delete(key)
    if (trouble.state !== 'closed') this.#change(trouble, 'closed')
  }

  #change(trouble: Trouble, state: BreakerState): void {
    trouble.state = state
    this.#tell(shown(trouble))
  }

  /** Above the capacity the target that has been in trouble for longest is forgotten, which closes its breaker. */
  #troubleOf(workspaceId: string, origin: string): Trouble {
    const key = keyOf(workspaceId, origin)
    const known = this.#troubled.get(key)
    if (known) return known
    const [oldest] = this.#troubled.keys()
    if (oldest !== undefined && this.#troubled.size >= this.#capacity) this.#close(oldest)
    const trouble: Trouble = { workspaceId, origin, state: 'closed', ...unopened }
    this.#troubled.set(key, trouble)
    return trouble
  }
}

export const failuresToOpen = 10
export const firstOpenMs = 5_000
export const maxOpenMs = 60_000
/** How many refusals of one opening become executions: a flood of calls must not be one of rows. */
export const recordedRefusals = 5
/** How long a call may take from being let through to being sent, before another may be the probe. */
export const probeStartMs = 5_000

export type BreakerState = 'closed' | 'open' | 'half_open'
export type BreakerChange = { workspaceId: string; origin: string; state: BreakerState; failures: number }
export type OpenBreaker = { retryAfterMs: number; isRecorded: boolean }

type Trouble = BreakerChange & {
  /** When an open breaker lets a probe through, and a half-open one another. */
  until: number
  openMs: number
  probeAt: number
  refused: number
}

const unopened = { failures: 0, until: 0, openMs: 0, probeAt: 0, refused: 0 }

const shown = ({ workspaceId, origin, state, failures }: BreakerChange): BreakerChange => ({
  workspaceId,
  origin,
  state,
  failures,
})

const isDown = (status: number): boolean => status >= 502 && status <= 504

const ofTheTarget: ReadonlySet<FailureReason> = new Set(['unreachable', 'timeout'])

/** What could not be written is our fault; what was answered and is no HTTP is the target's. */
const isOfTheTarget = ({ reason, sent }: UpstreamFailure): boolean =>
  ofTheTarget.has(reason) || (reason === 'invalid' && sent)

/** Neither part holds a space. */
const keyOf = (workspaceId: string, origin: string): string => `${workspaceId} ${origin}`
