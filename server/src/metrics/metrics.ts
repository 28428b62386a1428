import { CallMetrics } from './calls.ts'
import type { Counter } from './cells.ts'
import { recordMetrics } from './records.ts'
import { MetricRegistry } from './registry.ts'
import { RequestMetrics } from './requests.ts'

/** The figures of this server, each with the part that counts it. `registry` takes those of further parts. */
export type Metrics = {
  registry: MetricRegistry
  requests: RequestMetrics
  calls: CallMetrics
  records: ReturnType<typeof recordMetrics>
  /** Times the database was found away. */
  databaseAway: Counter
}

/** `now` is in milliseconds and never goes back. They count whether or not anybody asks: a branch would cost as much. */
export const createMetrics = (now: () => number): Metrics => {
  const registry = new MetricRegistry()
  return {
    registry,
    requests: new RequestMetrics(registry),
    calls: new CallMetrics(registry, now),
    records: recordMetrics(registry),
    databaseAway: registry
      .counters({
        name: 'narrowapi_database_away_total',
        help: 'How often a request or the upkeep found that the database cannot be asked',
        labels: [],
      })
      .of(),
  }
}
