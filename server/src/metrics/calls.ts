import type { Execution } from '@narrowapi/contract'
import type { Counter, Family, Histogram } from './cells.ts'
import type { MetricRegistry } from './registry.ts'
import { durationBounds, statusClasses } from './requests.ts'

/** How many actions have figures of their own at once; all others together are `other`. */
export const maxActions = 100

/** An action that was not called for so long gives its place to one that is. */
export const actionIdleMs = 15 * 60_000

const sweepMs = 10_000
const noAnswer = 'no_answer'

/**
 * Calls of agents: how they ended, and what their upstreams took. Actions are the one label whose values users
 * make, so only a bounded number has its own, by id. One that comes when all places are taken counts as `other`
 * until a place is idle: changing places at each call would make series that live for one scrape.
 */
export class CallMetrics {
  readonly #executions: Readonly<Record<'completed' | 'failed' | 'rejected', Counter>>
  readonly #durations: Family<Histogram>
  readonly #results: Family<Counter>
  readonly #actions = new Map<string, ActionFigures>()
  readonly #others: ActionFigures
  readonly #now: () => number
  #sweptAt = Number.NEGATIVE_INFINITY

  constructor(registry: MetricRegistry, now: () => number) {
    this.#now = now
    const executions = registry.counters({
      name: 'narrowapi_executions_total',
      help: 'Calls of actions by how they ended; one refused before it was sent is rejected',
      labels: ['status'],
    })
    this.#executions = {
      completed: executions.of('completed'),
      failed: executions.of('failed'),
      rejected: executions.of('rejected'),
    }
    this.#durations = registry.histograms(
      {
        name: 'narrowapi_upstream_duration_seconds',
        help: 'Upstream calls by action, from asking for a connection to the whole answer',
        labels: ['action'],
      },
      durationBounds,
    )
    this.#results = registry.counters({
      name: 'narrowapi_upstream_calls_total',
      help: 'Upstream calls by action and by the status of the answer',
      labels: ['action', 'result'],
    })
    this.#others = this.#figuresOf('other')
  }

  rejected(): void {
    this.#executions.rejected.add()
  }

  ended(actionId: string, status: 'completed' | 'failed', upstream: Execution['upstream']): void {
    this.#executions[status].add()
    if (upstream === null) return
    const { durations, results } = this.#placeOf(actionId)
    durations.observe(upstream.duration_ms / 1000)
    results[upstream.status === null ? noAnswer : Math.floor(upstream.status / 100)]?.add()
  }

  #placeOf(actionId: string): ActionFigures {
    const now = this.#now()
    const known = this.#actions.get(actionId) ?? this.#newPlace(actionId, now)
    known.usedAt = now
    return known
  }

  #newPlace(actionId: string, now: number): ActionFigures {
    if (this.#actions.size >= maxActions) this.#forgetIdle(now)
    if (this.#actions.size >= maxActions) return this.#others
    const fresh = this.#figuresOf(actionId)
    this.#actions.set(actionId, fresh)
    return fresh
  }

  /** Once in a while at most: looking at every place for each call that has none would cost it dearly. */
  #forgetIdle(now: number): void {
    if (now - this.#sweptAt < sweepMs) return
    this.#sweptAt = now
    for (const [actionId, { usedAt }] of this.#actions) {
      if (now - usedAt < actionIdleMs) continue
      this.#actions.delete(actionId)
      this.#durations.delete(actionId)
      for (const result of [noAnswer, ...statusClasses]) this.#results.delete(actionId, result)
    }
  }

  #figuresOf(action: string): ActionFigures {
    return {
      usedAt: 0,
      durations: this.#durations.of(action),
      results: {
        [noAnswer]: this.#results.of(action, noAnswer),
        ...Object.fromEntries(statusClasses.map((status) => [status[0], this.#results.of(action, status)])),
      },
    }
  }
}

type ActionFigures = {
  usedAt: number
  durations: Histogram
  /** By the first digit of the status. */
  results: Readonly<Record<string | number, Counter>>
}
