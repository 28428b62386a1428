import { transactionsOf } from '../db/transaction.ts'
import type { Deps } from '../deps.ts'
import { version } from '../version.ts'
import type { Reading } from './registry.ts'

/** What the parts of the server know anyway, read when somebody asks. */
export const watchParts = (deps: Deps): void => {
  const { registry } = deps.metrics
  registry.read(
    'gauge',
    { name: 'narrowapi_build_info', help: 'Always 1; the version of the package', labels: ['version'] },
    () => [[[version], 1]],
  )
  watchCaches(deps)
  watchDatabase(deps)
  watchUpstreams(deps)
  watchBreakers(deps)
  watchLimits(deps)
}

const watchCaches = ({ authority, catalogue, metrics: { registry } }: Deps): void => {
  const caches = [...authority.caches(), ...catalogue.caches()]
  const labels = ['cache']
  registry.read('counter', { name: 'narrowapi_cache_hits_total', help: 'Answers from memory', labels }, () =>
    caches.map(([name, cache]): Reading => [[name], cache.hits]),
  )
  registry.read(
    'counter',
    { name: 'narrowapi_cache_misses_total', help: 'Reads of the database to fill memory', labels },
    () => caches.map(([name, cache]): Reading => [[name], cache.misses]),
  )
  registry.read('gauge', { name: 'narrowapi_cache_entries', help: 'What is remembered', labels }, () =>
    caches.map(([name, cache]): Reading => [[name], cache.size]),
  )
}

const watchDatabase = ({ app, system, recorder, metrics: { registry } }: Deps): void => {
  registry.read(
    'gauge',
    {
      name: 'narrowapi_record_queue_rows',
      help: 'Rows that wait for a commit of their queue',
      labels: ['queue'],
    },
    () => recorder.waiting().map(([queue, rows]): Reading => [[queue], rows]),
  )
  const pools = [
    ['app', app],
    ['system', system],
  ] as const
  registry.read(
    'gauge',
    {
      name: 'narrowapi_database_transactions',
      help: 'Transactions that have a connection (open) or wait for one (waiting)',
      labels: ['pool', 'state'],
    },
    () =>
      pools.flatMap(([name, pool]): Reading[] => {
        const { open, waiting } = transactionsOf(pool)
        return [
          [[name, 'open'], open],
          [[name, 'waiting'], waiting],
        ]
      }),
  )
  registry.read(
    'gauge',
    {
      name: 'narrowapi_database_connections_limit',
      help: 'The most connections a pool opens',
      labels: ['pool'],
    },
    () => pools.map(([name, pool]): Reading => [[name], pool.options.max]),
  )
}

const watchBreakers = ({ breakers, metrics: { registry } }: Deps): void => {
  registry.read(
    'gauge',
    {
      name: 'narrowapi_breaker_targets',
      help: 'Upstream origins of a workspace whose circuit breaker is not closed',
      labels: ['state'],
    },
    () => {
      const states = breakers.list().map(({ state }) => state)
      return (['open', 'half_open'] as const).map(
        (state): Reading => [[state], states.filter((one) => one === state).length],
      )
    },
  )
  registry.read(
    'counter',
    { name: 'narrowapi_breaker_openings_total', help: 'How often a circuit breaker opened', labels: [] },
    () => [[[], breakers.openings]],
  )
}

/** Where limits are not shared, this server counts all of them for itself, and that is no outage. */
const watchLimits = ({ limiter, metrics: { registry } }: Deps): void => {
  registry.gauge(
    { name: 'narrowapi_concurrency_slots_held', help: 'Calls under way of actions that limit them' },
    () => limiter.heldSlots,
  )
  registry.gauge(
    { name: 'narrowapi_limits_shared', help: '1 while limits are counted over all servers, through Redis' },
    () => (limiter.sharing?.isShared ? 1 : 0),
  )
  registry.read(
    'counter',
    {
      name: 'narrowapi_limits_counted_total',
      help: 'Requests by where their limits were counted, on a server that shares them',
      labels: ['where'],
    },
    () => [
      [['shared'], limiter.sharing?.shared ?? 0],
      [['own'], limiter.sharing?.own ?? 0],
    ],
  )
  registry.read(
    'counter',
    { name: 'narrowapi_limits_outages_total', help: 'How often the sharing of limits broke off', labels: [] },
    () => [[[], limiter.sharing?.outages ?? 0]],
  )
}

const watchUpstreams = ({ egress, metrics: { registry } }: Deps): void => {
  registry.gauge(
    { name: 'narrowapi_upstream_origins', help: 'Upstream hosts with a pool of connections' },
    () => egress.origins,
  )
  registry.read(
    'gauge',
    {
      name: 'narrowapi_upstream_connections',
      help: 'Connections to upstreams: all that are open (connected), and those of them in no use (free)',
      labels: ['state'],
    },
    () => {
      const { connected, free } = egress.connections()
      return [
        [['connected'], connected],
        [['free'], free],
      ]
    },
  )
  registry.read(
    'gauge',
    {
      name: 'narrowapi_upstream_requests',
      help: 'Requests to upstreams: those that are sent (running) or wait for a connection (waiting)',
      labels: ['state'],
    },
    () => {
      const { running, waiting } = egress.connections()
      return [
        [['running'], running],
        [['waiting'], waiting],
      ]
    },
  )
}
