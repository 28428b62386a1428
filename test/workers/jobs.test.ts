import { randomBytes } from 'node:crypto'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { readConfig } from '../../server/src/config.ts'
import { openDatabase } from '../../server/src/database.ts'
import { createDeps, type Running } from '../../server/src/deps.ts'
import { createLog } from '../../server/src/log.ts'
import { startJobs } from '../../server/src/workers/jobs.ts'
import { createDatabase, type TestDatabase } from '../support/database.ts'
import { keptLines } from './kept-lines.ts'

let database: TestDatabase
const servers: { running: Running; lines: string[] }[] = []

/** Servers without HTTP in front: jobs know nothing of it. */
beforeAll(async () => {
  database = await createDatabase()
  const config = readConfig({
    DATABASE_URL: database.url,
    NARROWAPI_MASTER_KEY: randomBytes(32).toString('base64'),
    LOG_LEVEL: 'info',
  })
  for (let count = 0; count < 2; count += 1) {
    const { lines, destination } = keptLines()
    const log = createLog('info', destination)
    servers.push({ running: await createDeps(config, log, await openDatabase(config, log)), lines })
  }
})

afterAll(async () => {
  for (const { running } of servers) await running.close()
  await database.drop()
})

/** How often each server has run the job, by what it logged. */
const runs = () =>
  servers.map(({ lines }) => lines.filter((line) => line.includes('executions are kept')).length)
const total = () => runs().reduce((sum, count) => sum + count, 0)

test('one schedule for all servers: of two, one does each run', async () => {
  const everyMinute = '* * * * *'
  // The schedule is looked at when a server starts, and then twice a minute: so that it is there for the next two.
  const [first] = servers
  if (!first) throw new Error('There is no server')
  const once = startJobs(first.running.deps, everyMinute)
  const scheduled = () =>
    database.sql`select from narrowapi_jobs.schedule`.then(
      ({ length }) => length,
      () => 0,
    )
  await expect.poll(scheduled, { timeout: 20_000 }).toBe(1)
  await once.stop()
  await database.sql`update narrowapi_jobs.version set cron_on = null`
  const jobs = servers.map(({ running }) => startJobs(running.deps, everyMinute))
  try {
    await expect.poll(total, { timeout: 110_000, interval: 250 }).toBeGreaterThan(0)
    const completed = () => database.sql`
      select id from narrowapi_jobs.job where name = 'retention' and state = 'completed'`
    await expect.poll(async () => (await completed()).length - total(), { timeout: 10_000 }).toBe(0)
    // A second run for the same minute would be waiting by now.
    const others = await database.sql`
      select id from narrowapi_jobs.job
      where name = 'retention' and date_trunc('minute', created_on) in (
        select date_trunc('minute', created_on) from narrowapi_jobs.job where name = 'retention'
        group by 1 having count(*) > 1
      )`
    expect(others).toHaveLength(0)
  } finally {
    await Promise.all(jobs.map((job) => job.stop()))
  }
}, 130_000)
