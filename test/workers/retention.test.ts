import { randomBytes } from 'node:crypto'
import { beforeAll, beforeEach, expect, test } from 'vitest'
import { readConfig } from '../../server/src/config.ts'
import { makeMonths } from '../../server/src/db/months.ts'
import { createLog } from '../../server/src/log.ts'
import { startServer } from '../../server/src/start.ts'
import { retain } from '../../server/src/workers/retention.ts'
import { call, callable, settableClock } from '../proxy/calls.ts'
import type { Actor } from '../support/server.ts'
import { serverAndUpstream } from '../support/server-and-upstream.ts'
import { beginMonthsAt, partitionOf, partitions, record, recorded } from './history.ts'

const masterKey = randomBytes(32).toString('base64')
const start = '2024-01-01T00:00:00Z'
const clock = settableClock(start)
const at = (time: string) => clock.advance(Date.parse(time) - clock.now().getTime())

const { server, upstream } = await serverAndUpstream({
  clock,
  environment: { NARROWAPI_MASTER_KEY: masterKey },
})
/** Keeps executions for 30 days. */
let month: Actor
/** Keeps executions for a day. */
let day: Actor

beforeAll(async () => {
  month = server.owner
  day = await server.newWorkspace()
  await keep(day, 1)
})

beforeEach(async () => {
  await server.database.sql`delete from executions`
  await beginMonthsAt(server, new Date(start))
  await keep(month, 30)
})

/** The time a test begins at, with its months made and nothing dropped yet. */
const begin = async (time: string): Promise<void> => {
  at(time)
  await makeMonths(server.deps.owner, server.deps.log, clock.now())
}

const keep = ({ narrow, workspaceId }: Actor, days: number) =>
  narrow.workspaces.update(workspaceId, { settings: { execution_retention_days: days } })

const run = (pace?: Parameters<typeof retain>[2]) => retain(server.deps, new AbortController().signal, pace)
const months = async () => (await partitions(server)).slice(1, -1).map(({ name }) => name.slice(-7))

/** Records executions of a workspace at times; answers their ids by time. */
const recordAt = async ({ workspaceId }: Actor, ...times: string[]): Promise<string[]> => {
  const ids: string[] = []
  for (const time of times) ids.push(await record(server, workspaceId, time))
  return ids
}

test('each workspace keeps its executions for as long as it says, to the millisecond', async () => {
  await begin('2024-02-20T12:00:00.000Z')
  await recordAt(month, '2024-01-02T00:00:00.000Z', '2024-01-21T11:59:59.999Z')
  const kept = await recordAt(month, '2024-01-21T12:00:00.000Z', '2024-02-20T11:00:00.000Z')
  await recordAt(day, '2024-01-21T12:00:00.000Z', '2024-02-19T11:59:59.999Z')
  const keptOfDay = await recordAt(day, '2024-02-19T12:00:00.000Z')
  expect(await run()).toEqual({ made: [], dropped: [], deleted: 4 })
  expect(await recorded(server, month.workspaceId)).toEqual(kept)
  expect(await recorded(server, day.workspaceId)).toEqual(keptOfDay)
  await keep(month, 29)
  await run()
  expect(await recorded(server, month.workspaceId)).toEqual(kept.slice(1))
})

test('deletes in batches, however many there are, and stops between two when the server stops', async () => {
  await begin('2024-02-20T00:00:00Z')
  const times = Array.from({ length: 25 }, (_, hour) => new Date(Date.UTC(2024, 0, 5, hour)).toISOString())
  await recordAt(month, ...times)
  await recordAt(month, '2024-01-25T00:00:00Z')
  await recordAt(day, ...times.slice(0, 3))
  expect(await retain(server.deps, AbortSignal.abort(), quick)).toMatchObject({ deleted: 0 })
  const stopping = new AbortController()
  const begun = retain(server.deps, stopping.signal, { batchRows: 10, pauseMs: 2_000 })
  await expect.poll(async () => (await recorded(server)).length, { interval: 10, timeout: 20_000 }).toBe(19)
  stopping.abort()
  expect(await begun).toMatchObject({ deleted: 10 })
  expect(await run(quick)).toMatchObject({ deleted: 18 })
  expect(await recorded(server)).toHaveLength(1)
})

