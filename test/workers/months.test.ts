import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest'
import { makeMonths } from '../../server/src/db/months.ts'
import { connect } from '../../server/src/db/sql.ts'
import { createIds, idTime } from '../../server/src/ids.ts'
import { startTestServer, type TestServer } from '../support/server.ts'
import { beginMonthsAt, monthName, partitionOf, partitions, record, recorded } from './history.ts'

let server: TestServer
let workspaceId: string

beforeAll(async () => {
  server = await startTestServer()
  workspaceId = server.owner.workspaceId
})

afterAll(() => server.stop())

beforeEach(async () => {
  await server.database.sql`delete from executions`
})

const make = (now: string) => makeMonths(server.deps.owner, server.deps.log, new Date(now))
const names = async () => (await partitions(server)).map(({ name }) => name)

test('a start makes this month and the two next ones, between what is earlier and what is later', async () => {
  const now = new Date()
  const months = [0, 1, 2].map((ahead) =>
    monthName(new Date(Date.UTC(now.getUTCFullYear(), now.getUTCMonth() + ahead))),
  )
  expect(await names()).toEqual(['executions_earlier', ...months, 'executions_later'])
})

test('the first id of a time is what the ids of that millisecond begin with, in the database as in the server', async () => {
  const times = [0, 1, Date.UTC(2024, 1, 29, 23, 59, 59, 999), Date.UTC(2024, 2), Date.UTC(9999, 11, 31)]
  for (const time of times) {
    const [row] = await server.database.sql<{ id: string }[]>`
      select first_id('exec', ${new Date(time).toISOString()}) as id`
    const first = row?.id ?? ''
    const [smallest, before] = [time, time - 1].map((at) =>
      at < 0
        ? ''
        : createIds(() => at, at === time ? (n) => Buffer.alloc(n) : (n) => Buffer.alloc(n, 255)).next(
            'exec',
          ),
    )
    expect(idTime(first)).toEqual(new Date(time))
    expect(String(before) < first && first <= String(smallest)).toBe(true)
  }
})

test('ranges follow each other without a gap', async () => {
  const ranges = await partitions(server)
  expect(ranges.slice(1).map(({ start }) => start)).toEqual(ranges.slice(0, -1).map(({ end }) => end))
  expect(ranges.at(0)?.start).toBe('')
  expect(ranges.at(-1)?.end).toBe('~')
})

test('two servers that make months at once make each once', async () => {
  await beginMonthsAt(server, new Date('2024-01-01T00:00:00Z'))
  const other = connect(server.database.url, 'owner', { max: 1 })
  const made = await Promise.all([
    make('2024-03-10T00:00:00Z'),
    makeMonths(other, server.deps.log, new Date('2024-03-10T00:00:00Z')),
  ])
  await other.end()
  expect(made.flat().toSorted()).toEqual(
    ['01', '02', '03', '04', '05'].map((month) => `executions_2024_${month}`),
  )
  expect(await make('2024-03-10T00:00:00Z')).toEqual([])
})

test.each([
  ['2024-02-29T23:59:59.999Z', 'executions_2024_02'],
  ['2024-03-01T00:00:00.000Z', 'executions_2024_03'],
  ['2023-02-28T23:59:59.999Z', 'executions_2023_02'],
  ['2023-03-01T00:00:00.000Z', 'executions_2023_03'],
  ['2023-12-31T23:59:59.999Z', 'executions_2023_12'],
  ['2024-01-01T00:00:00.000Z', 'executions_2024_01'],
])('an execution of %s lies in %s', async (at, partition) => {
  await beginMonthsAt(server, new Date('2023-01-01T00:00:00Z'))
  await make('2023-12-01T00:00:00Z')
  await make('2024-02-01T00:00:00Z')
  expect(await partitionOf(server, await record(server, workspaceId, at))).toBe(partition)
})

test('a month is made in its UTC month, however close to the edge the clock is', async () => {
  await beginMonthsAt(server, new Date('2024-03-01T00:00:00Z'))
  expect(await make('2023-12-31T23:59:59.999Z')).toEqual([])
  expect(await make('2024-01-01T00:00:00.000Z')).toEqual(['executions_2024_03'])
})

