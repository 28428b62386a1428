import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { serverAndUpstream } from '../support/server-and-upstream.ts'
import { echo, json } from '../support/upstream.ts'
import { call, callable, settableClock, tally, together } from './calls.ts'

const clock = settableClock('2026-01-31T23:00:00.000Z')
const { server, upstream } = await serverAndUpstream({ clock })

beforeEach(() => {
  upstream.received = []
  upstream.answer = echo
})

describe('the limits on the rate', () => {
  afterEach(() => clock.advance(3_600_000))

  test('let exactly their number through, however many call at once', async () => {
    const { action, token } = await callable(server.owner, { target_url: upstream.url, rate_limit_rpm: 20 })
    const answers = await together(50, () => call(server, token, action.id, {}))
    expect(tally(answers.map(({ status }) => status))).toEqual({ 200: 20, 429: 30 })
    expect(upstream.received).toHaveLength(20)
    const remaining = answers
      .filter(({ status }) => status === 200)
      .map(({ headers }) => headers.get('x-ratelimit-remaining'))
    expect(new Set(remaining).size).toBe(20)
  })

  test('are told on every answer, and the refusal says when to come back', async () => {
    const { action, token } = await callable(server.owner, { target_url: upstream.url, rate_limit_rpm: 2 })
    const resetsAt = Math.ceil((clock.now().getTime() + 60_000) / 1000)
    const first = await call(server, token, action.id, {})
    expect(first.headers.get('x-ratelimit-limit')).toBe('2')
    expect(first.headers.get('x-ratelimit-remaining')).toBe('1')
    expect(first.headers.get('x-ratelimit-reset')).toBe(String(resetsAt))
    expect(first.headers.get('ratelimit-policy')).toBe('"action";q=2;w=60')
    expect(first.headers.get('ratelimit')).toBe('"action";r=1;t=60')
    await call(server, token, action.id, {})
    clock.advance(20_000)
    const refused = await call(server, token, action.id, {})
    expect(refused.status).toBe(429)
    expect(refused.headers.get('retry-after')).toBe('40')
    expect(refused.headers.get('ratelimit')).toBe('"action";r=0;t=40')
    expect(refused.headers.get('cache-control')).toBe('no-store')
    expect(refused.body).toMatchObject({
      error: 'rate_limited',
      retry_after_seconds: 40,
      limit: 2,
      remaining: 0,
      policy: 'action',
      reset_at: new Date(resetsAt * 1000).toISOString(),
    })
    clock.advance(39_999)
    expect((await call(server, token, action.id, {})).status).toBe(429)
    clock.advance(1)
    expect((await call(server, token, action.id, {})).status).toBe(200)
  })

  test('of the hour hold when those of the minute have passed', async () => {
    const { action, token } = await callable(server.owner, {
      target_url: upstream.url,
      rate_limit_rpm: 2,
      rate_limit_rph: 3,
    })
    const statuses = []
    for (let minute = 0; minute < 3; minute += 1) {
      for (let n = 0; n < 2; n += 1) statuses.push((await call(server, token, action.id, {})).status)
      clock.advance(60_000)
    }
    expect(statuses).toEqual([200, 200, 200, 429, 429, 429])
    const refused = await call(server, token, action.id, {})
    expect(refused.body).toMatchObject({ policy: 'action_hour', retry_after_seconds: 3600 - 180 })
    clock.advance(3_420_000)
    expect((await call(server, token, action.id, {})).status).toBe(200)
  })

  test('count in all of them or in none', async () => {
    const { action, token } = await callable(
      server.owner,
      { target_url: upstream.url, rate_limit_rpm: 2 },
      { rate_limit_rpm: 1 },
    )
    const { token: other } = await server.owner.narrow.tokens.create({ name: 'o', action_ids: [action.id] })
    expect((await call(server, token, action.id, {})).status).toBe(200)
    // Refused for its token, so it must not eat from the action what belongs to the other token.
    for (let n = 0; n < 5; n += 1) {
      expect((await call(server, token, action.id, {})).body).toMatchObject({ policy: 'token' })
    }
    expect((await call(server, other, action.id, {})).status).toBe(200)
    expect((await call(server, other, action.id, {})).body).toMatchObject({ policy: 'action' })
  })

  test('of one workspace do not touch another', async () => {
    const [a, b] = [await server.newWorkspace(), await server.newWorkspace()]
    await a.narrow.workspaces.update(a.workspaceId, { tier: 'free' })
    const one = await callable(a, { target_url: upstream.url })
    const other = await callable(b, { target_url: upstream.url })
    const answers = await together(80, () => call(server, one.token, one.action.id, {}))
    const counted = tally(answers.map(({ status }) => status))
    // Creating the action and the token counted for the workspace too.
    expect(counted[429]).toBeGreaterThanOrEqual(20)
    expect((await call(server, other.token, other.action.id, {})).status).toBe(200)
  })

  test('refuse before the body is parsed', async () => {
    const { action, token } = await callable(server.owner, { target_url: upstream.url, rate_limit_rpm: 1 })
    await call(server, token, action.id, {})
    expect((await call(server, token, action.id, undefined, { raw: '{not json' })).status).toBe(429)
  })
})

