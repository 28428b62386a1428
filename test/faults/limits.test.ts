import { type Dictionary, parseList } from 'structured-headers'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { type Answered, call, callable, settableClock, tally, together } from '../proxy/calls.ts'
import { serverAndUpstream } from '../support/server-and-upstream.ts'
import { echo, json } from '../support/upstream.ts'

const clock = settableClock('2026-05-10T12:00:00.000Z')
const { server, upstream } = await serverAndUpstream({ clock })

beforeEach(() => {
  upstream.received = []
  upstream.answer = echo
})

afterEach(() => clock.advance(3_600_000))

/** Both fields as a client with a parser of structured fields reads them (RFC 9651); a malformed one throws. */
const readLimit = ({ headers }: Pick<Answered, 'headers'>) => {
  const [policy] = parseList(headers.get('ratelimit-policy') ?? '')
  const [state] = parseList(headers.get('ratelimit') ?? '')
  if (!policy || !state) throw new Error('The limits are not told')
  const integer = (from: Dictionary | Map<string, unknown>, name: string): number => {
    const value = from.get(name)
    if (!Number.isInteger(value)) throw new Error(`${name} is no integer`)
    return Number(value)
  }
  return {
    policy: policy[0],
    name: state[0],
    quota: integer(policy[1], 'q'),
    window: integer(policy[1], 'w'),
    remaining: integer(state[1], 'r'),
    resetsIn: integer(state[1], 't'),
  }
}

const expectConsistent = (answer: Answered): void => {
  const told = readLimit(answer)
  expect(told.policy).toBe(told.name)
  expect(told.remaining).toBeGreaterThanOrEqual(0)
  expect(told.remaining).toBeLessThanOrEqual(told.quota)
  expect(told.resetsIn).toBeLessThanOrEqual(told.window)
  expect(Number(answer.headers.get('x-ratelimit-limit'))).toBe(told.quota)
  expect(Number(answer.headers.get('x-ratelimit-remaining'))).toBe(told.remaining)
  if (answer.status !== 429) return
  expect(told.remaining).toBe(0)
  expect(Number(answer.headers.get('retry-after'))).toBeGreaterThanOrEqual(told.resetsIn)
}

test('of fifty calls at once a limit of twenty takes twenty, and every answer tells the same story', async () => {
  const { action, token } = await callable(server.owner, { target_url: upstream.url, rate_limit_rpm: 20 })
  const answers = await together(50, () => call(server, token, action.id, {}))
  expect(tally(answers.map(({ status }) => status))).toEqual({ 200: 20, 429: 30 })
  expect(upstream.received).toHaveLength(20)
  for (const answer of answers) expectConsistent(answer)
  const left = answers.filter(({ status }) => status === 200).map((answer) => readLimit(answer).remaining)
  expect(left.toSorted((one, other) => one - other)).toEqual(Array.from({ length: 20 }, (_, n) => n))
})

test('a monthly quota of twenty takes twenty of fifty at once, and its counter says twenty', async () => {
  const actor = await server.newWorkspace()
  await server.database.sql`update plans set monthly_executions = 20 where tier = 'pro'`
  await actor.narrow.workspaces.update(actor.workspaceId, { tier: 'pro' })
  const { action, token } = await callable(actor, { target_url: upstream.url })
  const answers = await together(50, () => call(server, token, action.id, {}))
  expect(tally(answers.map(({ error }) => error))).toEqual({ null: 20, execution_limit_reached: 30 })
  expect(upstream.received).toHaveLength(20)
  expect(await usedOf(actor.workspaceId)).toBe(20)
})

test.each([
  { what: 'a body that is no JSON', raw: '{', status: 400, takes: 0 },
  { what: 'an input that does not fit', input: { n: 'x' }, status: 422, takes: 0 },
  { what: 'an input that a constraint refuses', input: { n: 11 }, status: 403, takes: 0 },
  { what: 'an action that is not granted', path: 'nothing', input: { n: 1 }, status: 404, takes: 0 },
  { what: 'a call that the upstream fails', input: { n: 1 }, upstream: 500, status: 500, takes: 1 },
  { what: 'a call that the upstream answers', input: { n: 1 }, upstream: 200, status: 200, takes: 1 },
])(
  '$what counts once against the rate and $takes times against uses and quota',
  async ({ raw, input, path, status, takes, ...expected }) => {
    const actor = await server.newWorkspace()
    await server.database.sql`update plans set monthly_executions = 1000 where tier = 'pro'`
    await actor.narrow.workspaces.update(actor.workspaceId, { tier: 'pro' })
    const { action, token, tokenId } = await callable(
      actor,
      {
        target_url: upstream.url,
        input_schema: [{ name: 'n', type: 'integer', required: true }],
        constraints: [{ path: '/n', op: 'max', value: 10 }],
      },
      { max_uses: 10, rate_limit_rpm: 100 },
    )
    upstream.answer = json(expected.upstream ?? 200, {})
    const rateLeft = async () => readLimit(await call(server, token, action.id, { n: 'x' })).remaining
    const before = await rateLeft()
    const answer = await call(server, token, path ?? action.id, input, raw === undefined ? {} : { raw })
    expect(answer.status).toBe(status)
    // The two that ask and the one that is asked about.
    expect(before - (await rateLeft())).toBe(2)
    expect((await actor.narrow.tokens.get(tokenId)).uses).toBe(takes)
    expect(await usedOf(actor.workspaceId)).toBe(takes)
  },
)

