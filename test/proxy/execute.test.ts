import { beforeEach, describe, expect, test } from 'vitest'
import { exchange, request } from '../support/raw.ts'
import type { Actor } from '../support/server.ts'
import { serverAndUpstream } from '../support/server-and-upstream.ts'
import { echo, json, startUpstream, type Upstream } from '../support/upstream.ts'
import { type CallOptions, call, callable } from './calls.ts'

const { server, upstream } = await serverAndUpstream()

beforeEach(() => {
  upstream.received = []
  upstream.answer = echo
})

const target = (path = '/things') => `${upstream.url}${path}`
const amount = { name: 'amount', type: 'integer' as const, required: true }

const executionsOf = async ({ narrow }: Actor) => (await narrow.executions.list({ limit: 100 })).data
const lastExecution = async (actor: Actor) => {
  const [execution] = await executionsOf(actor)
  if (!execution) throw new Error('Nothing was recorded')
  return execution
}

describe('the order of the checks', () => {
  type Scene = { actor: Actor; actionId: string; secretId: string | null; tokenId: string; token: string }
  type Fault = {
    code: string
    /** The place in the order, in words. */
    check: string
    action?: Partial<Parameters<typeof callable>[1]>
    limits?: Parameters<typeof callable>[2]
    arrange?: (scene: Scene) => Promise<unknown>
    /** Another action than the granted one. */
    isForeign?: true
    body?: string
    headers?: Record<string, string>
  }
  const good = '{"amount":1}'
  const key = { 'idempotency-key': 'k-1' }
  const once = ({ token, actionId }: Scene) => call(server, token, actionId, undefined, { raw: good })

  const faults: Fault[] = [
    {
      check: 'the token',
      code: 'unauthorized',
      arrange: ({ actor, tokenId }) => actor.narrow.tokens.delete(tokenId),
    },
    {
      check: 'the workspace is not paused',
      code: 'paused',
      arrange: ({ actor }) => actor.narrow.workspaces.pause(actor.workspaceId),
    },
    { check: 'the grant', code: 'not_found', isForeign: true },
    {
      check: 'the action is not paused',
      code: 'paused',
      arrange: ({ actor, actionId }) => actor.narrow.actions.update(actionId, { status: 'paused' }),
    },
    { check: 'the sunset', code: 'sunset', action: { sunset_at: '2020-01-01T00:00:00Z' } },
    { check: 'the rate', code: 'rate_limited', action: { rate_limit_rpm: 1 }, arrange: once },
    {
      check: 'the idempotency key',
      code: 'idempotency_key_reused',
      headers: key,
      arrange: ({ token, actionId }) => call(server, token, actionId, { amount: 2 }, { headers: key }),
    },
    { check: 'the media type', code: 'unsupported_media_type', headers: { 'content-type': 'text/plain' } },
    { check: 'the syntax', code: 'invalid_request', body: '{"amount":11,"more":1' },
    { check: 'the schema', code: 'validation_failed', body: '{"amount":11,"more":1}' },
    {
      check: 'the constraints',
      code: 'policy_denied',
      action: { constraints: [{ path: '/amount', op: 'max', value: 10 }] },
      body: '{"amount":11}',
    },
    { check: 'the uses', code: 'token_exhausted', limits: { max_uses: 1 }, arrange: once },
    {
      check: 'the quota',
      code: 'execution_limit_reached',
      async arrange(scene) {
        await server.database.sql`update plans set monthly_executions = 1 where tier = 'starter'`
        await scene.actor.narrow.workspaces.update(scene.actor.workspaceId, { tier: 'starter' })
        await once(scene)
      },
    },
    {
      check: 'the secret',
      code: 'upstream_auth_failed',
      action: { auth_type: 'bearer', auth_value: 'a-secret-of-the-order' },
      async arrange({ secretId }) {
        await server.database.sql`update secrets set expires_at = '2020-01-01' where id = ${secretId}`
        server.deps.catalogue.expire()
      },
    },
    {
      check: 'the host',
      code: 'upstream_blocked',
      arrange: ({ actor }) =>
        actor.narrow.workspaces.update(actor.workspaceId, { settings: { allowed_hosts: ['example.com'] } }),
    },
  ]
  const pairs = faults.slice(1).map((later, index) => ({ earlier: faults[index] ?? later, later }))

  test.each(pairs)('$earlier.check is looked at before $later.check', async ({ earlier, later }) => {
    const actor = await server.newWorkspace()
    const both = [earlier, later]
    const { action, token, tokenId } = await callable(
      actor,
      { target_url: target(), input_schema: [amount], ...later.action, ...earlier.action },
      { ...later.limits, ...earlier.limits },
    )
    const foreign = await actor.narrow.actions.create({ name: 'Other', target_url: target() })
    const actionId = both.some((fault) => fault.isForeign) ? foreign.id : action.id
    const scene: Scene = { actor, actionId, secretId: action.secret_id, tokenId, token }
    // The later one first: what is arranged for it may need calls that still pass the earlier check.
    await later.arrange?.(scene)
    await earlier.arrange?.(scene)
    const sent = upstream.received.length
    const answer = await call(server, token, actionId, undefined, {
      raw: earlier.body ?? later.body ?? good,
      headers: { ...later.headers, ...earlier.headers },
    })
    expect(answer.error).toBe(earlier.code)
    expect(answer.body?.error).toBe(earlier.code)
    expect(upstream.received).toHaveLength(sent)
  })

  test('a body that is too large is told after the rate and before the schema', async () => {
    const { action, token } = await callable(server.owner, { target_url: target(), rate_limit_rpm: 1 })
    const raw = `{"amount":"${'x'.repeat(1_100_000)}"}`
    const first = await call(server, token, action.id, undefined, { raw })
    expect([first.status, first.error]).toEqual([413, 'payload_too_large'])
    expect((await lastExecution(server.owner)).error?.code).toBe('payload_too_large')
    const second = await call(server, token, action.id, undefined, { raw })
    expect([second.status, second.error]).toEqual([429, 'rate_limited'])
  })
})

