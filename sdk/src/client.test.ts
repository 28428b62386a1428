import { inspect } from 'node:util'
import { afterEach, describe, expect, it, vi } from 'vitest'
import { NarrowAPI } from './client.ts'
import { type NarrowError, NarrowUsageError } from './errors.ts'
import { responseOf } from './response.ts'
import type { Middleware, NarrowEvent } from './types.ts'

const KEY = 'sk_live_0123456789abcdef'

/** A `fetch` that answers from `answers`, then with an empty object, and remembers what it was sent. */
const fakeFetch = (...answers: (Response | Error)[]) => {
  const sent: { url: string; method: string; headers: Headers; body: string | null }[] = []
  const fetch = async (url: unknown, init: RequestInit = {}) => {
    sent.push({
      url: String(url),
      method: init.method ?? '',
      headers: new Headers(init.headers),
      body: init.body as string | null,
    })
    const answer = answers.shift() ?? Response.json({})
    if (answer instanceof Error) throw answer
    return answer
  }
  return { fetch: fetch as typeof globalThis.fetch, sent }
}

const failureOf = (call: Promise<unknown>): Promise<NarrowError> =>
  call.then(
    () => expect.fail('the call succeeded'),
    (error) => error,
  )

afterEach(() => {
  vi.unstubAllEnvs()
})

