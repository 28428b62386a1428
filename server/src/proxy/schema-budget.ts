/**
 * How much work one validation may do. A schema that is harmless on its own can be made to do any amount by the
 * right value: a reference to itself in two branches doubles the work at every level of the value, a pattern is
 * run on every item. All such work is spent from one budget, and what would exceed it is refused.
 */
export class Budget {
  #left = 0

  /** One unit is one step of a pattern or one part of a schema looked at: 10 to 90 ns. */
  fill(units: number): void {
    this.#left = units
  }

  spend(units: number): void {
    this.#left -= units
    if (this.#left < 0) throw new BudgetSpent()
  }
}

export class BudgetSpent extends Error {}

/** How much it costs to apply one part of a schema to every item or property of a value. */
export const costOfMembers = (value: unknown): number => {
  if (Array.isArray(value)) return value.length
  return value !== null && typeof value === 'object' ? keyWeight * Object.keys(value).length : 0
}

// Walking the keys of an object costs several times as much as walking a list.
const keyWeight = 8
