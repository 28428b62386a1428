import type { Fault } from './fault.ts'

/** What a request of an operation meets instead of the mock's own answer. */
export type Behaviour =
  | { readonly kind: 'answer'; readonly answer: unknown }
  | { readonly kind: 'fault'; readonly fault: Fault }

/**
 * Those that are given a number of times come first, in the order they were given, and are then used up. After
 * them stands the last one that was given for good; where there is none, the mock answers by itself. A fault of
 * every operation strikes whatever else an operation was told.
 */
export class Behaviours {
  readonly #limited = new Map<string, { behaviour: Behaviour; left: number }[]>()
  readonly #lasting = new Map<string, Behaviour>()

  add(operation: string, behaviour: Behaviour, times: number): void {
    if (!(times > 0)) throw new RangeError(`times must be at least 1, not ${times}`)
    if (times === Number.POSITIVE_INFINITY) this.#lasting.set(operation, behaviour)
    else this.#limited.set(operation, [...(this.#limited.get(operation) ?? []), { behaviour, left: times }])
  }

  takeFault(operation: string): Fault | undefined {
    const next = this.#next(operation)
    if (next?.kind === 'fault') return this.#use(operation, next).fault
    const everywhere = this.#next(ANY)
    return everywhere?.kind === 'fault' ? this.#use(ANY, everywhere).fault : undefined
  }

  /** Undefined where there is no override, or its turn has not come. */
  takeAnswer(operation: string): { readonly answer: unknown } | undefined {
    const next = this.#next(operation)
    return next?.kind === 'answer' ? this.#use(operation, next) : undefined
  }

  #next(operation: string): Behaviour | undefined {
    return this.#limited.get(operation)?.[0]?.behaviour ?? this.#lasting.get(operation)
  }

  #use<Used extends Behaviour>(operation: string, used: Used): Used {
    const [first, ...rest] = this.#limited.get(operation) ?? []
    if (first)
      this.#limited.set(operation, first.left > 1 ? [{ ...first, left: first.left - 1 }, ...rest] : rest)
    return used
  }

  clear(operation?: string): void {
    for (const kept of [this.#limited, this.#lasting]) {
      if (operation === undefined) kept.clear()
      else kept.delete(operation)
    }
  }
}

/** Stands for every operation. */
export const ANY = '*'
