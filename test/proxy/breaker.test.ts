import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest'
import { failuresToOpen, firstOpenMs, recordedRefusals } from '../../server/src/proxy/breaker.ts'
import { type Actor, startTestServer, type TestServer } from '../support/server.ts'
import { json, startUpstream, type Upstream } from '../support/upstream.ts'
import { call, callable, settableClock, tally } from './calls.ts'

const clock = settableClock('2027-01-15T10:00:00.000Z')
let server: TestServer
let upstream: Upstream

beforeAll(async () => {
  server = await startTestServer({ clock })
})
afterAll(() => server.stop())

beforeEach(async () => {
  upstream = await startUpstream()
  return () => upstream.stop()
})

const open = async (actor: Actor = server.owner) => {
  const made = await callable(actor, { target_url: upstream.url })
  upstream.answer = json(503, {})
  for (let n = 0; n < failuresToOpen; n += 1) {
    expect((await call(server, made.token, made.action.id, {})).error).toBeNull()
  }
  upstream.received.length = 0
  const run = (input: unknown = {}, headers: Record<string, string> = {}) =>
    call(server, made.token, made.action.id, input, { headers })
  return { ...made, run }
}

const stateOf = (workspaceId: string) =>
  server.deps.breakers.list().find((one) => one.workspaceId === workspaceId && one.origin === upstream.url)
    ?.state

test('an open breaker sends nothing, says when to come back, and is recorded as a refusal', async () => {
  const { run } = await open()
  const answer = await run()
  expect([answer.status, answer.error]).toEqual([503, 'unavailable'])
  expect(Number(answer.headers.get('retry-after'))).toBeGreaterThan(0)
  expect(answer.body).toMatchObject({ retry_after_seconds: firstOpenMs / 1000 })
  expect(answer.headers.get('x-upstream-status')).toBeNull()
  expect(upstream.received).toEqual([])
  expect(await server.owner.narrow.executions.get(answer.executionId ?? '')).toMatchObject({
    status: 'rejected',
    error: { code: 'unavailable' },
    upstream: null,
    started_at: null,
  })
  expect(stateOf(server.owner.workspaceId)).toBe('open')
  const lines = server.logs.filter((line) => line.includes('circuit breaker') && line.includes(upstream.url))
  expect(lines.map((line) => JSON.parse(line).state)).toEqual(['open'])
})

test('a flood of calls to an open breaker is not one of rows', async () => {
  const { run, action } = await open()
  const answers = await Promise.all(Array.from({ length: 60 }, () => run()))
  expect(tally(answers.map(({ error }) => error))).toEqual({ unavailable: 60 })
  expect(answers.filter(({ executionId }) => executionId !== null)).toHaveLength(recordedRefusals)
  const [row] = await server.database.sql<{ count: number }[]>`
    select count(*)::int as count from executions where action_id = ${action.id} and status = 'rejected'`
  expect(row?.count).toBe(recordedRefusals)
})

test('an open breaker takes no use and no key, and tells what was told before', async () => {
  const actor = await server.newWorkspace()
  const { run, tokenId, action, token } = await open(actor)
  const limited = await callable(actor, { target_url: upstream.url }, { max_uses: 3 })
  const key = { 'idempotency-key': 'again' }
  expect((await run({}, key)).error).toBe('unavailable')
  expect((await call(server, limited.token, limited.action.id, {})).error).toBe('unavailable')
  expect((await actor.narrow.tokens.get(limited.tokenId)).uses).toBe(0)

  upstream.answer = json(200, { fine: true })
  clock.advance(firstOpenMs)
  const sent = await run({}, key)
  expect([sent.status, sent.headers.get('idempotent-replayed')]).toEqual([200, null])
  expect(stateOf(actor.workspaceId)).toBeUndefined()

  upstream.answer = json(503, {})
  for (let n = 0; n < failuresToOpen; n += 1) await call(server, token, action.id, {})
  expect(stateOf(actor.workspaceId)).toBe('open')
  const replayed = await run({}, key)
  expect([replayed.status, replayed.headers.get('idempotent-replayed')]).toEqual([200, 'true'])
  expect(tokenId).not.toBe(limited.tokenId)
})

test('after its time one call goes through as a probe, and its answer opens the way for all', async () => {
  const { run } = await open()
  clock.advance(firstOpenMs)
  const release = Promise.withResolvers<void>()
  upstream.answer = async (request, res) => {
    await release.promise
    json(200, {})(request, res)
  }
  const calls = Array.from({ length: 20 }, () => run())
  await expect.poll(() => upstream.received.length, { timeout: 10_000 }).toBe(1)
  expect(stateOf(server.owner.workspaceId)).toBe('half_open')
  expect((await run()).error).toBe('unavailable')
  release.resolve()
  const answers = await Promise.all(calls)
  expect(tally(answers.map(({ status }) => status))).toEqual({ 200: 1, 503: 19 })
  expect(upstream.received).toHaveLength(1)
  expect((await run()).status).toBe(200)
})

test('a probe that fails closes the way again, for longer', async () => {
  const { run } = await open()
  clock.advance(firstOpenMs)
  expect((await run()).error).toBeNull()
  clock.advance(firstOpenMs)
  const answer = await run()
  expect([answer.error, answer.body?.retry_after_seconds]).toEqual(['unavailable', firstOpenMs / 1000])
  expect(upstream.received).toHaveLength(1)
})

test('a target is shut for one workspace and one origin only, and what a constraint refuses is told first', async () => {
  const { run, token, action } = await open()
  const stranger = await server.newWorkspace()
  upstream.answer = json(200, {})
  const theirs = await callable(stranger, { target_url: upstream.url })
  expect((await call(server, theirs.token, theirs.action.id, {})).status).toBe(200)
  const elsewhere = await startUpstream()
  try {
    const other = await callable(server.owner, { target_url: elsewhere.url })
    expect((await call(server, other.token, other.action.id, {})).status).toBe(200)
  } finally {
    await elsewhere.stop()
  }
  expect((await run()).error).toBe('unavailable')
  expect((await call(server, token, action.id, { surplus: 1 })).error).toBe('validation_failed')
})

test('a call that is under way is not tried again once the breaker is open', async () => {
  upstream.answer = json(503, {})
  const { action, token } = await callable(server.owner, {
    target_url: upstream.url,
    annotations: { idempotent: true },
    retry: { max: 5, on: ['503'] },
  })
  const first = await call(server, token, action.id, {})
  const second = await call(server, token, action.id, {})
  expect([first.error, second.error]).toEqual([null, null])
  // Six tries, then what the budget and the breaker left of the second call.
  expect(upstream.received.length).toBeLessThanOrEqual(failuresToOpen)
  for (let n = upstream.received.length; n < failuresToOpen; n += 1) await call(server, token, action.id, {})
  expect(stateOf(server.owner.workspaceId)).toBe('open')
  expect(upstream.received).toHaveLength(failuresToOpen)
})
