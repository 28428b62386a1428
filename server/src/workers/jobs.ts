import { setTimeout as sleep } from 'node:timers/promises'
import type { PgBoss } from 'pg-boss'
import { answered, lifeOf } from '../db/renewing-pool.ts'
import type { Pool } from '../db/sql.ts'
import type { Deps } from '../deps.ts'
import { retain } from './retention.ts'

/** Once an hour, at a minute at which little else in the world begins. */
const hourly = '17 * * * *'

/**
 * What one server does for all of them, on a schedule that all share. pg-boss keeps the schedule and its runs in
 * tables of its own; a run that fails, or whose server dies, is run again.
 *
 * It starts some time after the server: loading it takes as long as all the rest of a start and holds the process
 * up, and no request needs it.
 */
export const startJobs = (deps: Deps, schedule = hourly): { stop(): Promise<void> } => {
  const stopping = new AbortController()
  const started = start(deps, schedule, stopping.signal)
  return {
    async stop() {
      stopping.abort()
      try {
        const boss = await within(stopGraceMs, started)
        await within(stopMs + stopGraceMs, boss?.stop({ graceful: true, timeout: stopMs }))
      } catch (error) {
        deps.log.warn({ error }, 'jobs were not stopped cleanly')
        // A database that is away must not keep the server from stopping.
        lifeOf(deps.owner).cut()
      }
    },
  }
}

const within = <T>(ms: number, work: T | Promise<T>): Promise<T> =>
  Promise.race([work, sleep(ms, undefined, { ref: false }).then(tooLate)])

const tooLate = (): never => {
  throw new Error('The database did not answer in time')
}

const schema = 'narrowapi_jobs'
const retention = 'retention'
const runSeconds = 15 * 60
const pollSeconds = 15
const stopMs = 5_000
/** For a start that is under way, and for what the database must be told of runs that were cut. */
const stopGraceMs = 2_000
const settleMs = 2_000
const againMs = 30_000

/** Until it works: a database that is away for a moment must not mean that nothing is ever deleted again. */
const start = async (deps: Deps, schedule: string, stopping: AbortSignal): Promise<PgBoss | null> => {
  await pause(settleMs, stopping)
  while (!stopping.aborted) {
    try {
      return await open(deps, schedule, stopping)
    } catch (error) {
      deps.log.warn({ error }, 'jobs could not be started; they are tried again')
      await pause(againMs, stopping)
    }
  }
  return null
}

/** Ends early when the server stops. */
const pause = (ms: number, signal: AbortSignal): Promise<void> =>
  sleep(ms, undefined, { signal }).catch(() => {})

const open = async (deps: Deps, schedule: string, stopping: AbortSignal): Promise<PgBoss> => {
  const { PgBoss } = await import('pg-boss')
  const boss = new PgBoss({ db: adapter(deps.owner), schema, persistQueueStats: false })
  boss.on('error', (error) => deps.log.warn({ error }, 'jobs were put off: the database did not answer'))
  try {
    await boss.start()
    // Exclusive: one run waits or is under way, whatever the schedule and the servers ask for.
    await boss.createQueue(retention, {
      policy: 'exclusive',
      expireInSeconds: runSeconds,
      retryLimit: 3,
      retryDelay: 60,
    })
    await boss.schedule(retention, schedule, null, { missed: 'once' })
    await boss.work(retention, { pollingIntervalSeconds: pollSeconds }, async ([job]) =>
      retain(deps, AbortSignal.any(job ? [stopping, job.signal] : [stopping])),
    )
    return boss
  } catch (error) {
    await boss.stop({ graceful: false }).catch(() => {})
    throw error
  }
}

/** The owner has one connection, so a script of pg-boss may hold a transaction over several statements. */
export const adapter = (owner: Pool) => ({
  async executeSql(text: string, values: unknown[] = []) {
    // Our driver sends times as text, see `db/sql.ts`; of other types pg-boss sends what both drivers take.
    const sent = values.map((value) => (value instanceof Date ? value.toISOString() : value))
    const asked = owner.unsafe(text, sent as Parameters<Pool['unsafe']>[1])
    const rows: unknown[] = await answered(owner, asked)
    return { rows: rows.some(Array.isArray) ? rows.flat() : rows }
  },
})
