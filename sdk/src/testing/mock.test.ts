import { createHash } from 'node:crypto'
import { getEventListeners } from 'node:events'
import { inspect } from 'node:util'
import { afterEach, beforeEach, describe, expect, expectTypeOf, it, vi } from 'vitest'
import { NarrowAPI } from '../client.ts'
import { isNarrowError, type NarrowError } from '../errors.ts'
import { actionsCreate, actionsList, createClient } from '../functions/index.ts'
import type { CreateAction } from '../generated/client.ts'
import { apiError, createMockNarrowAPI, list, type MockSeed } from './index.ts'

const seed: MockSeed = {
  actions: [
    {
      name: 'Refund',
      slug: 'refund',
      target_url: 'https://api.example.com/refunds',
      input_schema: [{ name: 'amount', type: 'integer', required: true }],
    },
  ],
  tokens: [{ name: 'bot', token: 'sxt_test', action_ids: ['refund'] }],
}

let mock = createMockNarrowAPI({ seed })
let narrow = mock.client()

beforeEach(() => {
  mock = createMockNarrowAPI({ seed })
  narrow = mock.client()
})

afterEach(() => {
  vi.useRealTimers()
})

const failureOf = (call: Promise<unknown>): Promise<NarrowError> =>
  call.then(
    () => {
      throw new Error('It succeeded')
    },
    (error: unknown) => {
      if (isNarrowError(error)) return error
      throw error
    },
  )

const action = { name: 'A', target_url: 'https://api.example.com/a' }

describe('what the mock answers by itself', () => {
  it('is what was created, changed and deleted', async () => {
    const { id } = await narrow.actions.create(action)
    await narrow.actions.update(id, { tags: ['a'] })
    expect(await narrow.actions.get(id)).toMatchObject({ name: 'A', tags: ['a'], version: 2 })
    await narrow.actions.delete(id)
    expect(await failureOf(narrow.actions.get(id))).toMatchObject({ code: 'not_found', status: 404 })
  })

  it('is the same for functions over a client', async () => {
    const client = createClient({ apiKey: 'sk_test', baseUrl: 'http://narrow.test', fetch: mock.fetch })
    const { id } = await actionsCreate(client, action)
    expect((await actionsList(client, { sort: ['name'] })).data.map(({ name }) => name)).toEqual([
      'A',
      'Refund',
    ])
    expect(mock.requests.map(({ operation }) => operation)).toEqual(['actions.create', 'actions.list'])
    expect(id).toMatch(/^act_/)
  })

  it('goes through a list by opaque cursors, also while others are created', async () => {
    for (let number = 0; number < 25; number += 1)
      await narrow.secrets.create({ name: `S${number % 3}`, value: 'secret-value' })
    const names: string[] = []
    for await (const { name } of narrow.secrets.list({ limit: 10, sort: ['name'] })) {
      names.push(name)
      if (names.length === 12) await narrow.secrets.create({ name: 'A', value: 'comes before' })
    }
    expect(names).toEqual([...names].sort())
    expect(names).toHaveLength(25)
    const { next_cursor } = await narrow.secrets.list({ limit: 1 })
    expect(next_cursor).toMatch(/^[\w-]+$/)
  })

  it('opens for any key that it did not give out, and for no other token', async () => {
    expect((await new NarrowAPI({ apiKey: 'sk_mine', fetch: mock.fetch }).actions.list()).data).toHaveLength(
      1,
    )
    expect(await failureOf(mock.client({ apiKey: 'sxt_mine' }).x.manifest())).toMatchObject({
      code: 'unauthorized',
    })
    const { id, key } = await narrow.apiKeys.create({ name: 'mine' })
    await narrow.apiKeys.delete(id)
    expect(await failureOf(mock.client({ apiKey: key }).actions.list())).toMatchObject({
      code: 'unauthorized',
    })
    expect((await narrow.audit.list({ outcome: 'denied' })).data).toMatchObject([
      { action: 'credential.refused', actor: { id } },
    ])
  })

  it('chains audit events as the contract says', async () => {
    await narrow.actions.create(action)
    await narrow.secrets.create({ name: 'S', value: 'secret-value' })
    let previous = '0'.repeat(64)
    const events = await narrow.audit.list({ sort: ['created_at'] }).toArray({ max: 10 })
    expect(events).toHaveLength(2)
    for (const { object: _, created_at: __, prev_hash, hash, ...content } of events) {
      expect(prev_hash).toBe(previous)
      expect(hash).toBe(createHash('sha256').update(prev_hash).update(sorted(content)).digest('hex'))
      previous = hash
    }
  })

  it('takes its time from whom it is told', async () => {
    let now = new Date('2026-03-01T00:00:00Z')
    const timed = createMockNarrowAPI({ seed, now: () => now })
    const token = await timed.client().tokens.create({
      name: 'short',
      action_ids: [(await timed.client().actions.list()).data[0]?.id ?? ''],
      expires_at: '2026-03-02T00:00:00Z',
    })
    expect(token).toMatchObject({ created_at: '2026-03-01T00:00:00.000Z', status: 'active' })
    now = new Date('2026-03-03T00:00:00Z')
    expect(await timed.client().tokens.get(token.id)).toMatchObject({ status: 'expired' })
    expect(await failureOf(timed.client({ apiKey: token.token }).x.manifest())).toMatchObject({ status: 401 })
  })

  it('begins with its seed, which is checked', async () => {
    expect(await mock.client({ apiKey: 'sxt_test' }).execute('refund', { amount: 1 })).toEqual({ ok: true })
    const known = createMockNarrowAPI({
      seed: { actions: [{ ...action, id: 'act_0000000000000000000abc' }] },
    })
    expect(await known.client().actions.get('act_0000000000000000000abc')).toMatchObject({ name: 'A' })
    expect(() => createMockNarrowAPI({ seed: { actions: [{ name: 'A' } as CreateAction] } })).toThrow(
      'seed.actions[0]: target_url is required',
    )
    expect(() => createMockNarrowAPI({ seed: { tokens: [{ name: 'T', action_ids: ['nothing'] }] } })).toThrow(
      'seed.tokens[0]: action_ids.0',
    )
  })
})