describe('a refusal', () => {
  test('is recorded as a rejected execution with its code, and its id is told', async () => {
    const actor = await server.newWorkspace()
    const { action, token, tokenId } = await callable(actor, {
      target_url: target(),
      input_schema: [amount],
      constraints: [{ path: '/amount', op: 'max', value: 10 }],
    })
    const answer = await call(server, token, action.id, { amount: 11 })
    expect(answer.status).toBe(403)
    expect(answer.body).toMatchObject({
      error: 'policy_denied',
      rule: 'action.constraints.0',
      path: '/amount',
      accepted: 10,
    })
    const execution = await actor.narrow.executions.get(answer.executionId ?? '')
    expect(execution).toMatchObject({
      status: 'rejected',
      action_id: action.id,
      token_id: tokenId,
      version: 1,
      input: { amount: 11 },
      output: null,
      upstream: null,
      started_at: null,
      error: { code: 'policy_denied', rule: 'action.constraints.0' },
    })
    expect(execution.decision).toEqual({
      allowed: false,
      policy_revision: expect.any(String),
      matched: [],
      rule: 'action.constraints.0',
      path: '/amount',
      accepted: 10,
    })
    expect(upstream.received).toHaveLength(0)
  })

  test('by a token’s own constraint names the token', async () => {
    const { action, token } = await callable(
      server.owner,
      {
        target_url: target(),
        input_schema: [amount],
        constraints: [{ path: '/amount', op: 'max', value: 10 }],
      },
      {},
      { constraints: [{ path: '/amount', op: 'max', value: 5 }] },
    )
    expect((await call(server, token, action.id, { amount: 5 })).status).toBe(200)
    const narrower = await call(server, token, action.id, { amount: 6 })
    expect(narrower.body).toMatchObject({ error: 'policy_denied', rule: 'token.constraints.0' })
    const wider = await call(server, token, action.id, { amount: 11 })
    expect(wider.body).toMatchObject({ error: 'policy_denied', rule: 'action.constraints.0' })
  })

  test('by a limit on the rate is not recorded, and a flood of other refusals is not either', async () => {
    const actor = await server.newWorkspace()
    const { action, token } = await callable(actor, { target_url: target(), rate_limit_rpm: 3 })
    const limited = await Promise.all(Array.from({ length: 10 }, () => call(server, token, action.id, {})))
    const refused = limited.filter((answer) => answer.status === 429)
    expect(refused).toHaveLength(7)
    expect(refused.every((answer) => answer.executionId === null)).toBe(true)
    await actor.narrow.actions.update(action.id, { status: 'paused' })
    const paused = await Promise.all(Array.from({ length: 10 }, () => call(server, token, action.id, {})))
    expect(paused.every((answer) => answer.error === 'paused')).toBe(true)
    expect(await executionsOf(actor)).toHaveLength(3)
  })

  test('of an action that is not granted leaves an audit event and no execution', async () => {
    const actor = await server.newWorkspace()
    const { token } = await callable(actor, { target_url: target() })
    const other = await callable(actor, { target_url: target() })
    const answer = await call(server, token, other.action.id, {})
    expect([answer.status, answer.error]).toEqual([404, 'not_found'])
    expect(answer.headers.get('x-ratelimit-limit')).not.toBeNull()
    await server.deps.refusals.drain()
    const { data } = await actor.narrow.audit.list({ limit: 1 })
    expect(data[0]).toMatchObject({ action: 'credential.refused', outcome: 'denied' })
    expect(await executionsOf(actor)).toEqual([])
  })

  test.each([
    ['a query parameter', '?amount=1', {}, 'validation_failed'],
    ['an idempotency key with a space', '', { 'idempotency-key': 'a b' }, 'invalid_request'],
  ])('names what is wrong: %s', async (_, query, headers, code) => {
    const { action, token } = await callable(server.owner, { target_url: target() })
    const answer = await call(server, token, `${action.id}${query}`, {}, { headers })
    expect(answer.error).toBe(code)
    expect(upstream.received).toHaveLength(0)
  })
})

describe('a body', () => {
  test.each<[string, string | Buffer, string]>([
    ['is no object: an array', '[]', 'validation_failed'],
    ['is no object: null', 'null', 'validation_failed'],
    ['is no object: a text', '"text"', 'validation_failed'],
    ['names a field twice', '{"amount":1,"amount":2}', 'invalid_request'],
    ['names a field twice by an escape', '{"amount":1,"\\u0061mount":2}', 'invalid_request'],
    ['holds NUL', '{"note":"\\u0000"}', 'invalid_request'],
    ['holds a lone surrogate', '{"note":"\\ud800"}', 'invalid_request'],
    ['is not UTF-8', Buffer.from([0x7b, 0x22, 0xff, 0x22, 0x3a, 0x31, 0x7d]), 'invalid_request'],
    ['is too deep', `{"note":${'['.repeat(100)}${']'.repeat(100)}}`, 'invalid_request'],
    ['means to change a prototype', '{"amount":1,"__proto__":{"polluted":true}}', 'invalid_request'],
    ['holds a number beyond all numbers', '{"amount":1e400}', 'invalid_request'],
    ['has a field of another type', '{"amount":"1"}', 'validation_failed'],
    ['has a field that is not known', '{"amount":1,"currency":"eur"}', 'validation_failed'],
    ['lacks a field', '{}', 'validation_failed'],
  ])('that %s is refused, recorded and not sent', async (_, raw, code) => {
    const { action, token } = await callable(server.owner, {
      target_url: target(),
      input_schema: [amount, { name: 'note', type: 'string' }],
    })
    const answer = await call(server, token, action.id, undefined, { raw })
    expect([answer.status < 500, answer.error]).toEqual([true, code])
    expect(upstream.received).toHaveLength(0)
    const execution = await server.owner.narrow.executions.get(answer.executionId ?? '')
    expect(execution).toMatchObject({ status: 'rejected', input: null, error: { code } })
    expect(({} as { polluted?: boolean }).polluted).toBeUndefined()
  })
})

describe('the name of an action', () => {
  test('is its id or its slug, and leads to one and the same', async () => {
    const { action, token } = await callable(server.owner, { target_url: target(), slug: 'by-slug' })
    expect((await call(server, token, 'by-slug', {})).status).toBe(200)
    expect((await call(server, token, action.id, {})).status).toBe(200)
    expect((await call(server, token, 'BY-SLUG', {})).status).toBe(404)
  })

  test.each(['draft', 'archived'] as const)('does not exist while it is %s', async (status) => {
    const { action, token } = await callable(server.owner, { target_url: target(), status })
    expect((await call(server, token, action.id, {})).error).toBe('not_found')
  })

  test('does not exist once it is deleted, and its executions stay readable', async () => {
    const actor = await server.newWorkspace()
    const { action, token } = await callable(actor, { target_url: target() })
    const { executionId } = await call(server, token, action.id, {})
    await actor.narrow.actions.delete(action.id)
    expect((await call(server, token, action.id, {})).error).toBe('not_found')
    expect(await actor.narrow.actions.listExecutions(action.id)).toMatchObject({
      data: [{ id: executionId }],
    })
  })

  test('of another workspace does not exist', async () => {
    const { token } = await callable(server.owner, { target_url: target() })
    const foreign = await callable(await server.newWorkspace(), { target_url: target(), slug: 'foreign' })
    for (const name of [foreign.action.id, 'foreign']) {
      expect((await call(server, token, name, {})).error).toBe('not_found')
    }
  })

  test.each(['%2e%2e', '..%2f', 'act_%00', `${'a'.repeat(3000)}`, "x' or 1=1", '__proto__', 'constructor'])(
    'may be any text without doing harm: %s',
    async (name) => {
      const { token } = await callable(server.owner, { target_url: target() })
      const answer = await call(server, token, name, {})
      expect([400, 404]).toContain(answer.status)
    },
  )
})