const quick = { batchRows: 7, pauseMs: 1 }

test('what still runs stays, in a row or in a whole month, until its end is known', async () => {
  await begin('2024-03-20T00:00:00Z')
  const running = await record(server, month.workspaceId, '2024-01-10T00:00:00Z', {
    lease_expires_at: '2024-03-20T00:00:10.000Z',
  })
  await recordAt(month, '2024-01-09T00:00:00Z', '2024-01-11T00:00:00Z', '2024-03-19T00:00:00Z')
  expect(await run()).toMatchObject({ dropped: [], deleted: 2 })
  expect((await recorded(server))[0]).toBe(running)
  at('2024-03-20T00:00:11Z')
  // The server that ran it is gone; maintenance gives it an end.
  await expect
    .poll(async () => (await month.narrow.executions.get(running)).status, { timeout: 20_000 })
    .toBe('failed')
  expect(await run()).toMatchObject({ dropped: ['executions_2024_01', 'executions_2024_02'], deleted: 0 })
  expect(await recorded(server)).toHaveLength(1)
})

test('a month that nobody keeps anything of is dropped whole, and what lies before it too', async () => {
  await begin('2024-04-15T00:00:00Z')
  await recordAt(month, '1999-01-01T00:00:00Z', '2024-01-05T00:00:00Z', '2024-02-05T00:00:00Z')
  await recordAt(month, '2024-03-10T00:00:00Z')
  await recordAt(day, '2024-01-05T00:00:00Z', '2024-03-31T00:00:00Z')
  const kept = await recordAt(month, '2024-03-20T00:00:00Z', '2024-04-14T00:00:00Z')
  expect(await months()).toEqual(['2024_01', '2024_02', '2024_03', '2024_04', '2024_05', '2024_06'])
  expect(await run()).toEqual({
    made: [],
    dropped: ['executions_2024_01', 'executions_2024_02'],
    deleted: 2,
  })
  expect(await months()).toEqual(['2024_03', '2024_04', '2024_05', '2024_06'])
  expect(await recorded(server)).toEqual(kept)
  // No id is without a place now.
  const late = await record(server, month.workspaceId, '2024-02-06T00:00:00Z')
  expect(await partitionOf(server, late)).toBe('executions_earlier')
})

test('a workspace that keeps executions for years holds up the months it has executions in, and no others', async () => {
  await keep(month, 3650)
  await begin('2024-05-15T00:00:00Z')
  await recordAt(day, '2024-01-05T00:00:00Z', '2024-02-05T00:00:00Z', '2024-03-05T00:00:00Z')
  const kept = await recordAt(month, '2024-02-20T00:00:00Z')
  expect(await run()).toEqual({ made: [], dropped: ['executions_2024_01'], deleted: 2 })
  expect(await recorded(server)).toEqual(kept)
})

test.each([
  {
    year: 2024,
    last: '2024-02-29T23:59:59.999Z',
    before: '2024-03-30T23:59:59.999Z',
    on: '2024-03-31T00:00:00.000Z',
  },
  {
    year: 2023,
    last: '2023-02-28T23:59:59.999Z',
    before: '2023-03-30T23:59:59.999Z',
    on: '2023-03-31T00:00:00.000Z',
  },
])(
  'February $year ends with its last UTC millisecond, and is dropped 30 days later',
  async ({ year, last, before, on }) => {
    await beginMonthsAt(server, new Date(`${year}-02-01T00:00:00Z`))
    await begin(before)
    const [ofFebruary] = await recordAt(month, last)
    const [ofMarch] = await recordAt(month, `${year}-03-01T00:00:00.000Z`)
    expect(await run()).toMatchObject({ dropped: [], deleted: 0 })
    expect(await recorded(server)).toEqual([ofFebruary, ofMarch])
    at(on)
    expect(await run()).toMatchObject({ dropped: [`executions_${year}_02`], deleted: 0 })
    expect(await recorded(server)).toEqual([ofMarch])
  },
)