describe('the mock refuses what the API refuses', () => {
  const ask = async (path: string, init: RequestInit = {}) => {
    const headers = { authorization: `Bearer ${mock.apiKey}`, ...init.headers }
    const response = await mock.fetch(`http://narrowapi.mock/api/v1${path}`, { ...init, headers })
    const text = await response.text()
    const { error, message, details } = text ? JSON.parse(text) : {}
    return { status: response.status, headers: response.headers, text, error, message, details }
  }

  it('a secret that there is not', async () => {
    const { id } = await narrow.actions.create(action)
    const secret_id = 'sec_0000000000000000000abc'
    const nothing = {
      code: 'validation_failed',
      status: 422,
      message: 'request body is invalid',
      details: [{ field: 'secret_id', message: 'is not a secret of this workspace' }],
    }
    const wanted = { auth_type: 'bearer', secret_id } as const
    expect(await failureOf(narrow.actions.create({ ...action, ...wanted }))).toMatchObject(nothing)
    expect(await failureOf(narrow.actions.update(id, wanted))).toMatchObject(nothing)
    const { id: real } = await narrow.secrets.create({ name: 'S', value: 'secret-value' })
    expect(await narrow.actions.update(id, { ...wanted, secret_id: real })).toMatchObject({ secret_id: real })
  })

  it('a fixed input that does not fit, of an action and of a grant', async () => {
    const typed: CreateAction = {
      ...action,
      input_schema: {
        type: 'object',
        properties: { amount: { $ref: '#/$defs/amount' }, note: { type: 'string' } },
        required: ['note'],
        $defs: { amount: { type: 'integer' } },
      },
    }
    const misfit = (field: string, message: string) => ({
      code: 'validation_failed',
      status: 422,
      details: [{ field, message }],
    })
    expect(
      await failureOf(narrow.actions.create({ ...typed, fixed_input: { amount: 'much' } })),
    ).toMatchObject(misfit('fixed_input.amount', 'must be an integer'))
    const { id } = await narrow.actions.create({ ...typed, fixed_input: { amount: 1 } })
    const grant = (fixed_input: object) =>
      failureOf(narrow.tokens.create({ name: 'T', grants: [{ action_id: id, fixed_input }] } as never))
    expect(await grant({ note: 5 })).toMatchObject(misfit('grants.0.fixed_input.note', 'must be a string'))
    expect(await grant({ amount: 1 })).toMatchObject(
      misfit('grants.0.fixed_input.amount', 'is fixed by the action already'),
    )
  })

  it.each([
    ['constructor=1', 'constructor', 'is not a known field'],
    ['__proto__=1', '__proto__', 'is not a known field'],
    ['metadata[k]=a&metadata[k]=b', 'metadata[k]', 'must be sent once'],
    ['sort=name,name', 'sort', 'must name each field once'],
    ['sort=name,-name', 'sort', 'must name each field once'],
    ['fields=name,name', 'fields', 'must name each field once'],
  ])('the query %s', async (query, field, message) => {
    expect(await ask(`/secrets?${query}`)).toMatchObject({
      status: 422,
      error: 'validation_failed',
      details: [{ field, message }],
    })
  })

  it('an idempotency key that no header should hold', async () => {
    const withKey = (key: string) => {
      const headers = { 'content-type': 'application/json', 'idempotency-key': key }
      const body = JSON.stringify({ name: 'S', value: 'secret-value' })
      return ask('/secrets', { method: 'POST', headers, body })
    }
    for (const key of ['a b', 'a, b', '', 'é', 'a'.repeat(256)]) {
      expect(await withKey(key)).toMatchObject({ status: 400, error: 'invalid_request' })
    }
    expect(await withKey('a'.repeat(255))).toMatchObject({ status: 201 })
  })

  it('a body of too many bytes, however few characters those are', async () => {
    const body = JSON.stringify({ name: 'S', value: 'ä'.repeat(600_000) })
    const headers = { 'content-type': 'application/json' }
    expect(await ask('/secrets', { method: 'POST', headers, body })).toMatchObject({ status: 413 })
  })

  it('and answers HEAD without a body, and OPTIONS with what a path takes', async () => {
    const head = await ask('/secrets?limit=1', { method: 'HEAD' })
    expect([head.status, head.text]).toEqual([200, ''])
    expect(head.headers.get('content-type')).toContain('json')
    const options = await ask('/secrets', { method: 'OPTIONS', headers: { authorization: '' } })
    expect([options.status, options.text]).toEqual([204, ''])
    expect(options.headers.get('allow')).toBe('GET, HEAD, OPTIONS, POST')
    expect(await ask('/nothing', { method: 'OPTIONS' })).toMatchObject({ status: 404 })
  })
})