describe('a client', () => {
  it('reads its key and address from the environment', async () => {
    vi.stubEnv('NARROWAPI_API_KEY', KEY)
    vi.stubEnv('NARROWAPI_BASE_URL', 'http://example.test/narrow/')
    const { fetch, sent } = fakeFetch()
    await new NarrowAPI({ fetch }).actions.get('act_1')
    expect(sent[0]?.url).toBe('http://example.test/narrow/api/v1/actions/act_1')
    expect(sent[0]?.headers.get('authorization')).toBe(`Bearer ${KEY}`)
  })

  it('takes the key alone, and what is passed wins over the environment', async () => {
    vi.stubEnv('NARROWAPI_API_KEY', 'sk_other')
    const { fetch, sent } = fakeFetch()
    await new NarrowAPI(KEY).with({ fetch }).actions.get('act_1')
    expect(sent[0]?.headers.get('authorization')).toBe(`Bearer ${KEY}`)
    expect(sent[0]?.url).toBe('http://127.0.0.1:3000/api/v1/actions/act_1')
  })

  it('asks a key function before each attempt', async () => {
    const keys = ['sk_first', 'sk_second']
    const { fetch, sent } = fakeFetch(new Response('', { status: 503, headers: { 'retry-after': '0' } }))
    await new NarrowAPI({ fetch, apiKey: async () => keys.shift() ?? '' }).actions.get('act_1')
    expect(sent.map(({ headers }) => headers.get('authorization'))).toEqual([
      'Bearer sk_first',
      'Bearer sk_second',
    ])
  })

  it('sends nothing without a key', async () => {
    vi.stubEnv('NARROWAPI_API_KEY', '')
    const { fetch, sent } = fakeFetch()
    const error = await failureOf(new NarrowAPI({ fetch }).actions.get('act_1'))
    expect(error).toBeInstanceOf(NarrowUsageError)
    expect(error.message).toContain('NARROWAPI_API_KEY')
    expect(sent).toEqual([])
  })

  it('asks for health without a key', async () => {
    vi.stubEnv('NARROWAPI_API_KEY', '')
    const { fetch, sent } = fakeFetch()
    await new NarrowAPI({ fetch }).health.live()
    expect(sent[0]?.url).toBe('http://127.0.0.1:3000/healthz')
    expect(sent[0]?.headers.has('authorization')).toBe(false)
  })

  it('forgives space around a key and refuses a key that no header can carry, without quoting it', async () => {
    const { fetch, sent } = fakeFetch()
    await new NarrowAPI({ fetch, apiKey: ` ${KEY}\n` }).actions.get('act_1')
    expect(sent[0]?.headers.get('authorization')).toBe(`Bearer ${KEY}`)
    const error = await failureOf(new NarrowAPI({ fetch, apiKey: `${KEY}\r\nx-a: b` }).actions.get('act_1'))
    expect(error).toBeInstanceOf(NarrowUsageError)
    expect(inspect(error)).not.toContain(KEY)
  })

  it('never shows its key: not when inspected, not in errors, not in logs', async () => {
    const echo = new Response(JSON.stringify({ error: 'unauthorized', message: `Bad Bearer ${KEY}` }), {
      status: 401,
    })
    const lines: string[] = []
    const write = (line: string) => void lines.push(line)
    const logger = { error: write, warn: write, info: write, debug: write }
    const { fetch } = fakeFetch(echo)
    const narrow = new NarrowAPI({
      fetch,
      apiKey: KEY,
      log: 'debug',
      logger,
      headers: { 'x-a': 'header-value' },
    })
    const error = await failureOf(narrow.actions.get('act_1'))
    expect(error.message).toBe('Bad Bearer [secret]')
    expect(inspect([narrow, narrow.actions, error], { depth: 9, showHidden: true })).not.toContain(KEY)
    expect(JSON.stringify([narrow, error])).not.toContain(KEY)
    expect(lines.length).toBe(3)
    expect(lines.join()).not.toMatch(/sk_|header-value/)
  })

  it('sends path parameters, then one object, then options', async () => {
    const { fetch, sent } = fakeFetch(
      Response.json({ object: 'list', data: [], has_more: false, next_cursor: null }),
    )
    const narrow = new NarrowAPI({ fetch, apiKey: KEY })
    await narrow.actions.listExecutions('act_1', { limit: 2 }, { headers: { 'X-A': 'b' } })
    await narrow.actions.update('act_1', { name: 'new' }, { headers: { 'If-Match': '"3"' } })
    await narrow.actions.delete('act_1', { headers: { 'X-A': 'c' } })
    expect(sent.map(({ method, url, body }) => [method, url.slice(21), body])).toEqual([
      ['GET', '/api/v1/actions/act_1/executions?limit=2', null],
      ['PATCH', '/api/v1/actions/act_1', '{"name":"new"}'],
      ['DELETE', '/api/v1/actions/act_1', null],
    ])
    expect(sent[0]?.headers.get('x-a')).toBe('b')
    expect(sent[1]?.headers.get('if-match')).toBe('"3"')
    expect(sent[1]?.headers.get('content-type')).toBe('application/json')
    expect(sent[2]?.headers.get('x-a')).toBe('c')
  })

  it('sends nothing when a path parameter is a dot segment', async () => {
    const { fetch, sent } = fakeFetch()
    const error = await failureOf(new NarrowAPI({ fetch, apiKey: KEY }).actions.get('%2e%2e'))
    expect(error).toBeInstanceOf(NarrowUsageError)
    expect(sent).toEqual([])
  })

  it('gives plain data, and tells about the answer when asked', async () => {
    const headers = {
      'x-request-id': 'req_1',
      'x-ratelimit-limit': '100',
      'x-ratelimit-remaining': '0',
      'x-ratelimit-reset': '1800000000',
    }
    const { fetch, sent } = fakeFetch(Response.json({ id: 'act_1' }, { status: 201, headers }))
    const call = new NarrowAPI({ fetch, apiKey: KEY }).actions.create({ name: 'a' } as never)
    const { data, response } = await call.withResponse()
    expect(data).toEqual({ id: 'act_1' })
    expect(await call).toBe(data)
    expect(responseOf(data)).toBe(response)
    expect(response.status).toBe(201)
    expect(response.requestId).toBe('req_1')
    expect(response.attempts).toBe(1)
    expect(response.idempotencyKey).toBe(sent[0]?.headers.get('idempotency-key'))
    expect(response.rateLimit).toEqual({ limit: 100, remaining: 0, resetAt: new Date(1_800_000_000_000) })
    expect(sent.length).toBe(1)
  })

  it('gives a different key to each call, and the given one where one is given', async () => {
    const { fetch, sent } = fakeFetch()
    const narrow = new NarrowAPI({ fetch, apiKey: KEY })
    const create = (options?: { idempotencyKey: string }) =>
      narrow.actions.create({ name: 'a' } as never, options)
    await Promise.all([create(), create(), create({ idempotencyKey: 'mine' }), narrow.actions.get('act_1')])
    const keys = sent.map(({ headers }) => headers.get('idempotency-key'))
    expect(new Set(keys).size).toBe(4)
    expect(keys.slice(2)).toEqual(['mine', null])
    expect(keys[0]).toMatch(/^[\x21-\x7e]{20,255}$/)
  })

  it('tells the key that was sent, also where a header gave it', async () => {
    const gone = () => Response.json({ error: 'not_found', message: 'No' }, { status: 404 })
    const { fetch, sent } = fakeFetch(gone(), gone())
    const narrow = new NarrowAPI({ fetch, apiKey: KEY })
    const headers = { 'Idempotency-Key': 'header' }
    const error = await failureOf(narrow.actions.delete('act_1', { headers, idempotencyKey: 'option' }))
    expect([sent[0]?.headers.get('idempotency-key'), error.idempotencyKey]).toEqual(['header', 'header'])
    const read = await failureOf(narrow.actions.get('act_1', {}, { idempotencyKey: 'option' }))
    expect([sent[1]?.headers.get('idempotency-key'), read.idempotencyKey]).toEqual([null, undefined])
  })

  it('sends what middleware was given when it passes nothing on', async () => {
    const { fetch, sent } = fakeFetch()
    const middleware = [((_, next) => (next as () => Promise<Response>)()) as Middleware]
    await new NarrowAPI({ fetch, apiKey: KEY, middleware }).actions.get('act_1')
    expect(sent[0]?.url).toBe('http://127.0.0.1:3000/api/v1/actions/act_1')
  })

  it('runs middleware around each attempt, the first outermost, and next may be called again', async () => {
    const seen: string[] = []
    const { fetch, sent } = fakeFetch(new Response('', { status: 503, headers: { 'retry-after': '0' } }))
    const narrow = new NarrowAPI({
      fetch,
      apiKey: KEY,
      middleware: [
        async (request, next, { operation, attempt }) => {
          seen.push(`outer ${operation} ${attempt}`)
          return next({ ...request, headers: { ...request.headers, 'x-outer': 'yes' } })
        },
      ],
    })
    await narrow.actions.create({ name: 'a' } as never, {
      middleware: [
        async (request, next) => {
          seen.push(`inner ${request.headers['x-outer']}`)
          await next(request)
          return next(request)
        },
      ],
    })
    expect(seen).toEqual(['outer actions.create 1', 'inner yes'])
    expect(sent.map(({ body }) => body)).toEqual(['{"name":"a"}', '{"name":"a"}'])
  })

  it('neither repeats nor wraps what the caller’s own middleware throws', async () => {
    const { fetch, sent } = fakeFetch()
    const mine = new Error('mine')
    const narrow = new NarrowAPI({ fetch, apiKey: KEY, middleware: [() => Promise.reject(mine)] })
    await expect(narrow.actions.get('act_1')).rejects.toBe(mine)
    expect(sent).toEqual([])
  })

  it('tells what happens, and is not broken by whoever listens', async () => {
    const events: NarrowEvent[] = []
    const { fetch } = fakeFetch(
      new Response('', { status: 503, headers: { 'retry-after': '0' } }),
      Response.json({ error: 'not_found', message: 'No such action' }, { status: 404 }),
    )
    const onEvent = (event: NarrowEvent) => {
      events.push(event)
      throw new Error('the listener failed')
    }
    const error = await failureOf(new NarrowAPI({ fetch, apiKey: KEY, onEvent }).actions.get('act_1'))
    expect(error.code).toBe('not_found')
    expect(events).toMatchObject([
      { type: 'request', operation: 'actions.get', attempt: 1 },
      { type: 'response', attempt: 1, status: 503 },
      { type: 'retry', attempt: 1, delayMs: 0 },
      { type: 'request', attempt: 2 },
      { type: 'response', attempt: 2, status: 404 },
      { type: 'failure', code: 'not_found', error },
    ])
  })

  it('refuses an answer that NarrowAPI does not send', async () => {
    const { fetch } = fakeFetch(new Response('<html>'), Response.json({ data: 1 }))
    const narrow = new NarrowAPI({ fetch, apiKey: KEY })
    for (const call of [narrow.actions.get('act_1'), narrow.actions.list()]) {
      const error = await failureOf(call)
      expect(error.code).toBe('unexpected_response')
      expect(error.message).toContain('baseUrl')
    }
  })

  it('differs after `with` in the given options only', async () => {
    const { fetch, sent } = fakeFetch()
    const narrow = new NarrowAPI({ fetch, apiKey: KEY, headers: { 'x-a': '1' } })
    await narrow.with({ workspaceId: 'wrk_1' }).actions.get('act_1')
    await narrow.actions.get('act_1')
    expect(sent.map(({ headers }) => headers.get('x-workspace-id'))).toEqual(['wrk_1', null])
    expect(sent.map(({ headers }) => headers.get('x-a'))).toEqual(['1', '1'])
  })

  it('keeps after `with` what it is given as undefined', async () => {
    vi.stubEnv('NARROWAPI_API_KEY', 'sk_other')
    const { fetch, sent } = fakeFetch()
    await new NarrowAPI({ fetch, apiKey: KEY })
      .with({ apiKey: undefined, fetch: undefined })
      .actions.get('act_1')
    expect(sent[0]?.headers.get('authorization')).toBe(`Bearer ${KEY}`)
  })
})