test('a limit lowered below what is used leaves nothing, never less than nothing', async () => {
  const { action, token } = await callable(server.owner, { target_url: upstream.url, rate_limit_rpm: 10 })
  for (let n = 0; n < 6; n += 1) await call(server, token, action.id, {})
  await server.owner.narrow.actions.update(action.id, { rate_limit_rpm: 3 })
  const refused = await call(server, token, action.id, {})
  expect(refused.status).toBe(429)
  expect(refused.body).toMatchObject({ limit: 3, remaining: 0 })
  expectConsistent(refused)
  await server.owner.narrow.actions.update(action.id, { rate_limit_rpm: 8 })
  const served = await call(server, token, action.id, {})
  expect([served.status, readLimit(served).remaining]).toEqual([200, 1])
})

test('around the edge of a window at most twice the limit passes', async () => {
  const { action, token } = await callable(server.owner, { target_url: upstream.url, rate_limit_rpm: 20 })
  await call(server, token, action.id, {})
  clock.advance(59_990)
  const before = await together(40, () => call(server, token, action.id, {}))
  clock.advance(20)
  const after = await together(40, () => call(server, token, action.id, {}))
  const passed = [...before, ...after].filter(({ status }) => status === 200).length
  expect(passed).toBe(19 + 20)
  for (const answer of [...before, ...after]) expectConsistent(answer)
})

test('every limit is told in well-formed fields: of a key, a workspace, a token, an action and its hour', async () => {
  const { narrow, key } = server.owner
  const to = { target_url: upstream.url }
  const of = {
    action: await callable(server.owner, { ...to, rate_limit_rpm: 2 }),
    action_hour: await callable(server.owner, { ...to, rate_limit_rph: 2 }),
    token: await callable(server.owner, to, { rate_limit_rpm: 2 }),
  }
  for (const [policy, { token, action }] of Object.entries(of)) {
    for (const status of [200, 200, 429]) {
      const answer = await call(server, token, action.id, {})
      expect(answer.status).toBe(status)
      expectConsistent(answer)
      expect(readLimit(answer).policy).toBe(policy)
    }
  }
  const { key: narrower } = await narrow.apiKeys.create({ name: 'free', rate_limit_tier: 'free' })
  const policyOf = async (path: string, credential: string) => {
    const headers = { authorization: `Bearer ${credential}` }
    return readLimit(await fetch(server.url + path, { headers })).policy
  }
  expect(await policyOf('/api/v1/actions', narrower)).toBe('default')
  expect(await policyOf('/x', of.token.token)).toBe('workspace')
  expect(await policyOf('/api/v1/actions', key)).toBe('workspace')
})

test('a workspace at its limit costs another neither an answer nor a place', async () => {
  const [flooding, other] = [await server.newWorkspace(), await server.newWorkspace()]
  const full = await callable(flooding, { target_url: upstream.url, rate_limit_rpm: 1 })
  const free = await callable(other, { target_url: upstream.url })
  await call(server, full.token, full.action.id, {})
  upstream.received = []
  let isOver = false
  let refused = 0
  const flood = Promise.all(
    Array.from({ length: 8 }, async () => {
      while (!isOver) refused += (await call(server, full.token, full.action.id, {})).status === 429 ? 1 : 0
    }),
  )
  const served = []
  for (let n = 0; n < 25; n += 1) served.push((await call(server, free.token, free.action.id, {})).status)
  isOver = true
  await flood
  expect(tally(served)).toEqual({ 200: 25 })
  // All that was sent is the other's: a refused call costs no upstream, and waits in no queue before theirs.
  expect(upstream.received).toHaveLength(25)
  expect(refused).toBeGreaterThan(25)
})

const usedOf = async (workspaceId: string): Promise<number> => {
  const [row] = await server.database.sql<{ used: number }[]>`
    select coalesce(sum(used), 0)::int as used from counters where workspace_id = ${workspaceId}`
  return row?.used ?? 0
}