test('executions of clocks that are far off are kept, and lie in their month as soon as it is made', async () => {
  await beginMonthsAt(server, new Date('2024-01-01T00:00:00Z'))
  await make('2024-01-10T00:00:00Z')
  const [past, near, nextYear] = [
    await record(server, workspaceId, '1999-05-05T00:00:00Z'),
    await record(server, workspaceId, '2024-05-05T00:00:00Z'),
    await record(server, workspaceId, '2025-05-05T00:00:00Z'),
  ]
  expect(await partitionOf(server, past)).toBe('executions_earlier')
  expect(await partitionOf(server, near)).toBe('executions_later')
  expect(await make('2024-04-01T00:00:00Z')).toEqual([
    'executions_2024_04',
    'executions_2024_05',
    'executions_2024_06',
  ])
  expect(await partitionOf(server, near)).toBe('executions_2024_05')
  expect(await partitionOf(server, nextYear)).toBe('executions_later')
  expect((await server.owner.narrow.executions.get(near)).id).toBe(near)
  expect(await recorded(server)).toEqual([past, near, nextYear])
})

test('too many executions of a clock that is ahead stay where they are, and the log says so', async () => {
  await beginMonthsAt(server, new Date('2024-01-01T00:00:00Z'))
  await server.database.sql`
    insert into executions (workspace_id, id, action_id, version, status, source, created_at, updated_at)
    select ${workspaceId}, first_id('exec', '2024-01-05'::timestamptz + n * interval '1 second'), 'act', 1, 'completed',
      'proxy', now(), now()
    from generate_series(1, 10001) as n`
  expect(await make('2024-01-10T00:00:00Z')).toEqual([])
  expect(server.logs.join('')).toContain('the clock of a server was ahead')
  await server.database.sql`delete from executions where id < first_id('exec', '2024-01-05T00:00:02Z')`
  expect(await make('2024-01-10T00:00:00Z')).toHaveLength(3)
  const [counted] = await server.database.sql`select count(*)::int as rows from executions_2024_01`
  expect(counted).toEqual({ rows: 10_000 })
})

test('months are made although a long list holds the table up for a while, and no call waits for it', async () => {
  await beginMonthsAt(server, new Date('2024-01-01T00:00:00Z'))
  const [begun, release] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()]
  const listing = server.database.sql.begin(async (list) => {
    await list`select id from executions limit 1`
    begun.resolve()
    await release.promise
  })
  await begun.promise
  const making = make('2024-01-10T00:00:00Z')
  try {
    // Behind a lock that is waited for without a bound, these would wait for as long as the list takes.
    for (let call = 0; call < 20; call += 1) await record(server, workspaceId, '2024-01-02T00:00:00Z')
    expect(await names()).toEqual(['executions_earlier', 'executions_later'])
  } finally {
    release.resolve()
  }
  await listing
  expect(await making).toHaveLength(3)
  expect(await recorded(server)).toHaveLength(20)
})

test.each(['narrowapi_app', 'narrowapi_system'] as const)(
  '%s cannot touch a partition, and would see no row of it if it could',
  async (role) => {
    await beginMonthsAt(server, new Date('2024-01-01T00:00:00Z'))
    await make('2024-01-10T00:00:00Z')
    await record(server, workspaceId, '2024-01-02T00:00:00Z')
    const sql = connect(server.database.url, role, { max: 1 })
    for (const statement of [
      'select id from executions_2024_01',
      `update executions_2024_01 set status = 'failed'`,
      'delete from executions_2024_01',
      'alter table executions_2024_01 disable row level security',
      'alter table executions detach partition executions_2024_01',
      'drop table executions_2024_01',
    ])
      await expect(sql.unsafe(statement)).rejects.toThrow(/permission denied|must be owner/)
    await server.database.sql.unsafe(`grant select on executions_2024_01 to ${role}`)
    expect(await sql`select id from executions_2024_01`).toHaveLength(0)
    await sql.end()
  },
)