describe('the request to the upstream', () => {
  test('is built from typed inputs', async () => {
    const { action, token } = await callable(server.owner, {
      method: 'PUT',
      target_url: target('/users/{user}/files/{file}?fixed=1&q={q}'),
      query: { page: '{{page}}', tag: 'x-{{user}}', absent: '{{note}}' },
      headers: { 'X-Trace': 'user {{user}}' },
      body_template: {
        n: '{{page}}',
        list: '{{tags}}',
        text: 'page {{page}}',
        kept: null,
        deep: [{ a: '{{q}}' }],
      },
      input_schema: [
        { name: 'user', type: 'string', required: true },
        { name: 'file', type: 'string', required: true },
        { name: 'q', type: 'string', required: true },
        { name: 'page', type: 'integer', required: true },
        { name: 'tags', type: 'array', required: true },
        { name: 'note', type: 'string' },
      ],
    })
    const input = { user: 'a/../b?c#d%2f', file: 'ü.txt', q: 'a&b=c', page: 2, tags: ['x', 1] }
    const answer = await call(server, token, action.id, input)
    expect(answer.status).toBe(200)
    const [received] = upstream.received
    expect(received?.method).toBe('PUT')
    expect(received?.url).toBe(
      '/users/a%2F..%2Fb%3Fc%23d%252f/files/%C3%BC.txt?fixed=1&q=a%26b%3Dc&page=2&tag=x-a%2F..%2Fb%3Fc%23d%252f',
    )
    expect(received?.headers['x-trace']).toBe('user a/../b?c#d%2f')
    expect(JSON.parse(received?.body ?? '')).toEqual({
      n: 2,
      list: ['x', 1],
      text: 'page 2',
      kept: null,
      deep: [{ a: 'a&b=c' }],
    })
  })

  test.each(['..', '.', '%2e%2e', 'a\r\nb', 'a\u0000b', '..\\..'])(
    'never leaves its path for the input %j',
    async (thing) => {
      const { action, token } = await callable(server.owner, {
        target_url: target('/a/{thing}/b'),
        input_schema: [{ name: 'thing', type: 'string', required: true }],
      })
      const answer = await call(server, token, action.id, { thing })
      if (answer.status !== 200) {
        expect(['validation_failed', 'invalid_request']).toContain(answer.error)
        expect(upstream.received).toHaveLength(0)
        return
      }
      expect(upstream.received[0]?.url.split('/')).toHaveLength(4)
      expect(upstream.received[0]?.url).toMatch(/^\/a\/(?!\.{1,2}\/)[^/?#]+\/b$/)
    },
  )

  test.each(['a\r\nX-Injected: 1', 'a\nb', 'a\u0000', 'snow ☃'])(
    'is not sent when a header cannot hold the input %j',
    async (note) => {
      const { action, token } = await callable(server.owner, {
        target_url: target(),
        headers: { 'X-Note': '{{note}}' },
        input_schema: [{ name: 'note', type: 'string', required: true }],
      })
      const answer = await call(server, token, action.id, { note })
      expect(answer.status).toBeGreaterThanOrEqual(400)
      expect(answer.status).toBeLessThan(500)
      expect(upstream.received).toHaveLength(0)
    },
  )

  test('carries nothing of the caller’s own headers', async () => {
    const { action, token } = await callable(server.owner, {
      target_url: target(),
      auth_type: 'header',
      auth_name: 'X-Api-Key',
      auth_value: 'injected-secret-4711',
    })
    await call(
      server,
      token,
      action.id,
      {},
      {
        headers: {
          cookie: 'a=b',
          'x-api-key': 'from-the-caller',
          x_api_key: 'from-the-caller',
          'x-forwarded-for': '9.9.9.9',
          forwarded: 'for=9.9.9.9',
          via: '1.1 x',
          'proxy-authorization': 'Basic x',
          'idempotency-key': 'mine-1',
          'x-anything': 'from-the-caller',
          'user-agent': 'from-the-caller',
        },
      },
    )
    const text = JSON.stringify(upstream.received[0]?.headers)
    expect(text).not.toMatch(/from-the-caller|9\.9\.9\.9|mine-1|sxt_|cookie|via/)
    expect(upstream.received[0]?.headers).toMatchObject({
      'x-api-key': 'injected-secret-4711',
      host: new URL(upstream.url).host,
      'user-agent': 'NarrowAPI',
    })
  })

  test('carries its secret though the caller names that header as one of its connection', async () => {
    const { action, token } = await callable(server.owner, {
      target_url: target(),
      auth_type: 'header',
      auth_name: 'X-Api-Key',
      auth_value: 'injected-secret-4711',
    })
    const connection = 'close, authorization, x-api-key, cdn-loop'
    const bytes = request(`POST /x/${action.id}`, {
      Authorization: `Bearer ${token}`,
      Connection: connection,
    })
    expect((await exchange(server.url, bytes, { answers: 1 })).answers[0]?.status).toBe(200)
    expect(upstream.received[0]?.headers).toMatchObject({
      'x-api-key': 'injected-secret-4711',
      'cdn-loop': expect.stringContaining('narrowapi'),
    })
    expect(upstream.received[0]?.headers.connection).not.toMatch(/x-api-key|authorization/)
  })

  const base64 = (text: string) => Buffer.from(text).toString('base64')
  test.each([
    ['none', {}, undefined, undefined],
    ['bearer', { auth_value: 'the-secret' }, 'authorization', 'Bearer the-secret'],
    ['basic', { auth_value: 'user:pass word' }, 'authorization', `Basic ${base64('user:pass word')}`],
    ['basic', { auth_name: 'me', auth_value: 'p:w' }, 'authorization', `Basic ${base64('me:p:w')}`],
    ['header', { auth_name: 'X-Key', auth_value: 'the-secret' }, 'x-key', 'the-secret'],
    ['query', { auth_name: 'api key', auth_value: 'a&b=c' }, undefined, undefined],
  ] as const)('carries the secret by auth_type %s %j', async (auth_type, auth, header, value) => {
    const { action, token } = await callable(server.owner, {
      method: 'GET',
      target_url: target('/q?x=1'),
      auth_type,
      ...auth,
    })
    expect((await call(server, token, action.id, {})).status).toBe(200)
    const [received] = upstream.received
    if (header) expect(received?.headers[header]).toBe(value)
    else expect(received?.headers.authorization).toBeUndefined()
    expect(received?.url).toBe(auth_type === 'query' ? '/q?x=1&api%20key=a%26b%3Dc' : '/q?x=1')
  })

  test('holds the fixed inputs of the action and of the token, which the caller cannot send', async () => {
    const { action, token } = await callable(
      server.owner,
      {
        target_url: target(),
        input_schema: [amount, { name: 'currency', type: 'string' }, { name: 'note', type: 'string' }],
        fixed_input: { currency: 'eur' },
        constraints: [{ path: '/currency', op: 'eq', value: 'eur' }],
      },
      {},
      { fixed_input: { note: 'by-token' } },
    )
    await call(server, token, action.id, { amount: 1 })
    expect(JSON.parse(upstream.received[0]?.body ?? '')).toEqual({
      amount: 1,
      currency: 'eur',
      note: 'by-token',
    })
    for (const field of ['currency', 'note']) {
      const refused = await call(server, token, action.id, { amount: 1, [field]: 'eur' })
      expect(refused.body).toMatchObject({ error: 'validation_failed', details: [{ field }] })
    }
    // Fixed by the action later: the token's older value gives way.
    await server.owner.narrow.actions.update(action.id, {
      fixed_input: { currency: 'eur', note: 'by-action' },
    })
    await call(server, token, action.id, { amount: 1 })
    expect(JSON.parse(upstream.received[1]?.body ?? '').note).toBe('by-action')
  })

  test('is as new as the last change of the action', async () => {
    const { action, token } = await callable(server.owner, { method: 'GET', target_url: target('/one') })
    await call(server, token, action.id, {})
    await server.owner.narrow.actions.update(action.id, { target_url: target('/two') })
    const { executionId } = await call(server, token, action.id, {})
    expect(upstream.received.map(({ url }) => url)).toEqual(['/one', '/two'])
    expect((await server.owner.narrow.executions.get(executionId ?? '')).version).toBe(2)
  })
})

describe('the answer of the upstream', () => {
  const asked = async (
    answer: Upstream['answer'],
    action: Partial<Parameters<typeof callable>[1]> = {},
    options: CallOptions = {},
  ) => {
    upstream.answer = answer
    const made = await callable(server.owner, { target_url: target(), ...action })
    const answered = await call(server, made.token, made.action.id, {}, options)
    const execution = await server.owner.narrow.executions.get(answered.executionId ?? '')
    return { ...answered, execution, token: made.token }
  }

  test.each([200, 201, 202, 400, 404, 409, 422, 429, 500, 503])(
    'passes with its status %i',
    async (status) => {
      const answer = await asked(json(status, { said: status }, { 'retry-after': '7' }))
      expect(answer.status).toBe(status)
      expect(answer.body).toEqual({ said: status })
      expect(answer.error).toBeNull()
      expect(answer.headers.get('x-upstream-status')).toBe(String(status))
      expect(answer.headers.get('retry-after')).toBe('7')
      expect(answer.execution).toMatchObject({
        status: status < 400 ? 'completed' : 'failed',
        output: { said: status },
        upstream: { status, attempts: 1, bytes: 12 },
      })
      expect(answer.execution.error?.code ?? null).toBe(status < 400 ? null : 'upstream_error')
      expect(upstream.received).toHaveLength(1)
    },
  )

  test.each([401, 403])('%i is the operator’s trouble and becomes upstream_auth_failed', async (status) => {
    const answer = await asked(
      json(status, { reason: 'bad key' }, { 'www-authenticate': 'Basic realm="up"' }),
    )
    expect([answer.status, answer.error]).toEqual([502, 'upstream_auth_failed'])
    expect(answer.body).toMatchObject({ upstream_status: status })
    expect(answer.headers.get('x-upstream-status')).toBe(String(status))
    expect(answer.headers.get('www-authenticate')).toBeNull()
    expect(answer.execution).toMatchObject({ status: 'failed', error: { code: 'upstream_auth_failed' } })
  })

  test('is hidden when it failed and failures do not pass', async () => {
    const hidden = { passthrough_errors: false, response: { redact: ['inner'] } }
    const answer = await asked(json(409, { inner: 'hidden', text: 'x'.repeat(900) }), hidden)
    expect([answer.status, answer.error]).toEqual([502, 'upstream_error'])
    expect(answer.body).toMatchObject({ upstream_status: 409 })
    const excerpt = String(answer.body?.excerpt)
    expect(excerpt.length).toBeLessThanOrEqual(500)
    expect(excerpt).toContain('[redacted]')
    expect(answer.text).not.toContain('hidden')
  })

  test.each([301, 302, 303, 307, 308])('that redirects (%i) is not followed', async (status) => {
    const answer = await asked((_, res) => {
      res.writeHead(status, { location: `${upstream.url}/elsewhere`, refresh: '0;url=/elsewhere' })
      res.end()
    })
    expect(answer.status).toBe(status)
    expect(answer.headers.get('location')).toBeNull()
    expect(answer.headers.get('refresh')).toBeNull()
    expect(upstream.received.map(({ url }) => url)).toEqual(['/things'])
  })

  test('keeps only the chosen fields and hides the named ones, in the answer and in the record', async () => {
    const answer = await asked(
      json(200, { id: 1, card: { number: '4242', brand: 'visa' }, items: [{ a: 1, b: 2 }] }),
      {
        response: { fields: ['id', 'card', 'items.a'], redact: ['card.number'] },
      },
    )
    const expected = { id: 1, card: { number: '[redacted]', brand: 'visa' }, items: [{ a: 1 }] }
    expect(answer.body).toEqual(expected)
    expect(answer.execution.output).toEqual(expected)
  })

  test.each<[Parameters<typeof callable>[1]['response'], string]>([
    [{ max_bytes: 10 }, '12345678901'],
    [{ fields: ['a'] }, 'not json'],
    [{ redact: ['a'] }, '<html>'],
  ])('that the policy %j cannot use is refused and not shown', async (response, body) => {
    const answer = await asked((_, res) => res.end(body), { response })
    expect([answer.status, answer.error]).toEqual([502, 'invalid_upstream_response'])
    expect(answer.text).not.toContain(body)
    expect(answer.headers.get('x-upstream-status')).toBe('200')
    expect(answer.execution.status).toBe('failed')
  })

  const raw =
    (status: number, body: string | Buffer, headers: Record<string, string> = {}): Upstream['answer'] =>
    (_, res) => {
      res.writeHead(status, { 'content-type': 'application/json', ...headers })
      res.end(body)
    }

  test.each([
    [500, 'ssn=123-45-6789'],
    [500, '{"ssn":"123-45-6789"}\n{"ssn":"123-45-6789"}'],
    [500, `{"ssn":"123-45-6789","deep":${'['.repeat(501)}${']'.repeat(501)}}`],
    [401, '<p>123-45-6789</p>'],
  ])('%i with %j is kept from callers and records when a policy cannot look inside', async (status, body) => {
    const hidden = { passthrough_errors: false, response: { fields: ['id'], redact: ['ssn'] } }
    const answer = await asked(raw(status, body), hidden)
    expect(answer.status).toBe(502)
    expect(answer.text).not.toContain('6789')
    expect(answer.body).not.toHaveProperty('excerpt')
    expect(JSON.stringify(answer.execution)).not.toContain('6789')
  })

  test.each([
    [{ output_schema: { type: 'object', properties: { id: { type: 'integer' } } } }, ',"x":1.50'],
    [{ response: { redact: ['secret'] } }, ',"x":1.50'],
    [{ response: { fields: ['id', 'n'] } }, ''],
  ])('keeps its numbers as they were written: %j', async (action, rest) => {
    const answer = await asked(raw(200, '{"id":12345678901234567890,"n":1e400,"x":1.50}'), action)
    expect(answer.text).toBe(`{"id":12345678901234567890,"n":1e400${rest}}`)
    const [row] = await server.database.sql<{ output: string }[]>`
      select output::text from executions where id = ${answer.executionId}`
    expect(row?.output).toBe(answer.text)
    for (const [path, credential] of [
      [`/api/v1/executions/${answer.executionId}`, server.owner.key],
      ['/api/v1/executions?limit=1&fields=output', server.owner.key],
      [`/x/executions/${answer.executionId}`, answer.token],
    ]) {
      const record = await fetch(`${server.url}${path}`, {
        headers: { authorization: `Bearer ${credential}` },
      })
      expect(await record.text()).toContain(`"output":${answer.text}`)
    }
  })

  test('says in what it is written after a policy has written it anew', async () => {
    const headers = { 'content-type': 'application/json; charset=iso-8859-1', etag: '"whole"' }
    const latin1 = raw(200, Buffer.from('{"name":"é","x":1}', 'latin1'), headers)
    const answer = await asked(latin1, { response: { fields: ['name'] } })
    expect(answer.text).toBe('{"name":"é"}')
    expect(answer.headers.get('content-type')).toBe('application/json; charset=utf-8')
    expect(answer.headers.get('etag')).toBeNull()
    expect((await asked(latin1)).headers.get('content-type')).toBe(headers['content-type'])
  })

  test('must fit the output schema', async () => {
    const output_schema = { type: 'object', required: ['id'], properties: { id: { type: 'integer' } } }
    expect((await asked(json(200, { id: 1 }), { output_schema })).status).toBe(200)
    expect((await asked(json(200, { id: 'one' }), { output_schema })).error).toBe('invalid_upstream_response')
    expect((await asked((_, res) => res.end(), { output_schema })).error).toBe('invalid_upstream_response')
    // What went wrong has another shape.
    expect((await asked(json(422, { problem: 1 }), { output_schema })).status).toBe(422)
  })

  test('to HEAD has no body that could fit an output schema', async () => {
    const head = await asked(json(200, { id: 1 }), { method: 'HEAD', output_schema: { type: 'object' } })
    expect([head.status, head.error, head.execution.status]).toEqual([200, null, 'completed'])
  })

  const hostileHeaders = {
    'content-security-policy': "script-src 'unsafe-inline'",
    'access-control-allow-origin': '*',
    'strict-transport-security': 'max-age=1',
    'set-cookie': 'a=b',
    'x-request-id': 'theirs',
    'x-execution-id': 'exec_theirs',
    'x-upstream-status': '999',
    'x-narrowapi-error': 'unauthorized',
    'x-ratelimit-limit': '1',
    'idempotent-replayed': 'true',
    'x-custom': 'custom',
    connection: 'keep-alive, x-hop',
    'x-hop': 'hop',
    server: 'theirs',
    via: '1.1 theirs',
    etag: '"e"',
  }

  test('brings only harmless headers, and none that speaks for us', async () => {
    const answer = await asked(json(200, {}, hostileHeaders))
    expect(answer.headers.get('etag')).toBe('"e"')
    expect(answer.headers.get('x-upstream-status')).toBe('200')
    expect(answer.error).toBeNull()
    expect(answer.headers.get('x-execution-id')).toMatch(/^exec_[0-9A-Za-z]{22}$/)
    expect(answer.headers.get('x-request-id')).not.toBe('theirs')
    expect(answer.headers.get('content-security-policy')).toBe("sandbox; default-src 'none'")
    expect(answer.headers.get('x-content-type-options')).toBe('nosniff')
    expect(answer.headers.get('cache-control')).toBe('no-store')
    for (const name of [
      'set-cookie',
      'access-control-allow-origin',
      'strict-transport-security',
      'server',
      'via',
    ]) {
      expect(answer.headers.get(name)).toBeNull()
    }
    for (const name of ['x-custom', 'x-hop', 'idempotent-replayed'])
      expect(answer.headers.get(name)).toBeNull()
  })

  test('brings the headers the action lists, but never those that speak for us', async () => {
    const answer = await asked(json(200, {}, hostileHeaders), {
      response: { headers: [...Object.keys(hostileHeaders)].filter((name) => name !== 'etag') },
    })
    expect(answer.headers.get('x-custom')).toBe('custom')
    expect(answer.headers.get('etag')).toBeNull()
    expect(answer.headers.get('x-hop')).toBeNull()
    expect(answer.headers.get('set-cookie')).toBeNull()
    expect(answer.error).toBeNull()
    expect(answer.headers.get('x-execution-id')).not.toBe('exec_theirs')
    expect(answer.headers.get('content-security-policy')).toBe("sandbox; default-src 'none'")
  })

  test('of a page cannot act on our origin', async () => {
    const answer = await asked((_, res) => {
      res.setHeader('content-type', 'text/html')
      res.end('<script>alert(1)</script>')
    })
    expect(answer.headers.get('content-type')).toBe('text/html')
    expect(answer.headers.get('content-security-policy')).toContain('sandbox')
    expect(answer.headers.get('x-content-type-options')).toBe('nosniff')
  })

  test('may be empty: 204, and the answer to HEAD', async () => {
    const none = await asked((_, res) => res.writeHead(204).end())
    expect([none.status, none.text, none.execution.output]).toEqual([204, '', null])
    const head = await asked(json(200, { a: 1 }), { method: 'HEAD' })
    expect([head.status, head.text, head.execution.status]).toEqual([200, '', 'completed'])
  })

  test('may be bytes that are no text, and passes as they are', async () => {
    const bytes = Buffer.from([0xff, 0x00, 0xfe, 0x80, 0x41, 0xc3, 0x28])
    upstream.answer = (_, res) => {
      res.setHeader('content-type', 'image/x-odd')
      res.end(bytes)
    }
    const { action, token } = await callable(server.owner, { target_url: target() })
    const once = async () => {
      const response = await fetch(`${server.url}/x/${action.id}`, {
        method: 'POST',
        headers: { authorization: `Bearer ${token}`, 'idempotency-key': 'bytes' },
      })
      return { bytes: Buffer.from(await response.arrayBuffer()), headers: response.headers }
    }
    expect((await once()).bytes).toEqual(bytes)
    const replayed = await once()
    expect(replayed.headers.get('idempotent-replayed')).toBe('true')
    expect(replayed.bytes).toEqual(bytes)
    expect((await lastExecution(server.owner)).status).toBe('completed')
  })

  test.each([
    ['a NUL in JSON', '{"a":"x\\u0000y"}'],
    ['a raw NUL', 'x\u0000y'],
    ['a lone surrogate', '{"a":"\\ud800"}'],
    ['a byte order mark', '\ufeff{"a":1}'],
    ['broken JSON', '{"a":'],
    ['a prototype', '{"__proto__":{"polluted":1},"constructor":1}'],
    ['deep nesting', `${'['.repeat(100_000)}${']'.repeat(100_000)}`],
    ['large numbers', '{"a":9007199254740993,"b":1e400}'],
  ])('with %s is passed on and recorded', async (_, body) => {
    const answer = await asked((_request, res) => res.end(body))
    expect([answer.status, answer.text]).toEqual([200, body.replace('\ufeff', '')])
    expect(answer.execution.status).toBe('completed')
    expect(({} as { polluted?: number }).polluted).toBeUndefined()
  })
})

test('the signs that part the rows and fields of a group are kept like any other', async () => {
  const signs = 'one\u001etwo\u001fthree'
  const raw = `{"a":"${signs}"}`
  for (const [sent, recorded] of [
    [raw, raw],
    [signs, signs],
    [JSON.stringify({ a: signs }), { a: signs }],
  ] as const) {
    upstream.answer = (_request, res) => res.end(sent)
    const { action, token } = await callable(server.owner, {
      target_url: target(),
      input_schema: [{ name: 'note', type: 'string' }],
    })
    const { executionId } = await call(server, token, action.id, { note: signs })
    const execution = await server.owner.narrow.executions.get(executionId ?? '')
    expect(execution).toMatchObject({ status: 'completed', input: { note: signs }, output: recorded })
  }
})

describe('an upstream that fails', () => {
  const tried = async (answer: Upstream['answer'], action: Partial<Parameters<typeof callable>[1]> = {}) => {
    upstream.answer = answer
    const made = await callable(server.owner, { target_url: target(), timeout_ms: 500, ...action })
    const answered = await call(server, made.token, made.action.id, {})
    expect((await server.owner.narrow.executions.get(answered.executionId ?? '')).error?.code).toBe(
      answered.error,
    )
    return `${answered.status} ${answered.error}`
  }

  test.each<[string, Upstream['answer'], string]>([
    ['says nothing', () => {}, '504 upstream_timeout'],
    ['hangs after its headers', (_, res) => res.writeHead(200).flushHeaders(), '504 upstream_timeout'],
    ['closes', (_, res) => res.destroy(), '502 upstream_outcome_unknown'],
    ['speaks no HTTP', (_, res) => res.socket?.end('hello\r\n\r\n'), '502 invalid_upstream_response'],
    [
      'closes in the middle of its body',
      (_, res) => {
        res.writeHead(200, { 'content-length': '100' })
        res.write('x', () => res.destroy())
      },
      '502 invalid_upstream_response',
    ],
    [
      'sends a thousand cookies',
      (_, res) => {
        res.setHeader(
          'set-cookie',
          Array.from({ length: 1000 }, (_, n) => `c${n}=1`),
        )
        res.end()
      },
      '502 invalid_upstream_response',
    ],
    [
      'claims a coding it did not use',
      (_, res) => {
        res.setHeader('content-encoding', 'gzip')
        res.end('not gzip')
      },
      '502 invalid_upstream_response',
    ],
  ])('because it %s is told by a code and recorded', async (_, answer, expected) => {
    expect(await tried(answer)).toBe(expected)
  })

  test('because nobody listens is told as never sent', async () => {
    const gone = await startUpstream()
    await gone.stop()
    expect(await tried(echo, { target_url: gone.url })).toBe('502 upstream_error')
  })

  test('is not reached where addresses are not allowed, and the answer names no address', async () => {
    const [{ count } = { count: 0 }] = await server.database.sql<{ count: number }[]>`
      select count(*)::int as count from executions`
    const { action, token } = await callable(server.owner, { target_url: target() })
    // Saved before the operator's list was narrowed.
    await server.database.sql`
      update actions set definition = jsonb_set(definition::jsonb, '{target_url}', '"https://169.254.169.254/latest"')::json,
        version = 2
      where id = ${action.id}`
    server.deps.catalogue.expire()
    const answer = await call(server, token, action.id, {})
    expect([answer.status, answer.error]).toEqual([502, 'upstream_blocked'])
    expect(answer.text).not.toContain('169.254')
    const [after] = await server.database.sql`select count(*)::int as count from executions`
    expect(after?.count).toBe(count + 1)
  })
})

describe('what a token holder can see', () => {
  test('is in the manifest exactly when it can be called', async () => {
    const actor = await server.newWorkspace()
    const states = [
      'active',
      'paused',
      'draft',
      'archived',
      'sunset',
      'deleted',
      'used_up',
      'not_granted',
    ] as const
    const ids = new Map<string, string>()
    for (const state of states) {
      const status = state === 'draft' || state === 'archived' ? state : 'active'
      const sunset = state === 'sunset' ? { sunset_at: '2020-01-01T00:00:00Z' } : {}
      const action = await actor.narrow.actions.create({
        name: state,
        target_url: target(),
        status,
        ...sunset,
      })
      ids.set(action.id, state)
    }
    const [idOf] = [(state: string) => [...ids].find(([, other]) => other === state)?.[0] ?? '']
    const { token } = await actor.narrow.tokens.create({
      name: 'bot',
      grants: [...ids]
        .filter(([, state]) => state !== 'not_granted')
        .map(([action_id, state]) => ({ action_id, max_uses: state === 'used_up' ? 1 : null })),
    })
    await actor.narrow.actions.update(idOf('paused'), { status: 'paused' })
    await actor.narrow.actions.delete(idOf('deleted'))
    await call(server, token, idOf('used_up'), {})
    const manifest = await server.as(token).x.manifest()
    const listed = new Set(manifest.callables.map(({ id }) => id))
    for (const [id, state] of ids) {
      const { status } = await call(server, token, id, {})
      expect([state, listed.has(id)]).toEqual([state, status === 200])
    }
    expect([...listed]).toEqual([idOf('active')])
  })

  test('is one callable with its schema after fixed inputs, its constraints and its limits', async () => {
    const { action, token } = await callable(
      server.owner,
      {
        target_url: target(),
        slug: 'shown',
        rate_limit_rpm: 60,
        concurrency_limit: 4,
        input_schema: [amount, { name: 'currency', type: 'string', required: true }],
        fixed_input: { currency: 'eur' },
        constraints: [{ path: '/amount', op: 'max', value: 10 }],
      },
      { max_uses: 5, rate_limit_rpm: 7 },
      { constraints: [{ path: '/amount', op: 'max', value: 5 }], max_uses: 3 },
    )
    await call(server, token, 'shown', { amount: 1 })
    const shown = await server.as(token).x.get('shown')
    expect(shown).toMatchObject({
      id: action.id,
      constraints: [{ value: 10 }, { value: 5 }],
      limits: { rate_limit_rpm: 7, rate_limit_rph: null, concurrency_limit: 4, uses_left: 2 },
    })
    expect(Object.keys(shown.input_schema.properties as object)).toEqual(['amount'])
    expect(shown.input_schema.required).toEqual(['amount'])
    expect(JSON.stringify(shown)).not.toMatch(/eur|127\.0\.0\.1|secret/)
  })

  test('is nothing that was fixed, by the action or by its grant', async () => {
    const { action, token } = await callable(
      server.owner,
      {
        target_url: target('/regions/{region}'),
        input_schema: {
          type: 'object',
          properties: {
            account: { type: 'string' },
            region: { type: 'string' },
            amount: { type: 'integer' },
          },
          examples: [{ account: 'acct-fixed-1', region: 'region-fixed-2', amount: 1 }],
          default: { account: 'acct-fixed-1' },
        },
        fixed_input: { account: 'acct-fixed-1' },
        constraints: [
          { path: '/account', op: 'eq', value: 'acct-fixed-1' },
          { op: 'any_of', constraints: [{ path: '/region', op: 'prefix', value: 'region-fixed' }] },
          { path: '/amount', op: 'max', value: 5 },
        ],
        response: { fields: ['method'] },
      },
      {},
      { fixed_input: { region: 'region-fixed-2' } },
    )
    const get = (path: string) => call(server, token, path, undefined, { method: 'GET' })
    const shown = await get(action.id)
    expect(shown.body).toMatchObject({ constraints: [{ path: '/amount' }], examples: [{ amount: 1 }] })
    const real = await call(server, token, action.id, { amount: 1 })
    expect(real.status).toBe(200)
    expect(upstream.received[0]?.url).toBe('/regions/region-fixed-2')
    const execution = await get(`executions/${real.executionId}`)
    expect(execution.body?.input).toEqual({ amount: 1 })
    const dry = await call(server, token, `${action.id}/dry-run`, { amount: 1 })
    expect(dry.body).toMatchObject({ request: { body: { account: '[redacted]', amount: 1 } } })
    for (const { text } of [shown, real, execution, dry, await get('')]) expect(text).not.toContain('-fixed-')
    // Whoever fixed it may see it.
    const whole = await server.owner.narrow.executions.get(real.executionId ?? '')
    expect(whole.input).toEqual({ account: 'acct-fixed-1', region: 'region-fixed-2', amount: 1 })
    await server.owner.narrow.actions.update(action.id, { fixed_input: null })
    expect((await get(`executions/${real.executionId}`)).body?.input).toEqual({ amount: 1 })
  })

  test('are its own executions and no others', async () => {
    const actor = await server.newWorkspace()
    const one = await callable(actor, { target_url: target() })
    const other = await actor.narrow.tokens.create({ name: 'other', action_ids: [one.action.id] })
    const { executionId } = await call(server, one.token, one.action.id, {})
    const own = await call(server, one.token, `executions/${executionId}`, undefined, { method: 'GET' })
    expect(own.body).toMatchObject({ id: executionId, status: 'completed' })
    const foreign = await call(server, other.token, `executions/${executionId}`, undefined, { method: 'GET' })
    expect(foreign.error).toBe('not_found')
    await actor.narrow.workspaces.pause(actor.workspaceId)
    expect((await call(server, one.token, '', undefined, { method: 'GET' })).status).toBeGreaterThanOrEqual(
      400,
    )
  })
})

describe('a refusal by a constraint on what was fixed', () => {
  test.each([
    { path: '/tier', op: 'not_in', value: ['tier-fixed-1', 'tier-fixed-2'] },
    {
      op: 'any_of',
      constraints: [
        { op: 'not', constraint: { path: '/tier', op: 'eq', value: 'tier-fixed-1' } },
        { path: '/amount', op: 'max', value: 10 },
      ],
    },
  ] as const)('tells the holder of the token which, and not what is fixed: %j', async (constraint) => {
    const { action, token } = await callable(server.owner, {
      target_url: target(),
      input_schema: [amount, { name: 'tier', type: 'string' }],
      fixed_input: { tier: 'tier-fixed-1' },
      constraints: [JSON.parse(JSON.stringify(constraint))],
    })
    const refused = await call(server, token, action.id, { amount: 11 })
    expect(refused.body).toMatchObject({ error: 'policy_denied', rule: 'action.constraints.0' })
    const record = await call(server, token, `executions/${refused.executionId}`, undefined, {
      method: 'GET',
    })
    const dry = await call(server, token, `${action.id}/dry-run`, { amount: 11 })
    expect(dry.body).toMatchObject({ allowed: false, decision: { rule: 'action.constraints.0' } })
    for (const { text } of [refused, record, dry]) expect(text).not.toContain('-fixed-')
  })
})

describe('a dry run', () => {
  test('shows the masked request, sends nothing, uses nothing up and records nothing', async () => {
    const actor = await server.newWorkspace()
    const { action, token, tokenId } = await callable(
      actor,
      {
        target_url: target('/users/{user}'),
        auth_type: 'bearer',
        auth_value: 'dry-run-secret-4711',
        input_schema: [amount, { name: 'user', type: 'string', required: true, sensitive: true }],
      },
      { max_uses: 1 },
    )
    const input = { amount: 1, user: 'private-person' }
    for (let run = 0; run < 3; run += 1) {
      const shown = await server.as(token).x.dryRun(action.id, input)
      expect(shown).toMatchObject({ allowed: true, request: { method: 'POST', body: { amount: 1 } } })
      expect(JSON.stringify(shown)).not.toMatch(/dry-run-secret|private-person/)
    }
    expect(upstream.received).toHaveLength(0)
    expect(await executionsOf(actor)).toEqual([])
    expect((await actor.narrow.tokens.get(tokenId)).uses).toBe(0)
    expect((await call(server, token, action.id, input)).status).toBe(200)
    expect((await call(server, token, `${action.id}/dry-run`, input)).error).toBe('token_exhausted')
  })

  test.each<
    [
      string,
      Partial<Parameters<typeof callable>[1]>,
      (actor: Actor, secretId: string | null) => Promise<unknown>,
    ]
  >([
    [
      'execution_limit_reached',
      {},
      async ({ narrow, workspaceId }) => {
        await server.database.sql`update plans set monthly_executions = 1 where tier = 'starter'`
        await narrow.workspaces.update(workspaceId, { tier: 'starter' })
      },
    ],
    [
      'upstream_auth_failed',
      { auth_type: 'bearer', auth_value: 'a-secret-of-the-dry-run' },
      async (_, secretId) => {
        await server.database.sql`update secrets set expires_at = '2020-01-01' where id = ${secretId}`
        server.deps.catalogue.expire()
      },
    ],
    [
      'upstream_blocked',
      {},
      ({ narrow, workspaceId }) =>
        narrow.workspaces.update(workspaceId, { settings: { allowed_hosts: ['example.com'] } }),
    ],
  ])('is refused with %s where a call would be', async (code, action, arrange) => {
    const actor = await server.newWorkspace()
    const made = await callable(actor, { target_url: target(), ...action })
    await arrange(actor, made.action.secret_id)
    // The first call of the month is free; it fails for the other reasons.
    await call(server, made.token, made.action.id, {})
    const dry = await call(server, made.token, `${made.action.id}/dry-run`, {})
    const real = await call(server, made.token, made.action.id, {})
    expect([dry.status, dry.error, dry.body?.message]).toEqual([real.status, code, real.body?.message])
    expect(dry.executionId).toBeNull()
  })

  test('finds the members of what is sensitive where a call finds them, and shows none', async () => {
    const input_schema = {
      type: 'object',
      'x-sensitive': true,
      properties: { card: { type: 'object', properties: { id: { type: 'string' } } } },
    }
    const { action, token } = await callable(server.owner, {
      target_url: target('/cards/{card.id}'),
      input_schema,
      body_template: { whole: '{{card}}', id: '{{card.id}}' },
    })
    const input = { card: { id: 'private-4711' } }
    expect((await call(server, token, action.id, input)).status).toBe(200)
    const dry = await call(server, token, `${action.id}/dry-run`, input)
    expect(dry.body).toMatchObject({
      allowed: true,
      request: { body: { whole: { id: '[redacted]' }, id: '[redacted]' } },
    })
    expect(dry.text).not.toContain('private-4711')
  })

  test.each([
    [{ amount: 1 }, 200, true],
    [{ amount: 11 }, 403, false],
    [{ amount: 'x' }, 422, null],
    [{ amount: 1, currency: 'usd' }, 422, null],
  ])('of %j decides as the call, the holder’s and the operator’s alike', async (input, status, allowed) => {
    const { action, token, tokenId } = await callable(server.owner, {
      target_url: target(),
      input_schema: [amount, { name: 'currency', type: 'string' }],
      fixed_input: { currency: 'eur' },
      constraints: [{ path: '/amount', op: 'max', value: 10 }],
    })
    const real = await call(server, token, action.id, input)
    expect(real.status).toBe(status)
    const dry = await call(server, token, `${action.id}/dry-run`, input)
    const tested = await server.owner.narrow.actions
      .test(action.id, { input, token_id: tokenId })
      .catch((error: { status: number }) => error.status)
    if (allowed === null) {
      expect([dry.status, tested]).toEqual([422, 422])
      expect(dry.body?.details).toEqual(real.body?.details)
      return
    }
    expect(dry.body).toMatchObject({ allowed })
    expect(tested).toMatchObject({ allowed })
    if (!allowed) expect(dry.body?.decision).toMatchObject({ rule: real.body?.rule, path: real.body?.path })
  })
})

test('a token does not outlive what its grant says of an action that is changed', async () => {
  const schema = (name: string) => [{ name, type: 'integer' as const }]
  const limited = await callable(
    server.owner,
    { target_url: target(), input_schema: schema('amount') },
    {},
    { constraints: [{ path: '/amount', op: 'max', value: 5 }] },
  )
  const fixing = await callable(
    server.owner,
    { target_url: target(), input_schema: { type: 'object', properties: { amount: { type: 'integer' } } } },
    {},
    { fixed_input: { amount: 3 } },
  )
  const rename = ({ action }: typeof limited) =>
    server.owner.narrow.actions.update(action.id, { input_schema: schema('total') })
  for (const made of [limited, fixing]) {
    expect((await call(server, made.token, made.action.id, {})).status).toBe(200)
    await rename(made)
    const refused = await call(server, made.token, made.action.id, { total: 99 })
    expect([refused.status, refused.error]).toEqual([403, 'policy_denied'])
    const dry = await call(server, made.token, `${made.action.id}/dry-run`, { total: 99 })
    expect(dry.body).toMatchObject({ allowed: false, decision: { rule: refused.body?.rule } })
  }
  expect(upstream.received).toHaveLength(2)
})

describe('the record', () => {
  const run = async (payload_capture: 'none' | 'errors' | 'all', status: number) => {
    const actor = await server.newWorkspace()
    await actor.narrow.workspaces.update(actor.workspaceId, { settings: { payload_capture } })
    upstream.answer = json(status, { said: 'something' })
    const { action, token } = await callable(actor, {
      target_url: target(),
      input_schema: [amount],
      constraints: [{ path: '/amount', op: 'max', value: 10 }],
    })
    await call(server, token, action.id, { amount: 1 })
    const sent = await lastExecution(actor)
    await call(server, token, action.id, { amount: 11 })
    const rejected = await lastExecution(actor)
    return [sent.input !== null, sent.output !== null, rejected.input !== null]
  }

  test.each([
    ['all', 200, [true, true, true]],
    ['all', 500, [true, true, true]],
    ['errors', 200, [false, false, true]],
    ['errors', 500, [true, true, true]],
    ['none', 200, [false, false, false]],
    ['none', 500, [false, false, false]],
  ] as const)(
    'with payload_capture %s of an upstream answer %i keeps payloads: %j',
    async (capture, status, kept) => {
      expect(await run(capture, status)).toEqual(kept)
    },
  )

  test('hides sensitive inputs, also of refused calls', async () => {
    const actor = await server.newWorkspace()
    const { action, token } = await callable(actor, {
      target_url: target(),
      input_schema: [amount, { name: 'card', type: 'string', required: true, sensitive: true }],
      constraints: [{ path: '/amount', op: 'max', value: 10 }],
      response: { fields: ['method'] },
    })
    await call(server, token, action.id, { amount: 1, card: 'card-4242-4242' })
    await call(server, token, action.id, { amount: 11, card: 'card-4242-4242' })
    await call(server, token, action.id, { amount: 'x', card: 'card-4242-4242' })
    expect(upstream.received[0]?.body).toContain('card-4242-4242')
    const executions = await executionsOf(actor)
    expect(executions.map(({ status }) => status)).toEqual(['rejected', 'rejected', 'completed'])
    expect(executions[1]?.input).toEqual({ amount: 11, card: '[redacted]' })
    expect(JSON.stringify(executions)).not.toContain('4242')
    expect(server.logs.join('')).not.toContain('card-4242-4242')
  })

  test('of a read-only idempotent action is written once, and is as complete', async () => {
    const actor = await server.newWorkspace()
    const { action, token } = await callable(actor, {
      method: 'GET',
      target_url: target(),
      annotations: { read_only: true, idempotent: true },
    })
    const { executionId } = await call(server, token, action.id, {})
    expect(await actor.narrow.executions.get(executionId ?? '')).toMatchObject({
      status: 'completed',
      started_at: expect.any(String),
      completed_at: expect.any(String),
      upstream: { status: 200 },
    })
  })

  test('of a token counts its uses and says when it was used last', async () => {
    const actor = await server.newWorkspace()
    const { action, token, tokenId } = await callable(actor, {
      target_url: target(),
      input_schema: [amount],
    })
    expect((await actor.narrow.tokens.get(tokenId)).last_used_at).toBeNull()
    for (const value of [1, 2, 'refused', 3]) await call(server, token, action.id, { amount: value })
    await server.deps.usage.flush()
    const used = await actor.narrow.tokens.get(tokenId)
    expect([used.uses, used.grants[0]?.uses]).toEqual([3, 3])
    expect(used.last_used_at).not.toBeNull()
  })
})

describe('a credential', () => {
  test.each<
    [string, (scene: { actor: Actor; tokenId: string; actionId: string }) => Promise<unknown>, string]
  >([
    ['revoking the token', ({ actor, tokenId }) => actor.narrow.tokens.delete(tokenId), 'unauthorized'],
    ['rotating the token', ({ actor, tokenId }) => actor.narrow.tokens.rotate(tokenId, {}), 'unauthorized'],
    [
      'pausing the action',
      ({ actor, actionId }) => actor.narrow.actions.update(actionId, { status: 'paused' }),
      'paused',
    ],
    ['pausing the workspace', ({ actor }) => actor.narrow.workspaces.pause(actor.workspaceId), 'paused'],
  ])('works no more once %s is answered, also under load', async (_, change, code) => {
    const actor = await server.newWorkspace()
    const { action, token, tokenId } = await callable(actor, { target_url: target() })
    let isOver = false
    const late: (string | null)[] = []
    const loop = async () => {
      while (late.length < 5) {
        const startedAfter = isOver
        const { error } = await call(server, token, action.id, {})
        if (startedAfter) late.push(error)
      }
    }
    const loops = Array.from({ length: 8 }, loop)
    await change({ actor, tokenId, actionId: action.id })
    isOver = true
    await Promise.all(loops)
    expect(new Set(late)).toEqual(new Set([code]))
  })

  test.each([
    ['not yet valid', { not_before: '2099-01-01T00:00:00Z' }],
    ['allowed from elsewhere', { allowed_ips: ['10.1.2.0/24'] }],
  ])('that is %s is refused like an unknown one', async (_, term) => {
    const { action, token } = await callable(server.owner, { target_url: target() }, term)
    const refused = await call(server, token, action.id, {})
    const unknown = await call(server, `sxt_${'0'.repeat(49)}`, action.id, {})
    expect([refused.status, refused.error]).toEqual([401, 'unauthorized'])
    expect(refused.body?.message).toBe(unknown.body?.message)
    expect(refused.headers.get('www-authenticate')).toBe(unknown.headers.get('www-authenticate'))
    const key = await call(server, server.owner.key, action.id, {})
    expect([key.status, key.error]).toEqual([401, 'unauthorized'])
  })
})
