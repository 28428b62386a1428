import { createHash, randomBytes } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { migrate } from '../../server/src/db/migrate.ts'
import { dropMonths, makeMonths, startOfMonth } from '../../server/src/db/months.ts'
import { connect, type Pool } from '../../server/src/db/sql.ts'
import { createIds } from '../../server/src/ids.ts'
import { createLog } from '../../server/src/log.ts'
import { type ExecutionRow, writeExecutions } from '../../server/src/proxy/record-queries.ts'
import { createEmptyDatabase, type TestDatabase } from '../support/database.ts'
import { partitionOf, partitions } from '../workers/history.ts'

/**
 * A database as the version before partitions left it, owned by somebody who is no superuser: row-level security is
 * forced on him, so what only he can see would be lost.
 */
const owner = { name: `owner_${randomBytes(6).toString('hex')}`, password: randomBytes(12).toString('hex') }

let database: TestDatabase
let own: Pool
let system: Pool

beforeAll(async () => {
  database = await createEmptyDatabase()
  const { sql } = database
  await sql.unsafe(`create role ${owner.name} login createrole password '${owner.password}'`)
  await sql.unsafe(`grant narrowapi_app, narrowapi_system to ${owner.name}`)
  await sql.unsafe(
    `do $$ begin execute format('alter database %I owner to ${owner.name}', current_database()); end $$`,
  )
  const url = new URL(database.url)
  url.username = owner.name
  url.password = owner.password
  own = connect(url.href, 'owner', { max: 1 })
  system = connect(url.href, 'narrowapi_system', { max: 2 })
  await migrateToFirst(own)
})

afterAll(async () => {
  await own.end()
  await system.end()
  // The role owns the database, and nothing else.
  const name = owner.name
  await database.sql.unsafe(
    `reassign owned by ${name} to current_user; drop owned by ${name}; drop role ${name}`,
  )
  await database.drop()
})

const migrateToFirst = async (sql: Pool): Promise<void> => {
  const text = await readFile(
    new URL('../../server/src/db/migrations/0001_core.sql', import.meta.url),
    'utf8',
  )
  await sql.unsafe(`
    create schema narrowapi;
    create table migrations (
      number integer primary key, name text not null, checksum text not null, applied_at timestamptz not null
    );
    grant usage on schema narrowapi to narrowapi_app, narrowapi_system`)
  await sql.unsafe(text)
  const checksum = createHash('sha256').update(text).digest('hex')
  await sql`insert into migrations values (1, '0001_core.sql', ${checksum}, now())`
}

const execution = (at: Date, more: Partial<ExecutionRow> = {}): ExecutionRow => ({
  workspace_id: 'ws_1',
  id: createIds(() => at.getTime(), randomBytes).next('exec'),
  action_id: 'act_1',
  version: 1,
  status: 'completed',
  source: 'proxy',
  created_at: at.toISOString(),
  ...more,
})

test('the migration keeps every execution, and calls of the previous version go on while it runs', async () => {
  const now = new Date()
  const old = execution(startOfMonth(now, -3))
  const ahead = execution(startOfMonth(now, 5))
  await writeExecutions(system, [old, ahead])
  const written = [old.id, ahead.id]
  let isDone = false
  const callOn = async (): Promise<void> => {
    while (!isDone) {
      const running = execution(new Date(), {
        status: 'running',
        lease_expires_at: startOfMonth(now, 1).toISOString(),
      })
      await writeExecutions(system, [running])
      await writeExecutions(system, [{ ...running, status: 'completed', lease_expires_at: null }])
      written.push(running.id)
    }
  }
  const calls = callOn()
  await expect.poll(() => written.length, { timeout: 20_000, interval: 5 }).toBeGreaterThan(10)
  expect(await migrate(own)).toContain('0002_partitions.sql')
  const before = written.length
  await expect.poll(() => written.length, { timeout: 20_000, interval: 5 }).toBeGreaterThan(before + 10)
  isDone = true
  await calls
  const rows = await database.sql<
    { id: string; status: string }[]
  >`select id, status from executions order by id`
  expect(rows.map(({ id }) => id)).toEqual(written.toSorted())
  expect(rows.filter(({ status }) => status !== 'completed')).toEqual([])
  // What was there stays in its table, and with it the month in which that happened.
  expect(await partitionOf({ database }, old.id)).toBe('executions_earlier')
  expect(await partitionOf({ database }, String(written[2]))).toBe('executions_earlier')
  expect(await partitionOf({ database }, ahead.id)).toBe('executions_later')
})

test('its owner makes and drops months, and moves what lies in them', async () => {
  const now = new Date()
  const log = createLog('silent')
  expect(await makeMonths(own, log, startOfMonth(now, 3))).toHaveLength(5)
  const ahead = await database.sql<{ id: string; name: string }[]>`
    select id, tableoid::regclass::text as name from executions where id >= first_id('exec', ${startOfMonth(now, 5).toISOString()})`
  expect(ahead).toHaveLength(1)
  expect(ahead[0]?.name).toMatch(/^executions_\d{4}_\d\d$/)
  await expect(dropMonths(own, startOfMonth(now, 3), async () => true)).resolves.toEqual([])
  expect(await dropMonths(own, startOfMonth(now, 3), async () => false)).toHaveLength(2)
  expect(await partitions({ database })).toHaveLength(5)
  expect(await database.sql`select id from executions`).toHaveLength(1)
})
