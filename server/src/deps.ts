import { createHmac, type KeyObject, randomBytes } from 'node:crypto'
import type { Clock } from './clock.ts'
import type { Config } from './config.ts'
import type { Database } from './database.ts'
import { DatabaseClock } from './db/database-clock.ts'
import { type Cursors, createCursors } from './db/keyset.ts'
import { keepListening } from './db/listen.ts'
import { makeMonths } from './db/months.ts'
import { cautiousNow } from './db/now.ts'
import { type Limiter, RateLimiter } from './db/rate-limit.ts'
import type { SharedLimiter } from './db/redis/shared-limiter.ts'
import { answered } from './db/renewing-pool.ts'
import { type Connection, connect, isUnavailable, type Pool, type Role, usualTimeoutMs } from './db/sql.ts'
import { createIds, type Ids } from './ids.ts'
import { type OnOwnerKey, openInstallation } from './installation.ts'
import type { Log } from './log.ts'
import { createMetrics, type Metrics } from './metrics/metrics.ts'
import { Attempts } from './proxy/attempts.ts'
import { Authority } from './proxy/authority.ts'
import { Breakers } from './proxy/breaker.ts'
import { Catalogue } from './proxy/catalogue.ts'
import { Egress, type ListenAddress } from './proxy/egress.ts'
import { createLoopGuard, type LoopGuard } from './proxy/loop.ts'
import { Recorder } from './proxy/record.ts'
import { Refusals } from './proxy/refusals.ts'
import { Usage } from './proxy/usage.ts'
import { createReplies, type Replies } from './replies.ts'
import { startTracing, type Tracing } from './tracing.ts'
import type { Keyring } from './vault/keys.ts'

/** Everything the server is made of. Built once, at start; tests build their own with another clock. */
export type Deps = {
  config: Config
  log: Log
  clock: Clock
  ids: Ids
  /** The one connection that may change the schema: for partitions and the tables of jobs. */
  owner: Pool
  /** The pool that sees one workspace at a time. */
  app: Pool
  /** The pool for what has no workspace yet, or many at once. */
  system: Pool
  keyring: Keyring
  pepper: KeyObject
  cursors: Cursors
  replies: Replies
  limiter: Limiter
  authority: Authority
  catalogue: Catalogue
  recorder: Recorder
  refusals: Refusals
  usage: Usage
  egress: Egress
  attempts: Attempts
  breakers: Breakers
  loopGuard: LoopGuard
  metrics: Metrics
  /** Where spans are exported; null where they are not. */
  tracing: Tracing | null
  /** Where callers find this server, known once it listens. */
  publicUrl: () => string
  isStopping: () => boolean
  /** Forgets what is remembered of credentials, actions and secrets. */
  expire: () => void
}

export type Running = {
  deps: Deps
  /** The owner key, if this start made it. */
  ownerKey: string | null
  /** Told of every listener, the one for callers first. */
  listensAt(address: ListenAddress): void
  /** Says that the server is going away: it is not ready any more. */
  announceStop(): void
  close(): Promise<void>
}