describe('the limit on calls at once', () => {
  /** An upstream that answers when it is told to, and the most calls it has had at once. */
  const slowUpstream = () => {
    const waiting: (() => void)[] = []
    let most = 0
    upstream.answer = (request, res) => {
      waiting.push(() => json(200, { ok: true })(request, res))
      most = Math.max(most, waiting.length)
    }
    const answerAll = () => {
      for (const answer of waiting.splice(0)) answer()
    }
    return { most: () => most, waiting, answerAll }
  }
  const reached = (count: number) => expect.poll(() => upstream.received.length, { interval: 5 }).toBe(count)

  test('lets exactly its number reach the upstream, and one more when one has its answer', async () => {
    const slow = slowUpstream()
    const { action, token } = await callable(server.owner, {
      target_url: upstream.url,
      concurrency_limit: 10,
    })
    let answered = 0
    const calls = Array.from({ length: 100 }, async () => {
      const answer = await call(server, token, action.id, {})
      answered += 1
      return answer
    })
    // Ninety are told at once; the ten wait for the upstream.
    await expect
      .poll(() => [slow.waiting.length, answered], { timeout: 10_000, interval: 5 })
      .toEqual([10, 90])
    const next = await call(server, token, action.id, {})
    expect(next.headers.get('retry-after')).toBe('1')
    expect(next.headers.get('ratelimit-policy')).toBe('"concurrency";q=10;w=1')
    expect(next.headers.get('ratelimit')).toBe('"concurrency";r=0;t=1')
    expect(next.body).toMatchObject({
      error: 'rate_limited',
      policy: 'concurrency',
      limit: 10,
      remaining: 0,
      retry_after_seconds: 1,
    })
    slow.answerAll()
    const answers = await Promise.all(calls)
    expect(tally(answers.map(({ status }) => status))).toEqual({ 200: 10, 429: 90 })
    expect(slow.most()).toBe(10)
    const again = Array.from({ length: 10 }, () => call(server, token, action.id, {}))
    await reached(20)
    slow.answerAll()
    expect(tally((await Promise.all(again)).map(({ status }) => status))).toEqual({ 200: 10 })
  })

  test('is freed by whatever ends a call', async () => {
    const key = { headers: { 'idempotency-key': 'the-same' } }
    const { action, token } = await callable(
      server.owner,
      {
        target_url: upstream.url,
        concurrency_limit: 1,
        timeout_ms: 200,
        input_schema: [{ name: 'n', type: 'integer', required: true }],
        constraints: [{ path: '/n', op: 'max', value: 10 }],
      },
      { max_uses: 5 },
    )
    const one = (n: unknown, options = {}) => call(server, token, action.id, { n }, options)
    expect((await one(1, key)).status).toBe(200)
    expect((await one(1, key)).headers.get('idempotent-replayed')).toBe('true')
    expect((await one(2, key)).error).toBe('idempotency_key_reused')
    expect((await one('two')).error).toBe('validation_failed')
    expect((await one(11)).error).toBe('policy_denied')
    expect((await call(server, token, action.id, undefined, { raw: '{' })).error).toBe('invalid_request')
    upstream.answer = json(500, { broken: true })
    expect((await one(3)).status).toBe(500)
    upstream.answer = (_, res) => res.destroy()
    expect((await one(4)).error).toBe('upstream_outcome_unknown')
    upstream.answer = () => {}
    expect((await one(5)).error).toBe('upstream_timeout')
    upstream.answer = echo
    expect((await one(6)).status).toBe(200)
    expect((await one(7)).error).toBe('token_exhausted')
    expect((await one(8)).error).toBe('token_exhausted')
  })

  test('is freed when the upstream has answered a caller that went away', async () => {
    const slow = slowUpstream()
    const { action, token } = await callable(server.owner, { target_url: upstream.url, concurrency_limit: 1 })
    const away = new AbortController()
    const lost = fetch(`${server.url}/x/${action.id}`, {
      method: 'POST',
      headers: { authorization: `Bearer ${token}` },
      signal: away.signal,
    })
    await reached(1)
    away.abort()
    await expect(lost).rejects.toThrow()
    expect((await call(server, token, action.id, {})).error).toBe('rate_limited')
    slow.answerAll()
    upstream.answer = echo
    await expect
      .poll(async () => (await call(server, token, action.id, {})).status, { interval: 20 })
      .toBe(200)
  })

  test('stands after the rates and before the input, and what it refuses counts in no rate and is not recorded', async () => {
    const slow = slowUpstream()
    const { action, token } = await callable(server.owner, {
      target_url: upstream.url,
      concurrency_limit: 1,
      rate_limit_rpm: 3,
    })
    const first = call(server, token, action.id, {})
    await reached(1)
    const before = (await server.owner.narrow.executions.list({ action_id: action.id })).data
    for (let n = 0; n < 5; n += 1) {
      const refused = await call(server, token, action.id, undefined, { raw: 'no JSON' })
      expect(refused.body).toMatchObject({ error: 'rate_limited', policy: 'concurrency' })
    }
    slow.answerAll()
    upstream.answer = echo
    expect((await first).headers.get('x-ratelimit-remaining')).toBe('2')
    expect((await server.owner.narrow.executions.list({ action_id: action.id })).data).toHaveLength(
      before.length,
    )
    for (let n = 0; n < 2; n += 1) expect((await call(server, token, action.id, {})).status).toBe(200)
    expect((await call(server, token, action.id, {})).body).toMatchObject({ policy: 'action' })
  })

  test('that changes applies to the next call, however many run', async () => {
    const slow = slowUpstream()
    const { narrow } = server.owner
    const { action, token } = await callable(server.owner, { target_url: upstream.url, concurrency_limit: 3 })
    const running = Array.from({ length: 3 }, () => call(server, token, action.id, {}))
    await reached(3)
    await narrow.actions.update(action.id, { concurrency_limit: 1 })
    server.deps.catalogue.expire()
    expect((await call(server, token, action.id, {})).body).toMatchObject({ policy: 'concurrency', limit: 1 })
    await narrow.actions.update(action.id, { concurrency_limit: null })
    server.deps.catalogue.expire()
    running.push(call(server, token, action.id, {}))
    await reached(4)
    slow.answerAll()
    expect(tally((await Promise.all(running)).map(({ status }) => status))).toEqual({ 200: 4 })
    await narrow.actions.update(action.id, { concurrency_limit: 1 })
    server.deps.catalogue.expire()
    upstream.answer = echo
    expect((await call(server, token, action.id, {})).status).toBe(200)
  })
})