describe('an override', () => {
  it('answers with data, whole or in part', async () => {
    mock.on('actions.get', { id: 'act_7', name: 'Mine' })
    expect(await narrow.actions.get('act_7')).toMatchObject({
      id: 'act_7',
      name: 'Mine',
      object: 'action',
      tags: [],
    })
    mock.on('actions.list', list([{ name: 'a' }, { name: 'b' }]))
    expect((await narrow.actions.list()).data.map(({ name }) => name)).toEqual(['a', 'b'])
    mock.on('actions.delete', undefined)
    expect(await narrow.actions.delete('act_7')).toBeUndefined()
  })

  it('is asked with what was sent, typed', async () => {
    mock.on('actions.create', ({ body, operation }) => {
      expectTypeOf(body).toEqualTypeOf<CreateAction>()
      expectTypeOf(operation).toEqualTypeOf<'actions.create'>()
      return { name: body.name, rate_limit_rpm: body.rate_limit_rpm ?? 0 }
    })
    expect(await narrow.actions.create(action)).toMatchObject({ name: 'A', rate_limit_rpm: 60 })
    mock.on('actions.getExecution', ({ params, query }) => {
      expectTypeOf(params).toEqualTypeOf<{ readonly id: string; readonly execution_id: string }>()
      return { id: params.execution_id, action_id: params.id, input: query.fields }
    })
    expect(await narrow.actions.getExecution('act_1', 'exec_1', { fields: ['input'] })).toEqual({
      id: 'exec_1',
      object: 'execution',
      input: ['input'],
    })
    mock.on('actions.list', ({ query }) => {
      expectTypeOf(query.limit).toEqualTypeOf<number | undefined>()
      return list([], String(query.limit))
    })
    expect((await narrow.actions.list({ limit: 7 })).next_cursor).toBe('7')
    mock.on('health.live', ({ params, query, body }) => {
      expectTypeOf<keyof typeof params>().toBeNever()
      expectTypeOf(query).toEqualTypeOf<undefined>()
      expectTypeOf(body).toEqualTypeOf<undefined>()
      return {}
    })
  })

  it('does not take what the API would refuse', async () => {
    const resolve = vi.fn(() => ({}))
    mock.on('actions.create', resolve)
    const error = await failureOf(narrow.actions.create({ name: 'A' } as CreateAction))
    expect(error).toMatchObject({
      code: 'validation_failed',
      details: [{ field: 'target_url', message: 'is required' }],
    })
    expect(resolve).not.toHaveBeenCalled()
  })

  it('refuses as the API does, returned or thrown', async () => {
    mock.on('actions.get', apiError('forbidden', { required_scope: 'actions:read' }))
    expect(await failureOf(narrow.actions.get('act_1'))).toMatchObject({
      code: 'forbidden',
      status: 403,
      requestId: expect.stringMatching(/^req_/),
      rateLimit: { remaining: expect.any(Number) },
      body: { required_scope: 'actions:read' },
    })
    mock.on('actions.get', () => {
      throw apiError('in_use', { message: 'Not now' })
    })
    expect(await failureOf(narrow.actions.get('act_1'))).toMatchObject({ code: 'in_use', message: 'Not now' })
    mock.on(
      'actions.get',
      new Response('{"id":"act_9"}', { headers: { 'content-type': 'application/json' } }),
    )
    for (const _ of [1, 2]) expect(await narrow.actions.get('act_1')).toEqual({ id: 'act_9' })
  })

  it('may build on what the mock would answer', async () => {
    const { id } = await narrow.actions.create(action)
    mock.on('actions.get', async ({ original }) => Object.assign(await original(), { status: 'paused' }))
    expect(await narrow.actions.get(id)).toMatchObject({ id, name: 'A', status: 'paused' })
    mock.restore('actions.get')
    expect(await narrow.actions.get(id)).toMatchObject({ status: 'active' })
    mock.on('secrets.create', () => ({}))
    await narrow.secrets.create({ name: 'S', value: 'secret-value' })
    expect((await narrow.secrets.list()).data).toEqual([])
  })

  it('fails the call when it breaks, with what it threw as the cause', async () => {
    const cause = new Error('a mistake in a test')
    mock.on('actions.list', () => {
      throw cause
    })
    expect(await failureOf(mock.client({ retries: 0 }).actions.list())).toMatchObject({ cause })
  })

  it('comes in sequence, and after it what was there before', async () => {
    mock.on('actions.get', { name: 'for good' })
    mock.sequence('actions.get', [{ name: 'first' }, apiError('not_found'), () => ({ name: 'third' })])
    const seen: string[] = []
    for (const _ of [1, 2, 3, 4, 5]) {
      seen.push(
        await narrow.actions.get('act_1').then(
          ({ name }) => name,
          ({ code }) => code,
        ),
      )
    }
    expect(seen).toEqual(['first', 'not_found', 'third', 'for good', 'for good'])
    mock.restore('actions.get')
    expect(await failureOf(narrow.actions.get('act_1'))).toMatchObject({ code: 'not_found' })
  })

  it('has a name and an answer of its operation', () => {
    // @ts-expect-error: there is no such operation
    expect(() => mock.on('actions.fly', {})).toThrow('actions.fly')
    // @ts-expect-error: there is no such operation
    expect(() => mock.fail('actions.fly', { status: 500 })).toThrow('actions.fly')
    // @ts-expect-error: a list answers with a page
    mock.on('actions.list', [])
    // @ts-expect-error: a name is text
    mock.on('actions.get', { name: 1 })
    // @ts-expect-error: there is no such code
    expect(() => apiError('teapot')).not.toThrow()
  })
})