/** Without a clock of its own the server goes by the database's, as every other server does. */
export const createDeps = async (
  config: Config,
  log: Log,
  database: Database,
  { clock: given, onOwnerKey }: { clock?: Clock | undefined; onOwnerKey?: OnOwnerKey | undefined } = {},
): Promise<Running> => {
  const { connection, keyring } = database
  const pools: Pool[] = []
  const open = (role: Role, max: number): Pool => {
    const pool = connect(connection, role, { max, statementTimeoutMs: limitOf(role, config) })
    pools.push(pool)
    return pool
  }
  let shared: SharedLimiter | null = null
  try {
    const owner = open('owner', 1)
    const app = open('narrowapi_app', shareOf(10, config.workers))
    const system = open('narrowapi_system', shareOf(8, config.workers))
    const clock = given ?? (await DatabaseClock.start(system, log))
    const ids = createIds(() => clock.now().getTime(), randomBytes)
    await prepareMonths(owner, log, clock)
    const own = new RateLimiter()
    shared = config.redisUrl === null ? null : await share(config.redisUrl, own, log)
    const tracing = await startTracing(config, log)
    const { pepper, cursorKey, ownerKey } = await openInstallation(
      { system, keyring, clock, ids },
      onOwnerKey,
    )

    const ownAddresses: ListenAddress[] = []
    let stopping = false
    const now = () => clock.monotonic()
    const date = () => clock.now()
    const metrics = createMetrics(now)
    const authority = new Authority({ system, pepper, now, date })
    const catalogue = new Catalogue({ system, keyring, now })
    const egress = new Egress({
      allow: config.egressAllow,
      ownAddresses: () => ownAddresses,
      ownOrigin: ownOrigin(config.publicUrl),
    })
    const breakers = new Breakers({
      now,
      tell: ({ workspaceId, ...change }) =>
        log.warn({ workspace_id: workspaceId, ...change }, 'a circuit breaker changed'),
    })
    const deps: Deps = {
      config,
      log,
      clock,
      ids,
      owner,
      app,
      system,
      keyring,
      pepper,
      cursors: createCursors(cursorKey),
      replies: createReplies(keyring),
      limiter: shared ?? own,
      authority,
      catalogue,
      recorder: new Recorder({ pipe: open('narrowapi_system', 1), system, log, figures: metrics.records }),
      refusals: new Refusals({ app, log, ids, now: date }),
      usage: new Usage({ system, log, now: date }),
      egress,
      attempts: new Attempts({ egress, breakers, now, random: Math.random }),
      breakers,
      // Of the pepper, so that all servers of the installation have the same.
      loopGuard: createLoopGuard(createHmac('sha256', pepper).update('cdn-loop').digest('hex').slice(0, 16)),
      metrics,
      tracing,
      publicUrl: () =>
        config.publicUrl ?? addressUrl(ownAddresses[0] ?? { address: '127.0.0.1', port: 3000 }),
      isStopping: () => stopping,
      expire: () => {
        authority.expire()
        catalogue.expire()
      },
    }
    const changes = await listenForChanges(connection, deps)
    return {
      deps,
      ownerKey,
      listensAt(address) {
        ownAddresses.push(address)
      },
      announceStop() {
        stopping = true
      },
      async close() {
        deps.attempts.close()
        await deps.egress.close()
        await deps.recorder.drain()
        await deps.refusals.drain()
        await deps.usage.stop()
        await changes.stop()
        if (clock instanceof DatabaseClock) clock.stop()
        shared?.close()
        await tracing?.close()
        await Promise.all(pools.map((pool) => pool.end({ timeout: 5 })))
        await database.close()
      },
    }
  } catch (error) {
    shared?.close()
    await Promise.all(pools.map((pool) => pool.end({ timeout: 1 })))
    await database.close()
    throw error
  }
}

/** Who lowers the limit means callers, and not that months are no longer made and dropped. */
const limitOf = (role: Role, { databaseTimeoutMs }: Config): number =>
  role === 'owner' ? Math.max(databaseTimeoutMs, usualTimeoutMs) : databaseTimeoutMs

/** A start does not depend on it: until the job does it, `executions_later` takes what has no month. */
const prepareMonths = async (owner: Pool, log: Log, clock: Clock): Promise<void> => {
  try {
    const months = await makeMonths(owner, log, await answered(owner, cautiousNow(owner, clock)))
    if (months.length > 0) log.info({ months }, 'partitions were made')
  } catch (error) {
    if (!isUnavailable(error)) throw error
    log.warn({ error }, 'partitions are not made yet: the table of executions was in use')
  }
}

/** The workers of a machine share what one server would open, since they share its work. */
const shareOf = (connections: number, workers: number): number =>
  Math.max(2, Math.ceil(connections / workers))

/** Loads the Redis client only where it is used. */
const share = async (url: string, own: RateLimiter, log: Log): Promise<SharedLimiter> => {
  const { shareLimits } = await import('./db/redis/shared-limiter.ts')
  return shareLimits(url, own, log)
}

/**
 * Whatever is remembered of credentials, actions and secrets is forgotten when PostgreSQL tells of a change,
 * and when the listening connection is made anew, since something may have been missed meanwhile.
 */
const listenForChanges = (
  connection: Connection,
  { log, expire }: Deps,
): Promise<{ stop(): Promise<void> }> => {
  const pool = connect(connection, 'narrowapi_system', {
    max: 1,
    statementTimeoutMs: listenTimeoutMs,
    onnotify: expire,
  })
  return keepListening({ pool, channel: 'narrowapi_authority', log, onListening: expire })
}

/** To listen needs no work, so an answer that takes longer comes from nobody. */
const listenTimeoutMs = 3_000

/** With a path, others may answer beside us under the same origin; then only the loop guard knows its own. */
const ownOrigin = (publicUrl: string | null): string | null => {
  const url = publicUrl === null ? null : new URL(publicUrl)
  return url?.pathname === '/' ? url.origin : null
}

/** How this machine reaches a listener. */
export const addressUrl = (listening: ListenAddress): string => {
  const anywhere = ['0.0.0.0', '::'].includes(listening.address)
  const host = anywhere ? '127.0.0.1' : listening.address
  return `http://${host.includes(':') ? `[${host}]` : host}:${listening.port}`
}
