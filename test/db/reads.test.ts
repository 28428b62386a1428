import { setTimeout as delay } from 'node:timers/promises'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { connect, type Pool, type Sql } from '../../server/src/db/sql.ts'
import { changeWorkspace, readWorkspace } from '../../server/src/db/transaction.ts'
import { startTestServer, type TestServer } from '../support/server.ts'

let server: TestServer
/** Of one connection, so that every read comes after another on it. */
let pool: Pool
let workspaces: readonly [string, string]

beforeAll(async () => {
  server = await startTestServer()
  pool = connect(server.database.url, 'narrowapi_app', { max: 1 })
  const [left, right] = await Promise.all([server.newWorkspace(), server.newWorkspace()])
  for (const { narrow } of [left, right]) await narrow.secrets.create({ name: 'Own', value: 'value' })
  workspaces = [left.workspaceId, right.workspaceId]
})

afterAll(async () => {
  await pool.end()
  await server.stop()
})

const seen = async (sql: Sql): Promise<string[]> => {
  const rows = await sql<{ workspace_id: string }[]>`select workspace_id from secrets`
  return rows.map(({ workspace_id }) => workspace_id)
}

test('a read sees its workspace and no other, however often it asks', async () => {
  const [own] = workspaces
  const all = await readWorkspace(pool, own, async (sql) => {
    const first = await seen(sql)
    await delay(5)
    const together = await Promise.all([seen(sql), seen(sql)])
    return [first, ...together, await seen(sql)]
  })
  expect(all).toEqual([[own], [own], [own], [own]])
})

test('what is asked later than it was written is shown nothing', async () => {
  const rows = await readWorkspace(pool, workspaces[0], async (sql) => {
    const later = sql`select workspace_id from secrets`
    await delay(5)
    return later
  })
  expect(rows).toEqual([])
})

test('the connection carries nothing to whoever has it next', async () => {
  await readWorkspace(pool, workspaces[0], seen)
  expect(await seen(pool)).toEqual([])
  const [setting] = await pool`select current_setting('narrowapi.workspace_id', true) as id`
  expect(setting?.id || null).toBeNull()
})

test('many at once on few connections each see their own', async () => {
  const few = connect(server.database.url, 'narrowapi_app', { max: 3 })
  const answers = await Promise.all(
    Array.from({ length: 300 }, async (_, index) => {
      const own = workspaces[index % 2] ?? ''
      return [own, await readWorkspace(few, own, seen)]
    }),
  )
  await few.end()
  for (const [own, rows] of answers) expect(rows).toEqual([own])
})

test('a read that fails, or gives up before it asks, leaves the connection in order', async () => {
  const [own] = workspaces
  await expect(readWorkspace(pool, own, (sql) => sql`select 1 / 0`.execute())).rejects.toMatchObject({
    code: '22012',
  })
  await expect(readWorkspace(pool, own, () => Promise.reject(new Error('no')))).rejects.toThrow('no')
  expect(await readWorkspace(pool, own, seen)).toEqual([own])
})

test('a read changes nothing', async () => {
  const change = readWorkspace(pool, workspaces[0], (sql) => sql`update secrets set name = 'Other'`.execute())
  await expect(change).rejects.toMatchObject({ code: '25006' })
})

test('a pool that is ended behind a read ends when the read is through', async () => {
  const one = connect(server.database.url, 'narrowapi_app', { max: 1 })
  // Not waited for, so the connection is still at it when the read is over.
  await readWorkspace(one, workspaces[0], async (sql) => void sql`select pg_sleep(0.3)`.execute())
  await one.end()
  const [row] = await pool`
    select count(*) from pg_stat_activity where query ~ 'pg_sleep' and pid <> pg_backend_pid()`
  expect(row?.count).toBe(0)
})

test('what fails behind a statement that failed is told for the reason of that one', async () => {
  // No setting can hold NUL, so the workspace is not entered, and all that follows is refused for it.
  const nowhere = 'ws_\0'
  for (const work of [readWorkspace, changeWorkspace])
    await expect(work(pool, nowhere, (sql) => sql`select 1`)).rejects.toMatchObject({ code: '22021' })
})
