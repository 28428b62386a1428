/**
 * Remembers what was read from the database for a short, fixed time. What it holds may be stale by at most
 * `maxAgeMs`, counted from before the read began, whatever happens to the notifications that usually end it
 * earlier. Misses are remembered too, and a miss is read once however many wait for it. A reload is given the
 * value it replaces, so that what was made of an unchanged row can be kept.
 */
export class FreshCache<V> {
  readonly #entries = new Map<string, Entry<V>>()
  readonly #options: { maxAgeMs: number; capacity: number; now: () => number }
  #staleBefore = Number.NEGATIVE_INFINITY
  /** How often it answered from memory, and how often it had to ask. */
  hits = 0
  misses = 0

  constructor(options: { maxAgeMs: number; capacity: number; now: () => number }) {
    this.#options = options
  }

  /** The value if it is known and fresh; undefined when it must be asked for with `get`. */
  peek(key: string): V | null | undefined {
    const entry = this.#entries.get(key)
    if (entry === undefined || entry.value === undefined || !this.#isFresh(entry)) return undefined
    this.hits += 1
    return entry.value
  }

  async get(key: string, load: (previous: V | null) => Promise<V | null>): Promise<V | null> {
    const entry = this.#entries.get(key)
    if (entry && this.#isFresh(entry)) {
      this.hits += 1
      return entry.value ?? entry.pending
    }
    this.misses += 1
    const readAt = this.#options.now()
    const pending = load(entry?.value ?? null)
    const fresh: Entry<V> = { readAt, value: undefined, pending }
    this.#remember(key, fresh)
    try {
      fresh.value = await pending
      return fresh.value
    } catch (error) {
      // A failed read is nobody's answer but theirs who waited for it.
      if (this.#entries.get(key) === fresh) this.#entries.delete(key)
      throw error
    }
  }

  get size(): number {
    return this.#entries.size
  }

  /** Something changed: nothing read before now may be used again. */
  expire(): void {
    this.#staleBefore = this.#options.now()
  }

  /** Lets go of what nobody asked for in a while: values may be secrets. */
  prune(olderThanMs: number): void {
    const before = this.#options.now() - olderThanMs
    for (const [key, entry] of this.#entries) if (entry.readAt < before) this.#entries.delete(key)
  }

  #isFresh(entry: Entry<V>): boolean {
    return entry.readAt > this.#staleBefore && this.#options.now() - entry.readAt < this.#options.maxAgeMs
  }

  #remember(key: string, entry: Entry<V>): void {
    this.#entries.delete(key)
    this.#entries.set(key, entry)
    if (this.#entries.size <= this.#options.capacity) return
    const oldest = this.#entries.keys().next()
    if (!oldest.done) this.#entries.delete(oldest.value)
  }
}

/** How a cache does, without what it holds. */
export type CacheFigures = Pick<FreshCache<unknown>, 'hits' | 'misses' | 'size'>

type Entry<V> = { readAt: number; value: V | null | undefined; pending: Promise<V | null> }