describe('an upstream', () => {
  const agent = () => mock.client({ apiKey: 'sxt_test' })

  it('answers what it is told, and its execution is recorded', async () => {
    mock.on('x.execute', ({ body, params }) => {
      expectTypeOf(params).toEqualTypeOf<{ readonly action_id: string }>()
      return { got: body, from: params.action_id }
    })
    expect(await agent().execute('refund', { amount: 5 })).toEqual({ got: { amount: 5 }, from: 'refund' })
    mock.on('x.execute', () => Response.json({ reason: 'no' }, { status: 409 }))
    expect(await failureOf(agent().execute('refund', { amount: 5 }))).toMatchObject({
      code: 'upstream_response',
      status: 409,
      body: { reason: 'no' },
    })
    mock.on('x.execute', apiError('upstream_timeout'))
    expect(await failureOf(agent().execute('refund', { amount: 5 }))).toMatchObject({
      code: 'upstream_timeout',
    })
    const { data } = await narrow.executions.list({ sort: ['created_at'] })
    expect(data.map(({ status, error }) => [status, error?.code])).toEqual([
      ['completed', undefined],
      ['failed', 'upstream_error'],
      ['failed', 'upstream_timeout'],
    ])
  })

  it('is not reached by what is refused', async () => {
    const resolve = vi.fn(() => ({}))
    mock.on('x.execute', resolve, { times: 1 })
    expect(await failureOf(agent().execute('refund', { amount: 'much' }))).toMatchObject({
      code: 'validation_failed',
      details: [{ field: 'amount' }],
    })
    expect(await failureOf(agent().execute('other', {}))).toMatchObject({ code: 'not_found' })
    expect(resolve).not.toHaveBeenCalled()
    await agent().execute('refund', { amount: 1 })
    expect(resolve).toHaveBeenCalledOnce()
  })

  it('runs no more calls of an action at once than it allows', async () => {
    const { id } = await narrow.actions.create({ ...action, concurrency_limit: 1 })
    const { token } = await narrow.tokens.create({ name: 'one', action_ids: [id] })
    const one = mock.client({ apiKey: token, retries: 0 })
    const upstream = Promise.withResolvers<object>()
    mock.on('x.execute', () => upstream.promise, { times: 1 })
    const first = one.execute(id)
    expect(await failureOf(one.execute(id))).toMatchObject({
      code: 'rate_limited',
      retryAfterMs: 1_000,
      rateLimit: { limit: 1, remaining: 0 },
    })
    upstream.resolve({ slow: true })
    expect(await first).toEqual({ slow: true })
    expect(await one.execute(id)).toEqual({ ok: true })
  })

  it('acts once for one idempotency key', async () => {
    let acted = 0
    mock.on('x.execute', () => ({ times: ++acted }))
    mock.fail('x.execute', { cut: 'after' }, { times: 1 })
    const instant = mock.client({ apiKey: 'sxt_test', maxRetryDelay: 0 })
    expect(await instant.execute('refund', { amount: 1 })).toEqual({ times: 1 })
    expect(mock.requests.map(({ attempt }) => attempt)).toEqual([1, 2])
  })

  it('gives by default what fits the output schema', async () => {
    const { id } = (await narrow.actions.list()).data[0] ?? { id: '' }
    await narrow.actions.update(id, {
      output_schema: {
        type: 'object',
        properties: { id: { type: 'string', examples: ['re_1'] }, amount: { type: 'integer', minimum: 3 } },
      },
    })
    expect(await agent().execute('refund', { amount: 1 })).toEqual({ id: 're_1', amount: 3 })
  })
})

