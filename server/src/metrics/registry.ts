import { collectDefaultMetrics, type Metric, Registry } from 'prom-client'
import { Counter, Family, Histogram } from './cells.ts'

type Described = {
  /** By the rules of Prometheus: `narrowapi_`, a noun, the unit, and `_total` when it only grows. */
  name: string
  help: string
}
type Labelled = Described & { labels: readonly string[] }

/** What is read when somebody asks: the values of the labels, in their order, and the figure. */
export type Reading = readonly [values: readonly string[], figure: number]

type Sample = { labels: Record<string, string>; value: number; metricName?: string }

/**
 * The figures of one server. Parts declare theirs here at start and add to them with plain calls; what a part
 * knows anyway is read when it is asked for. Labels never hold what callers or workspaces choose or are called.
 */
export class MetricRegistry {
  readonly #registry = new Registry()

  counters(labelled: Labelled): Family<Counter> {
    const family = new Family(() => new Counter())
    this.#add('counter', labelled, function* () {
      for (const { values, cell } of family.entries()) {
        yield { labels: named(labelled, values), value: cell.value }
      }
    })
    return family
  }

  histograms(labelled: Labelled, bounds: readonly number[]): Family<Histogram> {
    const family = new Family(() => new Histogram(bounds))
    this.#add('histogram', labelled, function* () {
      for (const { values, cell } of family.entries()) {
        yield* samplesOf(labelled.name, named(labelled, values), cell)
      }
    })
    return family
  }

  /** One figure that is read when it is asked for. */
  gauge(described: Described, read: () => number | Promise<number>): void {
    this.read('gauge', { ...described, labels: [] }, async () => [[[], await read()]])
  }

  /** Several figures that are read when they are asked for; a counter for what a part counts by itself. */
  read(
    type: 'gauge' | 'counter',
    labelled: Labelled,
    read: () => readonly Reading[] | Promise<readonly Reading[]>,
  ): void {
    this.#add(type, labelled, async () =>
      (await read()).map(([values, value]) => ({ labels: named(labelled, values), value })),
    )
  }

  /** Processor time, memory, handles, garbage collection, delay of the event loop; not the version of Node. */
  watchProcess(): void {
    collectDefaultMetrics({ register: this.#registry })
    this.#registry.removeSingleMetric('nodejs_version_info')
  }

  get contentType(): string {
    return this.#registry.contentType
  }

  text(): Promise<string> {
    return this.#registry.metrics()
  }

  #add(
    type: 'gauge' | 'counter' | 'histogram',
    { name, help }: Described,
    read: () => Iterable<Sample> | Promise<Iterable<Sample>>,
  ): void {
    const metric = {
      name,
      help,
      type,
      aggregator: 'sum',
      get: async () => ({ name, help, type, aggregator: 'sum', values: [...(await read())] }),
    }
    // The registry asks nothing else of a metric, though its type names prom-client's own classes.
    this.#registry.registerMetric(metric as unknown as Metric)
  }
}

const named = ({ labels }: Labelled, values: readonly string[]): Record<string, string> =>
  Object.fromEntries(labels.map((label, index) => [label, values[index] ?? '']))

/** The exposition counts each bucket with all below it. */
const samplesOf = function* (
  name: string,
  labels: Record<string, string>,
  { bounds, counts, sum }: Histogram,
): Iterable<Sample> {
  let below = 0
  for (const [index, count] of counts.entries()) {
    below += count
    const le = String(bounds[index] ?? '+Inf')
    yield { metricName: `${name}_bucket`, labels: { ...labels, le }, value: below }
  }
  yield { metricName: `${name}_sum`, labels, value: sum }
  yield { metricName: `${name}_count`, labels, value: below }
}
