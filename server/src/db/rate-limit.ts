import { type Slot, Slots } from './slots.ts'

/**
 * Fixed windows in memory, one server's own count. A window begins with its first request, so the worst burst
 * around its edge is twice the limit.
 */
export type Limit = { name: string; limit: number; windowMs: number }

export type LimitState = {
  name: string
  limit: number
  remaining: number
  windowMs: number
  resetsAt: number
}

/** Whether a limit refuses, and the limit to tell of. */
export type Taken = { isRefused: boolean; state: LimitState }

/** What counts for one server, or for all of them: then the answer comes later. */
export type Limiter = {
  take(limits: readonly Limit[], at: number, slot?: Slot | null): Taken | Promise<Taken>
  /** Gives a slot back. One that was never had is no trouble. */
  release(slot: Slot): void
  /** Slots that calls of this server hold. */
  readonly heldSlots: number
  /** How the sharing goes, for metrics; null where nothing is shared. */
  readonly sharing: Readonly<Sharing> | null
}

export type Sharing = {
  /** Whether limits are counted over all servers right now. */
  isShared: boolean
  /** Requests counted over all servers, and those that had to be counted by this server for itself. */
  shared: number
  own: number
  /** How often the sharing broke off. */
  outages: number
}

type Window = { startedAt: number; used: number }

export class RateLimiter implements Limiter {
  readonly sharing = null
  readonly slots = new Slots()
  readonly #windows = new Map<string, Window>()
  readonly #capacity: number

  constructor(capacity = 200_000) {
    this.#capacity = capacity
  }

  get heldSlots(): number {
    return this.slots.size
  }

  /**
   * Counts one request in every limit and takes its slot, or, if one of them is used up, nothing. `at` is in
   * milliseconds. Gives the limit to tell of: of those that refuse the one that frees last, else the one with the
   * least left.
   */
  take(limits: readonly Limit[], at: number, slot: Slot | null = null): Taken {
    const states = limits.map((limit) => stateOf(limit, this.#window(limit, at)))
    const full = states.filter(({ remaining }) => remaining === 0)
    if (full.length > 0) {
      return {
        isRefused: true,
        state: full.reduce((last, one) => (last.resetsAt >= one.resetsAt ? last : one)),
      }
    }
    if (slot !== null && !this.slots.take(slot)) return { isRefused: true, state: fullState(slot, at) }
    for (const state of states) {
      state.window.used += 1
      state.remaining -= 1
    }
    return {
      isRefused: false,
      state: states.reduce((least, one) => (one.remaining < least.remaining ? one : least)),
    }
  }

  release(slot: Slot): void {
    this.slots.release(slot)
  }

  #window({ name, windowMs }: Limit, at: number): Window {
    const known = this.#windows.get(name)
    if (known && at - known.startedAt < windowMs && at >= known.startedAt) return known
    if (!known && this.#windows.size >= this.#capacity) this.#forget(at)
    const fresh = { startedAt: at, used: 0 }
    this.#windows.set(name, fresh)
    return fresh
  }

  /** Drops windows that are surely over, then the oldest made, so that memory is bounded whatever is sent. */
  #forget(at: number): void {
    for (const [name, window] of this.#windows)
      if (at - window.startedAt >= 3_600_000) this.#windows.delete(name)
    for (const name of this.#windows.keys()) {
      if (this.#windows.size < this.#capacity) return
      this.#windows.delete(name)
    }
  }
}

const stateOf = ({ name, limit, windowMs }: Limit, window: Window): LimitState & { window: Window } => ({
  name,
  limit,
  windowMs,
  remaining: Math.max(0, limit - window.used),
  resetsAt: window.startedAt + windowMs,
  window,
})

/** Nobody knows when a call will end, so a caller is told to come back soon. */
const comeBackMs = 1_000

/** What is told when every slot is held. */
export const fullState = ({ name, limit }: Slot, at: number): LimitState => ({
  name,
  limit,
  remaining: 0,
  windowMs: comeBackMs,
  resetsAt: at + comeBackMs,
})
