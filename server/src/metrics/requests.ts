import { contract, errorCodes } from '@narrowapi/contract'
import type { ApiError } from '../errors.ts'
import type { Counter, Family, Histogram } from './cells.ts'
import type { MetricRegistry } from './registry.ts'

/** Seconds, for requests and upstream calls alike, so that the two can be laid over each other. */
export const durationBounds = [
  0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60,
] as const

/** Statuses of answers by their first digit. */
export const statusClasses = ['2xx', '3xx', '4xx', '5xx'] as const

/** What stands for every path that no route has, so that a caller cannot make new series by asking for them. */
const noRoute = 'other'

/** The first parts of the names of limits. Said before they are met, because a rate needs a series to begin at 0. */
const policies = ['default', 'unknown', 'workspace', 'token', 'action', 'action_hour'] as const

/** Methods that routes have; what else a caller writes there is one value. */
const methods: ReadonlySet<string> = new Set(['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS'])

/** Requests as callers see them: how many, how long, and what was refused. */
export class RequestMetrics {
  /** Begun and not yet answered. */
  inFlight = 0
  readonly #durations: Family<Histogram>
  readonly #calls: Readonly<Record<string, Histogram>>
  readonly #refusals: Readonly<Record<string, Counter>>
  readonly #limits: Family<Counter>

  constructor(registry: MetricRegistry) {
    this.#durations = registry.histograms(
      {
        name: 'narrowapi_http_request_duration_seconds',
        help: 'Requests by the pattern of their route, from the first step to the answer',
        labels: ['method', 'route', 'status_class'],
      },
      durationBounds,
    )
    const { method, path } = contract.x.execute
    this.#calls = Object.fromEntries(
      statusClasses.map((status) => [status[0], this.#durations.of(method, path, status)]),
    )
    const refusals = registry.counters({
      name: 'narrowapi_refusals_total',
      help: 'Error answers by their code',
      labels: ['code'],
    })
    this.#refusals = Object.fromEntries(Object.keys(errorCodes).map((code) => [code, refusals.of(code)]))
    this.#limits = registry.counters({
      name: 'narrowapi_rate_limited_total',
      help: 'Requests refused by a rate limit, by the limit that refused',
      labels: ['policy'],
    })
    for (const policy of policies) this.#limits.of(policy)
    registry.gauge(
      { name: 'narrowapi_http_requests_in_flight', help: 'Requests begun and not yet answered' },
      () => this.inFlight,
    )
  }

  /** A call of an agent. Apart from the others because it must cost nothing. */
  observeCall(status: number, durationMs: number): void {
    this.#calls[Math.floor(status / 100)]?.observe(durationMs / 1000)
  }

  /** Any other request; `route` is a pattern, null when none fits, `status` null when nobody waited for one. */
  observe(method: string, route: string | null, status: number | null, durationMs: number): void {
    const known = methods.has(method) ? method : noRoute
    const statusClass = status === null ? 'aborted' : `${Math.floor(status / 100)}xx`
    this.#durations.of(known, route ?? noRoute, statusClass).observe(durationMs / 1000)
  }

  refuse({ code, extras }: ApiError): void {
    this.#refusals[code]?.add()
    if (code === 'rate_limited' && extras.policy !== undefined) this.#limits.of(extras.policy).add()
  }
}
