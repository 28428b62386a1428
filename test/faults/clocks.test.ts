import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { NarrowAPI } from '@narrowapi/sdk'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { call } from '../proxy/calls.ts'
import { createEmptyDatabase, type TestDatabase } from '../support/database.ts'
import { fakeTime } from '../support/fake-time.ts'
import { ownerKeyOf, type ServerProcess, startProcess } from '../support/server-process.ts'
import { json, startUpstream, type Upstream } from '../support/upstream.ts'
import { until } from './callers.ts'
import { makeCallable } from './fleet.ts'

let database: TestDatabase
let upstream: Upstream
let folder: string
let servers: Record<'late' | 'later' | 'ahead', ServerProcess>
let key: string
let callable: { action: string; token: string }

/** Two servers that are five and three minutes late, and one that is forty days ahead. */
const offsets = { late: '-5m', later: '-3m', ahead: '+40d' }

const start = async (name: keyof typeof offsets): Promise<ServerProcess> => {
  await setClock(name, offsets[name])
  const environment = { DATABASE_URL: database.url, ...(await fakeTime(join(folder, name))) }
  return startProcess({ environment })
}

const setClock = (name: string, offset: string) => writeFile(join(folder, name), `${offset}\n`)

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'narrowapi-clocks-'))
  database = await createEmptyDatabase()
  upstream = await startUpstream()
  const late = await start('late')
  servers = { late, later: await start('later'), ahead: await start('ahead') }
  key = ownerKeyOf(late)
  callable = await makeCallable(late, upstream)
})

afterAll(async () => {
  await Promise.all(Object.values(servers).map((server) => server.stop('SIGKILL')))
  await upstream.stop()
  await database.drop()
  await rm(folder, { recursive: true })
})

const on = (name: keyof typeof offsets) =>
  new NarrowAPI({ apiKey: key, baseUrl: servers[name].url, retries: 0 })
const names = ['late', 'later', 'ahead'] as const
const databaseNow = async (): Promise<number> => {
  const [row] = await database.sql<{ now: number }[]>`
    select (extract(epoch from clock_timestamp()) * 1000)::float8 as now`
  return row?.now ?? Number.NaN
}

test('a machine whose clock is off is told so, and everything it writes has the time of the database', async () => {
  for (const name of names) {
    expect(servers[name].output()).toContain("this machine's clock is off")
    const before = await databaseNow()
    const { created_at } = await on(name).secrets.create({ name: `of ${name}`, value: 'value' })
    const after = await databaseNow()
    // To within the round trip by which the two were compared.
    expect(Date.parse(created_at)).toBeGreaterThan(before - 1_000)
    expect(Date.parse(created_at)).toBeLessThan(after + 1_000)
  }
})

test('a token ends everywhere at the moment it says, not minutes apart', async () => {
  const expiresAt = (await databaseNow()) + 6_000
  const { token } = await on('late').tokens.create({
    name: 'short',
    action_ids: [callable.action],
    expires_at: new Date(expiresAt).toISOString(),
  })
  for (const name of names)
    expect((await call(servers[name], token, callable.action, { n: 1 })).status).toBe(200)
  // A second for the difference that remains.
  await until('it has expired', async () => (await databaseNow()) > expiresAt + 1_000)
  for (const name of names)
    expect((await call(servers[name], token, callable.action, { n: 1 })).status).toBe(401)
})

