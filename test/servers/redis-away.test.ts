import { afterAll, beforeAll, beforeEach, describe, expect, onTestFinished, test } from 'vitest'
import { type Answered, call, callable, tally, together } from '../proxy/calls.ts'
import { type RedisServer, startRedis } from '../support/redis.ts'
import type { ServerProcess } from '../support/server-process.ts'
import { json, startUpstream, type Upstream } from '../support/upstream.ts'
import { eventually, type Servers, startServers } from './servers.ts'

const away = 'Redis does not answer: this server counts limits for itself until it does'
const back = 'limits are shared through Redis'

let redis: RedisServer
let servers: Servers
let upstream: Upstream

beforeAll(async () => {
  redis = await startRedis()
  upstream = await startUpstream()
  servers = await startServers(2, { REDIS_URL: redis.url })
})

beforeEach(() => {
  upstream.received = []
  upstream.answer = json(200, { ok: true })
})

afterAll(async () => {
  await servers.stop()
  await upstream.stop()
  await redis.kill()
})

/** An action of its own. The upstream lets those wait whose calls at once are limited. */
const newCall = async (limits: { rate_limit_rpm?: number; concurrency_limit?: number } = {}) => {
  const path = limits.concurrency_limit === undefined ? 'at-once' : 'waits'
  const { action, token } = await callable(servers, { target_url: `${upstream.url}/${path}`, ...limits })
  return (server: ServerProcess): Promise<Answered> => call(server, token, action.id, {})
}

type Call = Awaited<ReturnType<typeof newCall>>

const many = (count: number, work: () => Promise<Answered>) =>
  together(count, work).then((answers) => tally(answers.map(({ status }) => status)))

/** Callers of every server that go on until they are stopped, and what they were told. */
const load = (one: Call) => {
  const statuses: number[] = []
  let isOver = false
  const caller = async (server: ServerProcess): Promise<void> => {
    while (!isOver) statuses.push((await one(server)).status)
  }
  const callers = servers.all.flatMap((server) => [caller(server), caller(server), caller(server)])
  return {
    statuses,
    async stop() {
      isOver = true
      await Promise.all(callers)
    },
  }
}

const transitions = () =>
  servers.all.map((server) => [server.logged(away).length, server.logged(back).length])

const both = (): [ServerProcess, ServerProcess] => {
  const [left, right] = servers.all
  if (!left || !right) throw new Error('There are not two servers')
  return [left, right]
}

describe.each([
  { what: 'stands still', leave: () => redis.pause(), come: () => redis.resume() },
  { what: 'is gone', leave: () => redis.kill(), come: () => redis.start() },
])('when Redis $what under load', ({ leave, come }) => {
  test('each server keeps to its own limits, fails nothing, says so once, and shares again by itself', async () => {
    const before = transitions()
    const [left, right] = both()
    // Made before, so that the outage is seen by calls and not by what prepares them.
    const plain = await newCall()
    const rated = await newCall({ rate_limit_rpm: 5 })
    const bounded = await newCall({ concurrency_limit: 3 })
    const later = await newCall({ rate_limit_rpm: 5 })
    const loaded = load(plain)
    onTestFinished(() => loaded.stop())
    await eventually(() => loaded.statuses.length).toBeGreaterThan(20)

    await leave()
    await eventually(transitions).toEqual(before.map(([gone = 0, found]) => [gone + 1, found]))
    // Own limits: one for each server, and never none.
    expect(await many(20, () => rated(left))).toEqual({ 200: 5, 429: 15 })
    expect(await many(20, () => rated(right))).toEqual({ 200: 5, 429: 15 })
    const answers: (() => void)[] = []
    upstream.answer = (request, res) => {
      const answer = () => json(200, { ok: true })(request, res)
      if (request.url === '/waits') answers.push(answer)
      else answer()
    }
    const held = Array.from({ length: 3 }, () => bounded(left))
    await eventually(() => answers.length).toBe(3)
    expect((await bounded(left)).body).toMatchObject({ policy: 'concurrency', limit: 3 })

    await come()
    await eventually(transitions).toEqual(before.map(([gone = 0, found = 0]) => [gone + 1, found + 1]))
    // What began meanwhile is told to Redis: the other server knows of the three that are under way.
    expect((await bounded(right)).body).toMatchObject({ policy: 'concurrency', limit: 3 })
    for (const answer of answers) answer()
    expect(tally((await Promise.all(held)).map(({ status }) => status))).toEqual({ 200: 3 })
    upstream.answer = json(200, { ok: true })
    expect((await bounded(right)).status).toBe(200)
    const shared = [many(10, () => later(left)), many(10, () => later(right))]
    const [first, second] = await Promise.all(shared)
    expect([
      (first?.['200'] ?? 0) + (second?.['200'] ?? 0),
      (first?.['429'] ?? 0) + (second?.['429'] ?? 0),
    ]).toEqual([5, 15])
    await loaded.stop()
    expect(tally(loaded.statuses)).toEqual({ 200: loaded.statuses.length })
  }, 90_000)
})

test('a server that starts without its Redis answers, says so, and shares when Redis comes', async () => {
  await redis.kill()
  const late = await startServers(1, { REDIS_URL: redis.url })
  const [server] = late.all
  expect(server?.logged(away)).toHaveLength(1)
  expect((await late.narrow.actions.list()).data).toEqual([])
  await redis.start()
  await eventually(() => server?.logged(back).length).toBe(1)
  await late.stop()
})

test('no log says the password of Redis, right or wrong', async () => {
  const wrong = redis.url.replace(redis.password, 'not-the-password-4711')
  const stranger = await startServers(1, { REDIS_URL: wrong, LOG_LEVEL: 'trace' })
  await stranger.narrow.actions.list()
  const [server] = stranger.all
  expect(server?.logged(away)).toMatchObject([{ reason: expect.stringContaining('WRONGPASS') }])
  expect(server?.output()).not.toContain('4711')
  await stranger.stop()
  for (const server of servers.all) expect(server.output()).not.toContain(redis.password)
})
