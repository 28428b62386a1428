/** A place among the calls that may be under way at once. */
export type Slot = {
  /** What is limited, as `<policy>:<subject>`. */
  readonly name: string
  readonly limit: number
  /** Its number on this server; 0 while it is not held. */
  id: number
}

/** The slots that calls of this server hold. A call that ends gives its own back, so they end with the server. */
export class Slots {
  readonly #held = new Map<string, Set<Slot>>()
  #last = 0

  /** Takes a slot if one is free. */
  take(slot: Slot): boolean {
    const held = this.#held.get(slot.name) ?? new Set()
    if (held.size >= slot.limit) return false
    this.#last += 1
    slot.id = this.#last
    this.#held.set(slot.name, held.add(slot))
    return true
  }

  release(slot: Slot): void {
    const held = this.#held.get(slot.name)
    if (!held?.delete(slot)) return
    slot.id = 0
    if (held.size === 0) this.#held.delete(slot.name)
  }

  get size(): number {
    let size = 0
    for (const held of this.#held.values()) size += held.size
    return size
  }

  /** All that are held. */
  *[Symbol.iterator](): Generator<Slot> {
    for (const held of this.#held.values()) yield* held
  }
}
