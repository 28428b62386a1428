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

type Window = { startedAt: number; used: number }

export class RateLimiter {
  readonly #windows = new Map<string, Window>()
  readonly #capacity: number

  constructor(capacity = 200_000) {
    this.#capacity = capacity
  }

  /**
   * Counts one request in every limit, or, if one of them is used up, in none. `at` is in milliseconds. Gives the
   * limit to tell of: of those that refuse the one that frees last, else the one with the least left.
   */
  take(limits: readonly Limit[], at: number): { isRefused: boolean; state: LimitState } {
    const states = limits.map((limit) => stateOf(limit, this.#window(limit, at)))
    const full = states.filter(({ remaining }) => remaining === 0)
    if (full.length > 0) {
      return {
        isRefused: true,
        state: full.reduce((last, one) => (last.resetsAt >= one.resetsAt ? last : one)),
      }
    }
    for (const state of states) {
      state.window.used += 1
      state.remaining -= 1
    }
    return {
      isRefused: false,
      state: states.reduce((least, one) => (one.remaining < least.remaining ? one : least)),
    }
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