describe('a fault', () => {
  it('is waited for as long as the server asks, and no longer', async () => {
    vi.useFakeTimers()
    mock.fail('actions.list', { status: 429, retryAfter: 1 }, { times: 2 })
    const call = narrow.actions.list()
    await vi.advanceTimersByTimeAsync(1999)
    expect(mock.requests).toHaveLength(2)
    await vi.advanceTimersByTimeAsync(1)
    expect((await call).data).toHaveLength(1)
    expect(mock.requests.map(({ attempt }) => attempt)).toEqual([1, 2, 3])
  })

  it('looks like a refusal of the API, headers included', async () => {
    mock.fail('x.manifest', { status: 429, retryAfter: 120 })
    expect(await failureOf(mock.client({ apiKey: 'sxt_test' }).x.manifest())).toMatchObject({
      code: 'rate_limited',
      retryAfterMs: 120_000,
      attempts: 1,
      requestId: expect.stringMatching(/^req_/),
      rateLimit: { limit: expect.any(Number) },
    })
    mock.fail('actions.list', { status: 429, retryAfter: new Date(Date.now() + 90_000) })
    const { retryAfterMs } = (await failureOf(narrow.actions.list())) as NarrowError & {
      retryAfterMs: number
    }
    expect(retryAfterMs).toBeGreaterThan(88_000)
    expect(retryAfterMs).toBeLessThan(92_000)
    mock.fail('actions.get', { status: 403, code: 'paused', message: 'Closed' })
    expect(await failureOf(narrow.actions.get('act_1'))).toMatchObject({ code: 'paused', message: 'Closed' })
  })

  it('may be of something in between', async () => {
    mock.fail('actions.list', { status: 502, headers: { via: 'proxy' } }, { times: 1 })
    const error = await failureOf(mock.client({ retries: 0 }).actions.list())
    expect(error).toMatchObject({ code: 'unexpected_response', status: 502, retryable: true })
  })

  it('comes in the order it was given, among the answers', async () => {
    const instant = mock.client({ retries: 0 })
    mock
      .fail('actions.get', { status: 503 }, { times: 1 })
      .on('actions.get', { name: 'between' }, { times: 1 })
      .fail('actions.get', { status: 500 }, { times: 1 })
    expect(await failureOf(instant.actions.get('act_1'))).toMatchObject({ code: 'unavailable' })
    expect(await instant.actions.get('act_1')).toMatchObject({ name: 'between' })
    expect(await failureOf(instant.actions.get('act_1'))).toMatchObject({ code: 'internal_error' })
    expect(() => mock.fail('*', { status: 500 }, { times: 0 })).toThrow(RangeError)
    mock.on('actions.get', { name: 'told' }).fail('*', { cut: 'before' }, { times: 1 })
    expect(await failureOf(instant.actions.get('act_1'))).toMatchObject({ code: 'connection_failed' })
    expect(await instant.actions.get('act_1')).toMatchObject({ name: 'told' })
  })

  it('of the connection comes before the work is done, or after', async () => {
    const instant = createMockNarrowAPI({ instantRetries: true })
    const client = instant.client()
    instant.fail('secrets.create', { cut: 'before' }, { times: 1 })
    instant.fail('secrets.create', { cut: 'after' }, { times: 1 })
    const call = client.secrets.create({ name: 'S', value: 'secret-value' })
    const { response } = await call.withResponse()
    expect(response.attempts).toBe(3)
    expect(response.headers.get('idempotent-replayed')).toBe('true')
    expect((await client.secrets.list()).data).toHaveLength(1)
    const [first, second, third] = instant.requests
    expect(new Set([first, second, third].map((one) => one?.idempotencyKey)).size).toBe(1)
    instant.fail('*', { cut: 'before' })
    expect(await failureOf(client.health.live())).toMatchObject({ code: 'connection_failed', attempts: 3 })
  })

  it('may stall in the middle of the body', async () => {
    mock.fail('actions.list', { stall: true })
    const error = await failureOf(mock.client({ timeout: 20, retries: 0 }).actions.list())
    expect(error).toMatchObject({ code: 'timeout' })
    const controller = new AbortController()
    const response = await mock.fetch('http://narrowapi.mock/api/v1/actions', {
      headers: { authorization: 'Bearer sk_test' },
      signal: controller.signal,
    })
    expect(response.status).toBe(200)
    const body = response.text()
    controller.abort(new Error('enough'))
    await expect(body).rejects.toThrow('enough')
  })

  it('may be slow, and is given up at once', async () => {
    mock.fail('actions.list', { delayMs: 60_000 }, { times: 1 })
    const controller = new AbortController()
    const call = failureOf(narrow.actions.list({}, { signal: controller.signal }))
    await vi.waitFor(() => expect(mock.requests).toHaveLength(1))
    controller.abort(new Error('enough'))
    expect(await call).toMatchObject({ code: 'aborted', cause: controller.signal.reason })
    expect(getEventListeners(controller.signal, 'abort')).toEqual([])

    vi.useFakeTimers()
    mock.fail('actions.list', { delayMs: 5000 }, { times: 1 })
    const slow = narrow.actions.list()
    await vi.advanceTimersByTimeAsync(5000)
    expect((await slow).data).toHaveLength(1)
  })

  it('leaves no listener on a signal that outlives the calls', async () => {
    const controller = new AbortController()
    const { signal } = controller
    const init = { headers: { authorization: 'Bearer sk_test' }, signal }
    const ask = () => mock.fetch('http://narrowapi.mock/api/v1/actions', init)
    mock.fail('actions.list', { delayMs: 1 }, { times: 1 })
    for (const _ of [1, 2, 3]) await (await ask()).text()
    expect(getEventListeners(signal, 'abort')).toEqual([])
    mock.on('actions.list', () => new Promise<never>(() => undefined))
    const waiting = ask()
    setTimeout(() => controller.abort(new Error('enough')), 5)
    await expect(waiting).rejects.toThrow('enough')
    await expect(ask()).rejects.toThrow('enough')
    expect(getEventListeners(signal, 'abort')).toEqual([])
  })
})