describe('the uses of a token', () => {
  test.each([
    ['a token', { max_uses: 7 }, {}],
    ['a grant', {}, { max_uses: 7 }],
    ['a grant within a token', { max_uses: 100 }, { max_uses: 7 }],
    ['a token around a grant', { max_uses: 7 }, { max_uses: 100 }],
  ])('are exact for %s under 200 concurrent calls', async (_, limits, grant) => {
    const actor = await server.newWorkspace()
    const { action, token, tokenId } = await callable(actor, { target_url: upstream.url }, limits, grant)
    const answers = await together(200, () => call(server, token, action.id, {}))
    expect(tally(answers.map(({ error }) => error))).toEqual({ null: 7, token_exhausted: 193 })
    expect(upstream.received).toHaveLength(7)
    const held = await actor.narrow.tokens.get(tokenId)
    if ('max_uses' in limits) expect(held.uses).toBe(7)
    if ('max_uses' in grant) expect(held.grants[0]?.uses).toBe(7)
    const [counted] = await server.database.sql`
      select count(*) filter (where status = 'completed')::int as completed,
        count(*) filter (where status = 'rejected')::int as rejected
      from executions where workspace_id = ${actor.workspaceId}`
    expect(counted).toEqual({ completed: 7, rejected: 193 })
  })

  test('are taken by calls that fail at the upstream and not by calls that are refused', async () => {
    const { action, token, tokenId } = await callable(
      server.owner,
      { target_url: upstream.url, input_schema: [{ name: 'n', type: 'integer', required: true }] },
      { max_uses: 3 },
    )
    await call(server, token, action.id, { n: 'x' })
    await call(server, token, action.id, undefined, { raw: '{' })
    upstream.answer = json(500, {})
    await call(server, token, action.id, { n: 1 })
    upstream.answer = (_, res) => res.destroy()
    await call(server, token, action.id, { n: 1 })
    expect((await server.owner.narrow.tokens.get(tokenId)).uses).toBe(2)
    upstream.answer = echo
    expect((await call(server, token, action.id, { n: 1 })).status).toBe(200)
    expect((await call(server, token, action.id, { n: 1 })).error).toBe('token_exhausted')
    expect((await server.owner.narrow.tokens.get(tokenId)).status).toBe('exhausted')
  })

  test('of one grant leave the other grants of the token alone', async () => {
    const first = await server.owner.narrow.actions.create({ name: 'a', target_url: upstream.url })
    const second = await server.owner.narrow.actions.create({ name: 'b', target_url: upstream.url })
    const { token } = await server.owner.narrow.tokens.create({
      name: 'bot',
      grants: [{ action_id: first.id, max_uses: 1 }, { action_id: second.id }],
    })
    await call(server, token, first.id, {})
    expect((await call(server, token, first.id, {})).error).toBe('token_exhausted')
    expect((await call(server, token, second.id, {})).status).toBe(200)
  })
})

