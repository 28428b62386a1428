import { type KeyObject, randomBytes } from 'node:crypto'
import { join } from 'node:path'
import type { Clock } from './clock.ts'
import type { Config } from './config.ts'
import { DatabaseClock } from './db/database-clock.ts'
import { startEmbedded } from './db/embedded.ts'
import { type Cursors, createCursors } from './db/keyset.ts'
import { keepListening } from './db/listen.ts'
import { migrate } from './db/migrate.ts'
import { RateLimiter } from './db/rate-limit.ts'
import { type Connection, connect, type Pool } from './db/sql.ts'
import { createIds, type Ids } from './ids.ts'
import { openInstallation } from './installation.ts'
import type { Log } from './log.ts'
import { Authority } from './proxy/authority.ts'
import { Catalogue } from './proxy/catalogue.ts'
import { Egress } from './proxy/egress.ts'
import { Recorder } from './proxy/record.ts'
import { Refusals } from './proxy/refusals.ts'
import { Usage } from './proxy/usage.ts'
import { createReplies, type Replies } from './replies.ts'
import { type Keyring, loadOrCreateMasterKey, parseMasterKeys } from './vault/keys.ts'

/** Everything the server is made of. Built once, at start; tests build their own with another clock. */
export type Deps = {
  config: Config
  log: Log
  clock: Clock
  ids: Ids
  /** The pool that sees one workspace at a time. */
  app: Pool
  /** The pool for what has no workspace yet, or many at once. */
  system: Pool
  keyring: Keyring
  pepper: KeyObject
  cursors: Cursors
  replies: Replies
  limiter: RateLimiter
  authority: Authority
  catalogue: Catalogue
  recorder: Recorder
  refusals: Refusals
  usage: Usage
  egress: Egress
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
  setAddress(address: { address: string; port: number }): void
  /** Says that the server is going away: it is not ready any more. */
  announceStop(): void
  close(): Promise<void>
}

/** Without a clock of its own the server goes by the database's, as every other server does. */
export const createDeps = async (config: Config, log: Log, given?: Clock): Promise<Running> => {
  const embedded = config.databaseUrl === null ? await startEmbedded({ dataDir: config.dataDir, log }) : null
  const pools: Pool[] = []
  const open = (connection: Connection, role: Parameters<typeof connect>[1], max: number): Pool => {
    const pool = connect(connection, role, { max, statementTimeoutMs: config.databaseTimeoutMs })
    pools.push(pool)
    return pool
  }
  try {
    const connection = config.databaseUrl ?? embedded?.connection
    if (connection === undefined) throw new Error('There is no database to connect to')
    const keyring =
      config.masterKey === null
        ? await loadOrCreateMasterKey(join(config.dataDir, 'master.key'))
        : parseMasterKeys(config.masterKey)
    const owner = open(connection, 'owner', 1)
    const applied = await migrate(owner)
    if (applied.length > 0) log.info({ migrations: applied }, 'the schema was brought up to date')
    await owner.end()
    const app = open(connection, 'narrowapi_app', 10)
    const system = open(connection, 'narrowapi_system', 8)
    const clock = given ?? (await DatabaseClock.start(system, log))
    const ids = createIds(() => clock.now().getTime(), randomBytes)
    const { pepper, cursorKey, ownerKey } = await openInstallation({ system, keyring, clock, ids })

    let listening: { address: string; port: number } | null = null
    let stopping = false
    const now = () => clock.monotonic()
    const date = () => clock.now()
    const authority = new Authority({ system, pepper, now, date })
    const catalogue = new Catalogue({ system, keyring, now })
    const deps: Deps = {
      config,
      log,
      clock,
      ids,
      app,
      system,
      keyring,
      pepper,
      cursors: createCursors(cursorKey),
      replies: createReplies(keyring),
      limiter: new RateLimiter(),
      authority,
      catalogue,
      recorder: new Recorder({ pipe: open(connection, 'narrowapi_system', 1), system, log }),
      refusals: new Refusals({ app, log, ids, now: date }),
      usage: new Usage({ system, log, now: date }),
      egress: new Egress({ allow: config.egressAllow, ownAddresses: () => (listening ? [listening] : []) }),
      publicUrl: () => config.publicUrl ?? addressUrl(listening),
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
      setAddress(address) {
        listening = address
      },
      announceStop() {
        stopping = true
      },
      async close() {
        await deps.egress.close()
        await deps.recorder.drain()
        await deps.refusals.drain()
        await deps.usage.stop()
        await changes.stop()
        if (clock instanceof DatabaseClock) clock.stop()
        await Promise.all(pools.map((pool) => pool.end({ timeout: 5 })))
        await embedded?.stop()
      },
    }
  } catch (error) {
    await Promise.all(pools.map((pool) => pool.end({ timeout: 1 })))
    await embedded?.stop()
    throw error
  }
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

const addressUrl = (listening: { address: string; port: number } | null): string => {
  if (!listening) return 'http://127.0.0.1:3000'
  const anywhere = ['0.0.0.0', '::'].includes(listening.address)
  const host = anywhere ? '127.0.0.1' : listening.address
  return `http://${host.includes(':') ? `[${host}]` : host}:${listening.port}`
}