describe('retries', () => {
  it('are instant when the mock is told so', async () => {
    const instant = createMockNarrowAPI({ instantRetries: true })
    instant.fail('actions.list', { status: 429, retryAfter: 20 }, { times: 1 })
    instant.fail('actions.list', { cut: 'before' }, { times: 1 })
    instant.fail('actions.get', { status: 503 })
    const startedAt = performance.now()
    expect((await instant.client().actions.list()).data).toEqual([])
    expect(await failureOf(instant.client().actions.get('act_1'))).toMatchObject({ attempts: 3 })
    expect(performance.now() - startedAt).toBeLessThan(200)
  })
})

describe('the requests', () => {
  it('say what was sent, by operation', async () => {
    await narrow.actions.create(action, { idempotencyKey: 'mine' })
    await narrow.actions.list({ limit: 5, sort: ['-name'], metadata: { a: 'b' } })
    const [create, read] = mock.requests
    expect(create).toMatchObject({
      operation: 'actions.create',
      method: 'POST',
      url: 'http://narrowapi.mock/api/v1/actions',
      body: action,
      query: undefined,
      idempotencyKey: 'mine',
      attempt: 1,
      credentialId: expect.stringMatching(/^key_/),
    })
    expect(read).toMatchObject({
      query: { limit: 5, sort: ['-name'], metadata: { a: 'b' } },
      body: undefined,
    })
    if (create?.operation === 'actions.create') expectTypeOf(create.body).toEqualTypeOf<CreateAction>()
    await mock.fetch('http://narrowapi.mock/other?a=b')
    expect(mock.requests[2]).toMatchObject({ operation: undefined, url: 'http://narrowapi.mock/other?a=b' })
  })

  it('never show the credential', async () => {
    const secret = 'sk_live_0123456789'
    await mock.client({ apiKey: secret }).actions.list()
    await mock.fetch('http://narrowapi.mock/x', { headers: { authorization: secret } })
    const shown = [
      inspect(mock, { depth: 9 }),
      inspect(mock.requests, { depth: 9 }),
      JSON.stringify(mock.requests),
    ]
    for (const text of shown) expect(text).not.toContain('0123456789')
    expect(mock.requests[0]?.headers.authorization).toBe('Bearer sk_[secret]')
  })

  it('are forgotten by a reset, with everything else', async () => {
    mock.on('actions.get', { name: 'mine' })
    mock.fail('health.live', { status: 503 })
    await narrow.actions.create(action)
    mock.reset()
    expect(mock.requests).toEqual([])
    expect((await narrow.actions.list()).data.map(({ name }) => name)).toEqual(['Refund'])
    expect(await failureOf(narrow.actions.get('act_1'))).toMatchObject({ code: 'not_found' })
    expect(await narrow.health.live()).toEqual({ status: 'ok' })
  })
})

const sorted = (value: unknown): string =>
  JSON.stringify(value, (_, inner: unknown) =>
    typeof inner === 'object' && inner !== null && !Array.isArray(inner)
      ? Object.fromEntries(Object.entries(inner).sort(([a], [b]) => (a < b ? -1 : 1)))
      : inner,
  )
