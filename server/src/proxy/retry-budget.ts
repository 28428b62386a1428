/**
 * How many retries a target gets: a fifth of the calls that could be tried again, over ten seconds, and at least
 * five. When a target is down every call fails, and retries would multiply the calls to it just then; beyond the
 * budget the first failure is told instead. Each server counts for itself and each workspace apart.
 */
export class RetryBudget {
  readonly #now: () => number
  readonly #capacity: number
  readonly #targets = new Map<string, Slot[]>()

  constructor(now: () => number, capacity = 10_000) {
    this.#now = now
    this.#capacity = capacity
  }

  /** Counts the first try of a call that may be tried again. */
  count(target: string): void {
    this.#slot(target).calls += 1
  }

  /** Takes one retry, or says that there is none left. */
  take(target: string): boolean {
    const slot = this.#slot(target)
    let calls = 0
    let retries = 0
    for (const one of this.#targets.get(target) ?? []) {
      if (slot.number - one.number >= slots) continue
      calls += one.calls
      retries += one.retries
    }
    if (retries >= Math.max(leastRetries, Math.floor(calls * share))) return false
    slot.retries += 1
    return true
  }

  /** The slot of now. A ring of them slides over time; what stood in its place is over. */
  #slot(target: string): Slot {
    const number = Math.floor(this.#now() / slotMs)
    const ring = this.#ring(target)
    const known = ring[number % slots]
    if (known?.number === number) return known
    const slot = { number, calls: 0, retries: 0 }
    ring[number % slots] = slot
    return slot
  }

  /** Above the capacity the target that was met first is forgotten; it begins anew with the least. */
  #ring(target: string): Slot[] {
    const known = this.#targets.get(target)
    if (known) return known
    const [oldest] = this.#targets.keys()
    if (oldest !== undefined && this.#targets.size >= this.#capacity) this.#targets.delete(oldest)
    const ring: Slot[] = Array.from({ length: slots }, () => ({ number: -slots, calls: 0, retries: 0 }))
    this.#targets.set(target, ring)
    return ring
  }
}

type Slot = { number: number; calls: number; retries: number }

export const share = 0.2
export const leastRetries = 5
const slots = 10
const slotMs = 1_000
