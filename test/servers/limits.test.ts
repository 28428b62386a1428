import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type Answered, call, callable, tally, together } from '../proxy/calls.ts'
import { type RedisServer, startRedis } from '../support/redis.ts'
import type { ServerProcess } from '../support/server-process.ts'
import { json, startUpstream, type Upstream } from '../support/upstream.ts'
import { eventually, type Servers, startServers } from './servers.ts'

describe('four servers on one database that share limits through Redis', () => {
  let redis: RedisServer
  let servers: Servers
  let upstream: Upstream

  beforeAll(async () => {
    redis = await startRedis()
    upstream = await startUpstream()
    servers = await startServers(4, { REDIS_URL: redis.url })
    for (const server of servers.all) expect(server.logged('limits are shared through Redis')).toHaveLength(1)
  })

  afterAll(async () => {
    await servers.stop()
    await upstream.stop()
    await redis.kill()
  })

  type Action = Parameters<Servers['narrow']['actions']['create']>[0]

  const newAction = async (
    limits: Partial<Action> = {},
    ofToken: { rate_limit_rpm?: number; max_uses?: number } = {},
  ) => {
    const { action, token } = await callable(servers, { target_url: upstream.url, ...limits }, ofToken)
    upstream.received.length = 0
    upstream.answer = json(200, { ok: true })
    return { id: action.id, token }
  }

  const serverOf = (index: number): ServerProcess => {
    const server = servers.all[index % servers.all.length]
    if (!server) throw new Error('There are no servers')
    return server
  }

  /** Calls all at once, in turn on each server. */
  const callAll = (count: number, { id, token }: { id: string; token: string }): Promise<Answered[]> =>
    together(count, (index) => call(serverOf(index), token, id, {}))

  test('let exactly the limit through in a window, however many call at once', async () => {
    const answers = await callAll(400, await newAction({ rate_limit_rpm: 50 }))
    expect(tally(answers.map(({ status }) => status))).toEqual({ 200: 50, 429: 350 })
    expect(upstream.received).toHaveLength(50)
    // Each of the fifty got a number of its own, so the count is one for all servers.
    const passed = answers.filter(({ status }) => status === 200)
    const left = passed.map(({ headers }) => Number(headers.get('x-ratelimit-remaining')))
    expect(left.sort((one, other) => one - other)).toEqual(Array.from({ length: 50 }, (_, index) => index))
    const [refused] = answers.filter(({ status }) => status === 429)
    expect(refused?.body).toMatchObject({ error: 'rate_limited', policy: 'action', limit: 50, remaining: 0 })
    expect(Number(refused?.body?.retry_after_seconds)).toBeLessThanOrEqual(60)
  })

  test('take all limits of a call or none', async () => {
    const one = await newAction({ rate_limit_rpm: 30 }, { rate_limit_rpm: 5 })
    expect(tally((await callAll(40, one)).map(({ status }) => status))).toEqual({ 200: 5, 429: 35 })
    const other = await servers.narrow.tokens.create({ name: 'other', action_ids: [one.id] })
    const answers = await callAll(40, { id: one.id, token: other.token })
    expect(tally(answers.map(({ status }) => status))).toEqual({ 200: 25, 429: 15 })
  })

  test('count requests of the management API over all of them', async () => {
    const { token: text } = await newAction()
    const asked = (server: ServerProcess) =>
      fetch(`${server.url}/x`, { headers: { authorization: `Bearer ${text}` } })
    const left: number[] = []
    for (const server of servers.all)
      left.push(Number((await asked(server)).headers.get('x-ratelimit-remaining')))
    expect(left).toEqual([0, 1, 2, 3].map((before) => Number(left[0]) - before))
  })

  test('never let more calls reach an upstream at once than an action allows', async () => {
    const action = await newAction({ concurrency_limit: 10 })
    let running = 0
    let most = 0
    upstream.answer = (request, res) => {
      running += 1
      most = Math.max(most, running)
      setTimeout(() => {
        running -= 1
        json(200, { ok: true })(request, res)
      }, 100)
    }
    const refusals: Answered[] = []
    const untilDone = async (index: number): Promise<void> => {
      for (;;) {
        const answer = await call(serverOf(index), action.token, action.id, {})
        if (answer.status === 200) return
        refusals.push(answer)
        await new Promise((resolve) => setTimeout(resolve, 20))
      }
    }
    await Promise.all(Array.from({ length: 100 }, (_, index) => untilDone(index)))
    expect(upstream.received).toHaveLength(100)
    expect(most).toBe(10)
    expect(tally(refusals.map(({ status }) => status))).toEqual({ 429: refusals.length })
    expect(refusals[0]?.body).toMatchObject({
      error: 'rate_limited',
      policy: 'concurrency',
      limit: 10,
      remaining: 0,
      retry_after_seconds: 1,
    })
  })

  test('give a slot back after a failure, a timeout and a caller that went away', async () => {
    const action = await newAction({ concurrency_limit: 1, timeout_ms: 300 })
    const next = () => call(serverOf(1), action.token, action.id, {})
    upstream.answer = json(500, { broken: true })
    expect((await call(serverOf(0), action.token, action.id, {})).status).toBe(500)
    upstream.answer = () => {}
    expect((await next()).error).toBe('upstream_timeout')
    const away = new AbortController()
    upstream.answer = () => away.abort()
    await expect(
      fetch(`${serverOf(2).url}/x/${action.id}`, {
        method: 'POST',
        headers: { authorization: `Bearer ${action.token}` },
        signal: away.signal,
      }),
    ).rejects.toThrow()
    // The call goes on without its caller, until its own end.
    upstream.answer = json(200, { ok: true })
    await eventually(async () => (await next()).status).toBe(200)
  })

  test('let exactly twenty of two hundred calls take the twenty uses of a token', async () => {
    const answers = await callAll(200, await newAction({}, { max_uses: 20 }))
    expect(tally(answers.map(({ error }) => error))).toEqual({ null: 20, token_exhausted: 180 })
    expect(upstream.received).toHaveLength(20)
  })

  test('let exactly three hundred calls take the three hundred executions of a month', async () => {
    const action = await newAction()
    const { database, narrow, workspaceId } = servers
    const { tier } = await narrow.workspaces.get(workspaceId)
    await database.sql`update plans set monthly_executions = 300 where tier = ${tier}`
    await database.sql`delete from counters`
    // A plan is no part of what servers are told of; they read it again within a second.
    await narrow.workspaces.pause(workspaceId)
    await narrow.workspaces.resume(workspaceId)
    await eventually(async () => {
      const [first] = await database.sql<{ used: number }[]>`select used from counters`
      if (!first) await callAll(4, action)
      return first !== undefined
    }).toBe(true)
    const [{ used } = { used: 0 }] = await database.sql<{ used: number }[]>`select used from counters`
    upstream.received.length = 0
    const answers = await callAll(400, action)
    await database.sql`update plans set monthly_executions = null where tier = ${tier}`
    expect(tally(answers.map(({ error }) => error))).toEqual({
      null: 300 - used,
      execution_limit_reached: 100 + used,
    })
    expect(upstream.received).toHaveLength(300 - used)
  })

  test('free the slots of a server that is killed', async () => {
    const action = await newAction({ concurrency_limit: 5 })
    upstream.answer = () => {}
    const last = serverOf(3)
    const lost = Array.from({ length: 5 }, () => call(last, action.token, action.id, {}).catch(() => null))
    await eventually(() => upstream.received.length).toBe(5)
    const refused = await call(serverOf(0), action.token, action.id, {})
    expect(refused.body).toMatchObject({ error: 'rate_limited', policy: 'concurrency', limit: 5 })
    last.child.kill('SIGKILL')
    expect(await Promise.all(lost)).toEqual([null, null, null, null, null])
    upstream.answer = json(200, { ok: true })
    // Its word is good for a while: the calls may still be at the upstream.
    expect((await call(serverOf(0), action.token, action.id, {})).status).toBe(429)
    await eventually(async () => (await call(serverOf(0), action.token, action.id, {})).status).toBe(200)
    const answers = await Promise.all(
      Array.from({ length: 5 }, (_, index) => call(serverOf(index % 3), action.token, action.id, {})),
    )
    expect(tally(answers.map(({ status }) => status))).toEqual({ 200: 5 })
  }, 60_000)
})
