import { type KeyObject, randomBytes } from 'node:crypto'
import { type Clock, systemClock } from './clock.ts'
import type { Config } from './config.ts'
import { openDatabase } from './database.ts'
import { type Cursors, createCursors } from './db/keyset.ts'
import { type Limiter, RateLimiter } from './db/rate-limit.ts'
import type { SharedLimiter } from './db/redis/shared-limiter.ts'
import { connect, type Pool } from './db/sql.ts'
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
import type { Keyring } from './vault/keys.ts'

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
  limiter: Limiter
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

export const createDeps = async (config: Config, log: Log, clock: Clock = systemClock): Promise<Running> => {
  const ids = createIds(() => clock.now().getTime(), randomBytes)
  const database = await openDatabase(config, log)
  const { connection, keyring } = database
  const pools: Pool[] = []
  const open = (role: Parameters<typeof connect>[1], max: number): Pool => {
    const pool = connect(connection, role, { max })
    pools.push(pool)
    return pool
  }
  let shared: SharedLimiter | null = null
  try {
    const app = open('narrowapi_app', shareOf(10, config.workers))
    const system = open('narrowapi_system', shareOf(8, config.workers))
    const own = new RateLimiter()
    shared = config.redisUrl === null ? null : await share(config.redisUrl, own, log)
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
      limiter: shared ?? own,
      authority,
      catalogue,
      recorder: new Recorder({ pipe: open('narrowapi_system', 1), system, log }),
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
    await listenForChanges(deps)
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
        shared?.close()
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
const listenForChanges = async ({ system, expire }: Deps): Promise<void> => {
  await system.listen('narrowapi_authority', expire, expire)
}

const addressUrl = (listening: { address: string; port: number } | null): string => {
  if (!listening) return 'http://127.0.0.1:3000'
  const anywhere = ['0.0.0.0', '::'].includes(listening.address)
  const host = anywhere ? '127.0.0.1' : listening.address
  return `http://${host.includes(':') ? `[${host}]` : host}:${listening.port}`
}