test('the lease of a call that runs on one server is not over for another, and its key is held', async () => {
  const release = Promise.withResolvers<void>()
  upstream.answer = async (request, res) => {
    await release.promise
    json(200, { done: true })(request, res)
  }
  await on('late').actions.update(callable.action, { timeout_ms: 60_000 })
  const headers = { 'idempotency-key': 'held' }
  const sentBefore = upstream.received.length
  const running = call(servers.late, callable.token, callable.action, { n: 7 }, { headers })
  await until('the call is sent', () => upstream.received.length > sentBefore)
  // Longer than a sweep of each server takes to come round; one that is days ahead would end it.
  const sweepMs = 5_000
  await new Promise((resolve) => setTimeout(resolve, sweepMs + 1_500))
  for (const name of names) {
    const twin = await call(servers[name], callable.token, callable.action, { n: 7 }, { headers })
    expect(twin.error).toBe('idempotency_in_progress')
  }
  release.resolve()
  const answer = await running
  expect(answer.body).toEqual({ done: true })
  expect((await on('ahead').executions.get(answer.executionId ?? '')).status).toBe('completed')
  for (const name of names) {
    const again = await call(servers[name], callable.token, callable.action, { n: 7 }, { headers })
    expect([again.status, again.headers.get('idempotent-replayed')]).toEqual([200, 'true'])
  }
  const [kept] = await database.sql<{ hours: number }[]>`
    select (extract(epoch from expires_at - now()) / 3600)::float8 as hours
    from idempotency_keys where key = 'held'`
  expect(kept?.hours).toBeCloseTo(24, 1)
})

test('the month of a quota is that of the database, and three servers count in one', async () => {
  const [workspace] = await database.sql<{ id: string }[]>`select id from workspaces`
  const month = async () =>
    (await database.sql`select date_trunc('month', now() at time zone 'utc') as month`)[0]?.month
  const monthBefore = await month()
  await database.sql`update plans set monthly_executions = 5 where tier = 'pro'`
  await on('late').workspaces.update(workspace?.id ?? '', { tier: 'pro' })
  upstream.answer = json(200, {})
  const errors = []
  await until('every server has the new plan', async () => {
    const plans = await Promise.all(
      names.map(async (name) => (await on(name).workspaces.get(workspace?.id ?? '')).tier),
    )
    return plans.every((tier) => tier === 'pro')
  })
  for (let n = 0; n < 9; n += 1) {
    const server = servers[names[n % names.length] ?? 'late']
    errors.push((await call(server, callable.token, callable.action, { n })).error)
  }
  expect(errors).toEqual([null, null, null, null, null, ...Array(4).fill('execution_limit_reached')])
  const windows = await database.sql`
    select used, window_start at time zone 'utc' as month from counters where feature = 'monthly_executions'`
  // A month that begins while this runs would rightly be another.
  if (`${monthBefore}` === `${await month()}`) expect(windows.map((row) => row.used)).toEqual([5])
  await on('late').workspaces.update(workspace?.id ?? '', { tier: 'self_hosted' })
})

test('ids made on different servers one after the other sort in that order', async () => {
  const ids = []
  for (let n = 0; n < 12; n += 1) {
    const { id } = await on(names[n % names.length] ?? 'late').secrets.create({ name: `n${n}`, value: 'v' })
    ids.push(id)
    // More than the servers may differ by on one machine: half a round trip to the database.
    await new Promise((resolve) => setTimeout(resolve, 100))
  }
  expect(ids).toEqual(ids.toSorted())
})

test('a clock that jumps eighty days back while a call runs changes neither times nor durations', async () => {
  const release = Promise.withResolvers<void>()
  const sentBefore = upstream.received.length
  upstream.answer = async (request, res) => {
    await release.promise
    json(200, {})(request, res)
  }
  const startedAt = performance.now()
  const running = call(servers.ahead, callable.token, callable.action, { n: 8 })
  await until('the call is sent', () => upstream.received.length > sentBefore)
  await setClock('ahead', '-40d')
  release.resolve()
  const { executionId } = await running
  const tookMs = performance.now() - startedAt
  const execution = await on('late').executions.get(executionId ?? '')
  expect(execution.duration_ms).toBeGreaterThan(0)
  expect(execution.duration_ms).toBeLessThan(tookMs + 1)
  expect(Math.abs(Date.parse(execution.completed_at ?? '') - (await databaseNow()))).toBeLessThan(10_000)
  const before = await databaseNow()
  const { created_at } = await on('ahead').secrets.create({ name: 'after the jump', value: 'v' })
  expect(Math.abs(Date.parse(created_at) - before)).toBeLessThan(10_000)
})
