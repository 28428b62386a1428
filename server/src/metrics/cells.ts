/**
 * What a call adds to. A cell is found once, by its labels, and then only counts: prom-client's own looks its
 * labels up at every observation, which takes 0.4 to 1 µs where this takes 0.01.
 */
export class Counter {
  value = 0

  add(by = 1): void {
    this.value += by
  }
}

export class Histogram {
  /** Upper ends of the buckets, ascending; what is above the last counts in a bucket of its own. */
  readonly bounds: readonly number[]
  readonly counts: number[]
  sum = 0

  constructor(bounds: readonly number[]) {
    this.bounds = bounds
    this.counts = [...bounds.map(() => 0), 0]
  }

  observe(value: number): void {
    let bucket = 0
    while (bucket < this.bounds.length && value > (this.bounds[bucket] ?? 0)) bucket += 1
    this.counts[bucket] = (this.counts[bucket] ?? 0) + 1
    this.sum += value
  }
}

/** The cells of one metric, by the values of its labels. Whoever adds often keeps the cell. */
export class Family<Cell> {
  readonly #make: () => Cell
  readonly #cells = new Map<string, { values: readonly string[]; cell: Cell }>()

  constructor(make: () => Cell) {
    this.#make = make
  }

  /** Values stand in the order of the labels. They must come from a bounded set. */
  of(...values: string[]): Cell {
    const key = values.join('\n')
    const known = this.#cells.get(key)
    if (known) return known.cell
    const cell = this.#make()
    this.#cells.set(key, { values, cell })
    return cell
  }

  delete(...values: string[]): void {
    this.#cells.delete(values.join('\n'))
  }

  entries(): Iterable<{ values: readonly string[]; cell: Cell }> {
    return this.#cells.values()
  }
}