describe('a plan', () => {
  const onPlan = async (tier: 'free' | 'starter') => {
    const actor = await server.newWorkspace()
    await actor.narrow.workspaces.update(actor.workspaceId, { tier })
    return actor
  }
  const setQuota = (quota: number) =>
    server.database.sql`update plans set monthly_executions = ${quota} where tier = 'starter'`

  test('may allow as many requests as an integer can say', async () => {
    const { action, token } = await callable(await onPlan('starter'), { target_url: upstream.url })
    const setRate = (rate: number) =>
      server.database.sql`update plans set requests_per_minute = ${rate} where tier = 'starter'`
    await setRate(2_147_483_647)
    server.deps.expire()
    expect((await call(server, token, action.id, {})).status).toBe(200)
    await setRate(1000)
  })

  test('on the free tier allows five active actions, also when twenty are made at once', async () => {
    const actor = await onPlan('free')
    const made = await together(20, (n) =>
      actor.narrow.actions.create({ name: `a${n}`, target_url: upstream.url }).then(
        () => 'created',
        (error: { code: string }) => error.code,
      ),
    )
    expect(tally(made)).toEqual({ created: 5, action_limit_reached: 15 })
    const refusal = await actor.narrow.actions
      .create({ name: 'sixth', target_url: upstream.url })
      .catch((error: { status: number; body: unknown }) => error)
    expect(refusal).toMatchObject({
      status: 403,
      body: { error: 'action_limit_reached', feature: 'active_actions', limit: 5, current_usage: 5 },
    })
    // What is not active does not count, until it is to become active.
    const draft = await actor.narrow.actions.create({
      name: 'draft',
      target_url: upstream.url,
      status: 'draft',
    })
    const activate = () => actor.narrow.actions.update(draft.id, { status: 'active' })
    await expect(activate()).rejects.toMatchObject({ code: 'action_limit_reached' })
    const [first] = (await actor.narrow.actions.list({ status: 'active' })).data
    await actor.narrow.actions.update(first?.id ?? '', { status: 'paused' })
    expect((await activate()).status).toBe('active')
    await expect(actor.narrow.actions.update(first?.id ?? '', { status: 'active' })).rejects.toMatchObject({
      code: 'action_limit_reached',
    })
    await actor.narrow.actions.delete(draft.id)
    expect((await actor.narrow.actions.update(first?.id ?? '', { status: 'active' })).status).toBe('active')
  })

  test('allows exactly its monthly executions under concurrency, and records what it refuses', async () => {
    const actor = await onPlan('starter')
    await setQuota(20)
    const { action, token } = await callable(actor, { target_url: upstream.url })
    const answers = await together(50, () => call(server, token, action.id, {}))
    expect(tally(answers.map(({ error }) => error))).toEqual({ null: 20, execution_limit_reached: 30 })
    expect(upstream.received).toHaveLength(20)
    const refused = answers.find(({ error }) => error !== null)
    expect(refused?.status).toBe(403)
    expect(refused?.body).toMatchObject({ feature: 'monthly_executions', limit: 20, current_usage: 20 })
    const recorded = await actor.narrow.executions.get(refused?.executionId ?? '')
    expect(recorded).toMatchObject({ status: 'rejected', error: { code: 'execution_limit_reached' } })
    const [counter] = await server.database.sql`
      select used from counters where workspace_id = ${actor.workspaceId} and feature = 'monthly_executions'`
    expect(counter?.used).toBe(20)
  })

  test('that refuses takes no use, and a use that is refused takes no quota', async () => {
    const actor = await onPlan('starter')
    await setQuota(3)
    const { action, token, tokenId } = await callable(actor, { target_url: upstream.url }, { max_uses: 2 })
    for (let n = 0; n < 4; n += 1) await call(server, token, action.id, {})
    const [counter] = await server.database
      .sql`select used from counters where workspace_id = ${actor.workspaceId}`
    expect(counter?.used).toBe(2)
    await setQuota(2)
    server.deps.authority.expire()
    const { token: fresh, id } = await actor.narrow.tokens.create({
      name: 'fresh',
      action_ids: [action.id],
      max_uses: 5,
    })
    expect((await call(server, fresh, action.id, {})).error).toBe('execution_limit_reached')
    expect((await actor.narrow.tokens.get(id)).uses).toBe(0)
    expect((await actor.narrow.tokens.get(tokenId)).uses).toBe(2)
  })

  test('begins anew with the month in UTC', async () => {
    const actor = await onPlan('starter')
    await setQuota(1)
    const { action, token } = await callable(actor, { target_url: upstream.url })
    const toNextMonth = () => {
      const now = clock.now()
      return Date.UTC(now.getUTCFullYear(), now.getUTCMonth() + 1, 1) - now.getTime()
    }
    expect((await call(server, token, action.id, {})).status).toBe(200)
    clock.advance(toNextMonth() - 1)
    const refused = await call(server, token, action.id, {})
    expect(refused.error).toBe('execution_limit_reached')
    clock.advance(1)
    expect(refused.body?.reset_at).toBe(clock.now().toISOString())
    expect((await call(server, token, action.id, {})).status).toBe(200)
    expect((await call(server, token, action.id, {})).error).toBe('execution_limit_reached')
  })

  test('that changes applies to the next call', async () => {
    const actor = await onPlan('starter')
    await setQuota(1)
    const { action, token } = await callable(actor, { target_url: upstream.url })
    await call(server, token, action.id, {})
    expect((await call(server, token, action.id, {})).error).toBe('execution_limit_reached')
    await actor.narrow.workspaces.update(actor.workspaceId, { tier: 'self_hosted' })
    expect((await call(server, token, action.id, {})).status).toBe(200)
  })
})