test('a list that is walked by cursor while months are dropped shows what is kept once and ends', async () => {
  await begin('2024-06-10T00:00:00Z')
  const times = Array.from({ length: 60 }, (_, index) =>
    new Date(Date.UTC(2024, 0, 2 + index * 2.5)).toISOString(),
  )
  const all = await recordAt(month, ...times)
  const kept = all.filter((_, index) => String(times[index]) >= '2024-05-11T00:00:00.000Z')
  const walked: string[] = []
  let cursor: string | null = null
  let pages = 0
  do {
    const page: Awaited<ReturnType<typeof month.narrow.executions.list>> = await month.narrow.executions.list(
      {
        limit: 4,
        ...(cursor === null ? {} : { cursor }),
      },
    )
    walked.push(...page.data.map(({ id }) => id))
    cursor = page.next_cursor
    pages += 1
    // The cursor of the second page points into a month that is gone when the third is asked for.
    if (pages === 2) await keep(month, 60)
    if (pages === 4) await keep(month, 30)
    if (pages === 2 || pages === 4) expect((await run()).dropped.length).toBeGreaterThan(0)
  } while (cursor !== null)
  expect(new Set(walked).size).toBe(walked.length)
  expect(walked.filter((id) => kept.includes(id))).toEqual(kept.toReversed())
  expect(walked.length).toBeLessThan(all.length)
})

test('a key replays for its day, after which its execution goes and the key is free', async () => {
  at('2025-02-10T00:00:00Z')
  const { action, token } = await callable(day, { target_url: upstream.url })
  const keyed = () => call(server, token, action.id, undefined, { headers: { 'idempotency-key': 'once' } })
  const first = await keyed()
  await begin('2024-02-10T23:59:59Z')
  const again = await keyed()
  expect([again.status, again.executionId]).toEqual([200, first.executionId])
  at('2025-02-11T00:00:01Z')
  expect(await run()).toMatchObject({ deleted: 1 })
  const anew = await keyed()
  expect(anew.status).toBe(200)
  expect(anew.executionId).not.toBe(first.executionId)
  expect(upstream.received).toHaveLength(2)
})

test('two servers that do it at once drop and delete everything once', async () => {
  await begin('2024-04-15T00:00:00Z')
  const times = Array.from({ length: 40 }, (_, hour) => new Date(Date.UTC(2024, 2, 1, hour)).toISOString())
  await recordAt(month, '2024-01-05T00:00:00Z', '2024-02-05T00:00:00Z', ...times, '2024-03-30T00:00:00Z')
  const config = readConfig({
    PORT: '0',
    DATABASE_URL: server.database.url,
    NARROWAPI_MASTER_KEY: masterKey,
    LOG_LEVEL: 'silent',
  })
  const other = await startServer(config, createLog('silent'), { clock })
  try {
    const done = await Promise.all([
      run(quick),
      retain(other.deps, new AbortController().signal, { batchRows: 5, pauseMs: 1 }),
    ])
    expect(done.flatMap(({ dropped }) => dropped)).toEqual(['executions_2024_01', 'executions_2024_02'])
    expect(done.reduce((sum, { deleted }) => sum + deleted, 0)).toBe(times.length)
    expect(await recorded(server)).toHaveLength(1)
  } finally {
    await other.stop()
  }
})

test('a server whose clock is ahead deletes nothing before its time', async () => {
  at(new Date().toISOString())
  const today = await record(server, month.workspaceId, clock.now())
  clock.advance(20 * 365 * 86_400_000)
  expect(await run()).toMatchObject({ deleted: 0 })
  expect(await recorded(server)).toEqual([today])
})
