import {
  fullState,
  type Limit,
  type Limiter,
  type RateLimiter,
  type Sharing,
  type Taken,
} from '../rate-limit.ts'
import type { Slot } from '../slots.ts'
import { type Answer, leaseMs, RedisStore } from './store.ts'

type Log = { info(fields: object, message: string): void; warn(fields: object, message: string): void }

const startMs = 1_000
const vouchMs = leaseMs / 3
const retryMs = 500

/** Shares limits through the Redis of this URL, at once or as soon as it answers. */
export const shareLimits = async (url: string, own: RateLimiter, log: Log): Promise<SharedLimiter> => {
  const limiter = new SharedLimiter({ own, store: await RedisStore.open(url), log })
  await limiter.start()
  return limiter
}

/**
 * Counts over all servers that ask one Redis. While it does not answer, this server counts for itself: a limit is
 * then one for each server, and never none. One timer vouches for the calls under way and, after an outage, finds
 * out that Redis is back and tells it of the calls that began meanwhile.
 */
export class SharedLimiter implements Limiter {
  readonly sharing: Sharing = { isShared: false, shared: 0, own: 0, outages: 0 }
  readonly #own: RateLimiter
  readonly #store: RedisStore
  readonly #log: Log
  /** Slots that Redis was asked for and has not granted yet. */
  readonly #asking = new Set<Slot>()
  #timer: NodeJS.Timeout | undefined
  #isClosed = false

  constructor({ own, store, log }: { own: RateLimiter; store: RedisStore; log: Log }) {
    this.#own = own
    this.#store = store
    this.#log = log
  }

  /** Begins to share, if Redis answers soon; else it will be tried again and again. */
  async start(): Promise<void> {
    await this.#store.connected(startMs)
    await this.#vouch()
    if (!this.sharing.isShared) this.#tellOutage(null)
  }

  get heldSlots(): number {
    return this.#own.heldSlots
  }

  take(limits: readonly Limit[], at: number, slot: Slot | null = null): Taken | Promise<Taken> {
    if (this.sharing.isShared) return this.#ask(limits, at, slot)
    this.sharing.own += 1
    return this.#own.take(limits, at, slot)
  }

  release(slot: Slot): void {
    if (slot.id === 0) return
    this.#store.drop(slot)
    this.#own.release(slot)
  }

  close(): void {
    this.#isClosed = true
    clearTimeout(this.#timer)
    this.#store.close()
  }

  async #ask(limits: readonly Limit[], at: number, slot: Slot | null): Promise<Taken> {
    // What this server alone has under way is too much for all of them as well, and its own count is right when
    // Redis goes away.
    if (slot !== null && !this.#own.slots.take(slot)) return { isRefused: true, state: fullState(slot, at) }
    if (slot !== null) this.#asking.add(slot)
    try {
      const taken = takenOf(await this.#store.take(limits, slot), limits, at, slot)
      this.sharing.shared += 1
      if (taken.isRefused && slot !== null) this.#own.release(slot)
      return taken
    } catch (error) {
      this.#lose(error)
      this.sharing.own += 1
      const taken = this.#own.take(limits, at)
      if (taken.isRefused && slot !== null) this.release(slot)
      return taken
    } finally {
      if (slot !== null) this.#asking.delete(slot)
    }
  }

  async #vouch(): Promise<void> {
    try {
      await this.#hold()
      if (!this.sharing.isShared) {
        this.#log.info({}, 'limits are shared through Redis')
        this.sharing.isShared = true
        // Calls that began while this question was under way. They are told before any later one asks.
        await this.#hold()
      }
    } catch (error) {
      this.#lose(error)
    }
    this.#schedule()
  }

  #hold(): Promise<void> {
    return this.#store.hold([...this.#own.slots].filter((slot) => !this.#asking.has(slot)))
  }

  #lose(error: unknown): void {
    if (!this.sharing.isShared) return
    this.sharing.isShared = false
    this.sharing.outages += 1
    this.#tellOutage(error)
    this.#schedule()
  }

  #tellOutage(error: unknown): void {
    const reason = this.#store.trouble() ?? (error instanceof Error ? error.message : null)
    this.#log.warn({ reason }, 'Redis does not answer: this server counts limits for itself until it does')
  }

  #schedule(): void {
    clearTimeout(this.#timer)
    if (this.#isClosed) return
    this.#timer = setTimeout(() => void this.#vouch(), this.sharing.isShared ? vouchMs : retryMs).unref()
  }
}

const takenOf = (
  { isRefused, index, remaining, resetsInMs }: Answer,
  limits: readonly Limit[],
  at: number,
  slot: Slot | null,
): Taken => {
  const limit = limits[index]
  if (limit) return { isRefused, state: { ...limit, remaining, resetsAt: at + resetsInMs } }
  if (slot === null) throw new Error('Redis told of a limit that was not asked')
  return { isRefused, state: fullState(slot, at) }
}
