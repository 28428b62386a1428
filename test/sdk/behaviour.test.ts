import { getEventListeners, once } from 'node:events'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo, Socket } from 'node:net'
import { text } from 'node:stream/consumers'
import { setTimeout } from 'node:timers/promises'
import {
  type ClientOptions,
  isNarrowError,
  NarrowAbortError,
  NarrowAPI,
  NarrowApiError,
  NarrowConnectionError,
  NarrowTimeoutError,
  UpstreamResponseError,
} from '@narrowapi/sdk'
import * as functions from '@narrowapi/sdk/functions'
import { afterEach, describe, expect, it } from 'vitest'

type Step = (response: ServerResponse, request: IncomingMessage) => void
type Seen = { at: number; method: string; url: string; key: string | undefined; body: string; socket: Socket }

const running = new Set<() => Promise<unknown>>()

afterEach(async () => {
  await Promise.all([...running].map((stop) => stop()))
  running.clear()
})

type Connect = (options: ClientOptions & { apiKey: string; baseUrl: string }) => NarrowAPI

/** The functions in the shape of the class, so that one test holds for both. */
const asMethods = (client: functions.Client): NarrowAPI => {
  const all: Readonly<Record<string, unknown>> = functions
  const bind = (name: string) => {
    const found = all[name]
    if (typeof found !== 'function') throw new Error(`There is no function ${name}`)
    return found.bind(undefined, client)
  }
  const capitalize = (word: string) => word.charAt(0).toUpperCase() + word.slice(1)
  const noun = (name: string) => new Proxy({}, { get: (_, verb) => bind(name + capitalize(String(verb))) })
  const shape = { get: (_: object, name: string) => (name === 'execute' ? bind(name) : noun(name)) }
  // True because the functions are generated from the same table as the methods.
  return new Proxy({}, shape as ProxyHandler<object>) as NarrowAPI
}

const ways: Readonly<Record<string, Connect>> = {
  'the class': (options) => new NarrowAPI(options),
  'the functions and a small client': (options) => asMethods(functions.createClient(options)),
  'the functions and a full client': (options) => asMethods(functions.createFullClient(options)),
}

const TOKEN = 'sxt_test_0123456789'

/** A server that takes one step for each request and repeats its last one, and a client of it. */
const serveTo =
  (connect: Connect) =>
  async (steps: readonly Step[], options: Partial<Parameters<Connect>[0]> = {}) => {
    const seen: Seen[] = []
    const arrivals = new EventTarget()
    const server = createServer(async (request, response) => {
      const step = steps[Math.min(seen.length, steps.length - 1)]
      const { method = '', url = '', headers, socket } = request
      const entry = {
        at: performance.now(),
        method,
        url,
        key: headers['idempotency-key']?.toString(),
        body: '',
        socket,
      }
      seen.push(entry)
      entry.body = await text(request)
      step?.(response, request)
      arrivals.dispatchEvent(new Event('request'))
    })
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
    running.add(async () => {
      server.closeAllConnections()
      server.close()
    })
    const { port } = server.address() as AddressInfo
    const baseUrl = `http://127.0.0.1:${port}`
    const narrow = connect({ apiKey: 'sk_test_0123456789', baseUrl, ...options })
    return { narrow, seen, nextRequest: () => once(arrivals, 'request') }
  }

const answer =
  (status: number, body: unknown = {}, headers: Record<string, string> = {}): Step =>
  (response) => {
    response.writeHead(status, { 'content-type': 'application/json', ...headers })
    response.end(status === 204 ? undefined : JSON.stringify(body))
  }

const refuse = (status: number, code: string, headers: Record<string, string> = {}): Step =>
  answer(status, { error: code, message: `Refused: ${code}`, request_id: 'req_body' }, headers)

/** How NarrowAPI marks what an upstream answered. */
const passedOn = (status: number) => ({ 'x-upstream-status': `${status}` })

const cut: Step = (response) => response.socket?.destroy()

const stallAfterHeaders: Step = (response) => {
  response.writeHead(200, { 'content-type': 'application/json', 'content-length': '1000' })
  response.write('{"id":')
}

const ok = answer(200, { id: 'act_1' })
const created = answer(201, { id: 'act_1' })

const failureOf = (call: Promise<unknown>): Promise<unknown> =>
  call.then(
    () => expect.fail('the call succeeded'),
    (error: unknown) => error,
  )

/** The examples leave out what does not matter to them; the types would rightly ask for all of it. */
const ACTION = { name: 'a' } as never

/** How long after the first request the second one came. */
const gap = ([first, second]: Seen[]): number => (second?.at ?? Number.NaN) - (first?.at ?? Number.NaN)

const expectOneKey = (seen: Seen[], count: number) => {
  expect(seen.length).toBe(count)
  expect(seen[0]?.key).toBeTruthy()
  expect(new Set(seen.map(({ key }) => key)).size).toBe(1)
  expect(new Set(seen.map(({ body }) => body)).size).toBe(1)
}

describe.each(Object.entries(ways))('%s:', (_, connect) => {
  const serve = serveTo(connect)

  describe('a call against a server that', () => {
    it('1. refuses a read for one second waits that second and succeeds', async () => {
      const { narrow, seen } = await serve([refuse(429, 'rate_limited', { 'retry-after': '1' }), ok])
      expect(await narrow.actions.get('act_1')).toEqual({ id: 'act_1' })
      expect(gap(seen)).toBeGreaterThan(990)
      expect(seen.length).toBe(2)
    })

    it('2. refuses a read until a date waits until then', async () => {
      const until = Math.ceil(Date.now() / 1000) * 1000 + 2000
      const { narrow } = await serve([
        refuse(429, 'rate_limited', { 'retry-after': new Date(until).toUTCString() }),
        ok,
      ])
      expect(await narrow.actions.get('act_1')).toEqual({ id: 'act_1' })
      expect(Date.now()).toBeGreaterThan(until - 10)
    })

    it('3. refuses a read for two minutes fails at once and says for how long', async () => {
      const { narrow, seen } = await serve([refuse(429, 'rate_limited', { 'retry-after': '120' }), ok])
      const error = await failureOf(narrow.actions.get('act_1'))
      expect(error).toBeInstanceOf(NarrowApiError)
      expect(error).toMatchObject({ code: 'rate_limited', status: 429, retryAfterMs: 120_000, attempts: 1 })
      expect(seen.length).toBe(1)
    })

    it('4. is unavailable for a moment retries a read', async () => {
      const { narrow, seen } = await serve([answer(503), refuse(503, 'unavailable'), ok])
      expect(await narrow.actions.get('act_1')).toEqual({ id: 'act_1' })
      expect(seen.length).toBe(3)
    })

    it('5. is unavailable for a moment retries a create with its one key', async () => {
      const { narrow, seen } = await serve([answer(503), created])
      const { data, response } = await narrow.actions.create(ACTION).withResponse()
      expect(data).toEqual({ id: 'act_1' })
      expect(response).toMatchObject({ status: 201, attempts: 2, idempotencyKey: seen[0]?.key })
      expectOneKey(seen, 2)
    })

    it('6. refuses a create for one second waits and retries with its one key', async () => {
      const { narrow, seen } = await serve([refuse(429, 'rate_limited', { 'retry-after': '1' }), created])
      expect(await narrow.actions.create(ACTION)).toEqual({ id: 'act_1' })
      expect(gap(seen)).toBeGreaterThan(990)
      expectOneKey(seen, 2)
    })

    it('7. cuts the connection of a create retries with its one key', async () => {
      const { narrow, seen } = await serve([cut, created])
      expect(await narrow.actions.create(ACTION)).toEqual({ id: 'act_1' })
      expectOneKey(seen, 2)
    })

    it('8. stalls in the middle of a body ends in a timeout', async () => {
      const { narrow, seen } = await serve([stallAfterHeaders], { timeout: 200 })
      const error = await failureOf(narrow.actions.create(ACTION))
      expect(error).toBeInstanceOf(NarrowTimeoutError)
      expect(error).toMatchObject({ code: 'timeout', limit: 'timeout', timeoutMs: 200, attempts: 3 })
      expectOneKey(seen, 3)
    })

    it('9. asks for a wait that the caller aborts rejects at once with the caller’s reason', async () => {
      const { narrow, nextRequest } = await serve([refuse(429, 'rate_limited', { 'retry-after': '20' })])
      const controller = new AbortController()
      const reason = new Error('the user left')
      const outcome = failureOf(narrow.actions.create(ACTION, { signal: controller.signal }))
      await nextRequest()
      // Long enough to have read the answer, and far less than the wait that it asks for.
      await setTimeout(300)
      const abortedAt = performance.now()
      controller.abort(reason)
      const error = await outcome
      expect(performance.now() - abortedAt).toBeLessThan(2000)
      expect(error).toBeInstanceOf(NarrowAbortError)
      expect(error).toMatchObject({ code: 'aborted', cause: reason, attempts: 1 })
      expect(getEventListeners(controller.signal, 'abort')).toEqual([])
    })
  })

  describe('retries', () => {
    it.each([
      ['a refusal', refuse(503, 'unavailable'), NarrowApiError],
      ['a cut connection', cut, NarrowConnectionError],
      ['a stalled body', stallAfterHeaders, NarrowTimeoutError],
    ])('do not happen after %s when there are to be none', async (_, step, kind) => {
      const { narrow, seen } = await serve([step, ok], { retries: 0, timeout: 200 })
      const error = await failureOf(narrow.actions.get('act_1'))
      expect(error).toBeInstanceOf(kind)
      expect(error).toMatchObject({ attempts: 1 })
      expect(seen.length).toBe(1)
    })

    it('end with the last error and the key to resume with', async () => {
      const { narrow, seen } = await serve([refuse(503, 'unavailable', { 'retry-after': '0' })])
      const error = await failureOf(narrow.actions.create(ACTION))
      expect(error).toMatchObject({
        code: 'unavailable',
        attempts: 3,
        idempotencyKey: seen[0]?.key,
        retryable: true,
      })
      expectOneKey(seen, 3)
    })

    it.each([
      [400, 'invalid_request'],
      [404, 'not_found'],
      [409, 'in_use'],
      [422, 'validation_failed'],
      [501, 'not_built'],
    ])('do not happen after %i %s', async (status, code) => {
      const { narrow, seen } = await serve([refuse(status, code), ok])
      const error = await failureOf(narrow.actions.create(ACTION))
      expect(error).toMatchObject({ code, status, message: `Refused: ${code}` })
      expect(seen.length).toBe(1)
    })

    it('happen while the first request with the key is still running', async () => {
      const running = refuse(409, 'idempotency_in_progress', { 'retry-after': '0' })
      const { narrow, seen } = await serve([running, running, created])
      expect(await narrow.actions.create(ACTION)).toEqual({ id: 'act_1' })
      expectOneKey(seen, 3)
    })

    it('happen when the answer is cut in its middle', async () => {
      const cutInBody: Step = (response) => {
        response.writeHead(201, { 'content-length': '1000' })
        response.write('{"id":', () => response.socket?.destroy())
      }
      const { narrow, seen } = await serve([cutInBody, created])
      expect(await narrow.actions.create(ACTION)).toEqual({ id: 'act_1' })
      expectOneKey(seen, 2)
    })

    it('follow the same rules on a kept-alive connection that the server has closed', async () => {
      const closeNext: Step = (response) => {
        answer(200, { id: 'act_1' }, { connection: 'keep-alive' })(response, response.req)
      }
      const { narrow, seen } = await serve([closeNext, cut, ok])
      await narrow.actions.get('act_1')
      await narrow.actions.get('act_1')
      expect(seen.length).toBe(3)
      const none = await serve([closeNext, cut, ok], { retries: 0 })
      await none.narrow.actions.get('act_1')
      expect(await failureOf(none.narrow.actions.get('act_1'))).toBeInstanceOf(NarrowConnectionError)
      expect(none.seen.length).toBe(2)
    })

    it('happen on deletes, with a key, so that a lost answer does not end in not_found', async () => {
      const { narrow, seen } = await serve([cut, answer(204)])
      expect(await narrow.actions.delete('act_1')).toBeUndefined()
      expectOneKey(seen, 2)
    })

    it('never go past the deadline of the whole call, and leave a wish beyond it unslept', async () => {
      const { narrow, seen } = await serve([refuse(429, 'rate_limited', { 'retry-after': '5' })], {
        totalTimeout: 3000,
      })
      const startedAt = performance.now()
      const error = await failureOf(narrow.actions.get('act_1'))
      expect(error).toMatchObject({ code: 'rate_limited', retryAfterMs: 5000, attempts: 1 })
      expect(performance.now() - startedAt).toBeLessThan(2000)
      expect(seen.length).toBe(1)
    })

    it('follow what the server says of them, whatever the status', async () => {
      const never = await serve([refuse(503, 'unavailable', { 'x-should-retry': 'false' }), ok])
      expect(await failureOf(never.narrow.actions.get('act_1'))).toMatchObject({ status: 503, attempts: 1 })
      const always = await serve([refuse(400, 'invalid_request', { 'x-should-retry': 'true' }), ok])
      expect(await always.narrow.actions.get('act_1')).toEqual({ id: 'act_1' })
    })

    it.each([
      ['retry-after-ms before Retry-After', { 'retry-after-ms': '200', 'retry-after': '120' }, 190, 1000],
      ['Retry-After before the reset', { 'retry-after': '1', ratelimit: '"default";r=0;t=120' }, 990, 2500],
      ['the reset when nothing else is said', { ratelimit: '"default";r=0;t=1' }, 990, 2500],
    ])('wait for %s', async (_, headers, least, most) => {
      const { narrow, seen } = await serve([refuse(429, 'rate_limited', headers), ok])
      await narrow.actions.get('act_1')
      expect(gap(seen)).toBeGreaterThan(least)
      expect(gap(seen)).toBeLessThan(most)
    })

    it('end with a typed error when the whole call has had its time', async () => {
      const { narrow } = await serve([stallAfterHeaders], { totalTimeout: 200 })
      const error = await failureOf(narrow.actions.get('act_1'))
      expect(error).toBeInstanceOf(NarrowTimeoutError)
      expect(error).toMatchObject({ limit: 'totalTimeout', timeoutMs: 200 })
    })
  })

  describe('aborting', () => {
    const stallBeforeHeaders: Step = () => {}

    it.each([
      ['before the headers', stallBeforeHeaders],
      ['in the body', stallAfterHeaders],
    ])('%s rejects with the reason, closes the connection and leaves no listener', async (_, step) => {
      const { narrow, seen, nextRequest } = await serve([step])
      const controller = new AbortController()
      const outcome = failureOf(narrow.actions.create(ACTION, { signal: controller.signal }))
      await nextRequest()
      const socket = seen[0]?.socket
      const closed = socket && !socket.destroyed ? once(socket, 'close') : undefined
      controller.abort('enough')
      const error = await outcome
      expect(error).toBeInstanceOf(NarrowAbortError)
      expect(error).toMatchObject({ cause: 'enough' })
      expect(getEventListeners(controller.signal, 'abort')).toEqual([])
      await closed
      expect(seen.length).toBe(1)
    })

    it('before the call sends nothing', async () => {
      const { narrow, seen } = await serve([ok])
      const error = await failureOf(narrow.actions.create(ACTION, { signal: AbortSignal.abort('early') }))
      expect(error).toMatchObject({ code: 'aborted', cause: 'early' })
      expect(seen.length).toBe(0)
    })

    it('stays possible with a fetch that ignores its signal', async () => {
      const controller = new AbortController()
      const deaf = () => new Promise<Response>(() => {})
      const narrow = connect({ apiKey: 'sk_test', baseUrl: 'http://127.0.0.1:1', fetch: deaf })
      const outcome = failureOf(narrow.actions.create(ACTION, { signal: controller.signal }))
      controller.abort('enough')
      expect(await outcome).toMatchObject({ code: 'aborted', cause: 'enough' })
    })

    it('leaves no listener behind after calls that were not aborted', async () => {
      const { narrow } = await serve([answer(503), ok])
      const { signal } = new AbortController()
      await narrow.actions.create(ACTION, { signal })
      expect(getEventListeners(signal, 'abort')).toEqual([])
      const pending = narrow.actions.create(ACTION, { signal })
      expect(getEventListeners(signal, 'abort').length).toBeLessThanOrEqual(1)
      await pending
      expect(getEventListeners(signal, 'abort')).toEqual([])
    })
  })

  describe('executing an action', () => {
    it('gives what the upstream answered, text as text', async () => {
      const plain: Step = (response) =>
        response.writeHead(200, { 'content-type': 'text/plain', ...passedOn(200) }).end('pong')
      const steps = [answer(200, { total: 3 }, passedOn(200)), plain, answer(204, {}, passedOn(204))]
      const { narrow, seen } = await serve(steps, { apiKey: TOKEN })
      expect(await narrow.execute<{ total: number }>('act_1', { amount: 1 })).toEqual({ total: 3 })
      expect(await narrow.execute('act_1')).toBe('pong')
      expect(await narrow.execute('act_1')).toBeUndefined()
      expect(seen.map(({ method, url, body }) => [method, url, body])).toEqual([
        ['POST', '/x/act_1', '{"amount":1}'],
        ['POST', '/x/act_1', '{}'],
        ['POST', '/x/act_1', '{}'],
      ])
    })

    it.each([302, 404, 429, 500, 503])(
      'throws an upstream’s %i as such and never repeats it',
      async (status) => {
        const headers = { 'x-execution-id': 'exe_1', 'retry-after': '0', ...passedOn(status) }
        const told = { ...headers, 'x-should-retry': 'true', location: '/elsewhere' }
        const steps = [answer(status, { error: 'theirs' }, told), ok]
        const { narrow, seen } = await serve(steps, { apiKey: TOKEN })
        const error = await failureOf(narrow.execute('act_1', {}))
        expect(error).toBeInstanceOf(UpstreamResponseError)
        expect(error).not.toBeInstanceOf(NarrowApiError)
        expect(error).toMatchObject({
          status,
          executionId: 'exe_1',
          body: { error: 'theirs' },
          retryable: false,
        })
        expect(isNarrowError(error, 'upstream_response')).toBe(true)
        expect(seen.length).toBe(1)
      },
    )

    it('takes what stands in front of NarrowAPI for no upstream', async () => {
      const page =
        (status: number): Step =>
        (response) =>
          response
            .writeHead(status, { 'content-type': 'text/html', 'retry-after': '0' })
            .end('<h1>Hello</h1>')
      const steps = [page(502), page(503), page(504), answer(200, { id: 'a' }, passedOn(200))]
      const passing = await serve(steps, { apiKey: TOKEN, retries: 3 })
      expect(await passing.narrow.execute('act_1', {})).toEqual({ id: 'a' })
      expectOneKey(passing.seen, 4)
      for (const step of [page(200), answer(200, { id: 'a' }), answer(204), page(302), page(403)]) {
        const lasting = await serve([step], { apiKey: TOKEN })
        const error = await failureOf(lasting.narrow.execute('act_1', {}))
        expect(error).toBeInstanceOf(NarrowApiError)
        expect(error).not.toBeInstanceOf(UpstreamResponseError)
        expect(error).toMatchObject({
          code: 'unexpected_response',
          message: expect.stringContaining('baseUrl'),
          attempts: 1,
        })
      }
    })

    it('repeats refusals of NarrowAPI that pass, and only those', async () => {
      const ours = (status: number, code: string) =>
        refuse(status, code, { 'x-narrowapi-error': code, 'retry-after': '0' })
      const done = answer(200, { id: 'act_1' }, passedOn(200))
      const passing = await serve([ours(429, 'rate_limited'), ours(503, 'unavailable'), done], {
        apiKey: TOKEN,
      })
      expect(await passing.narrow.execute('act_1', {})).toEqual({ id: 'act_1' })
      expectOneKey(passing.seen, 3)
      const lasting = await serve([ours(504, 'upstream_timeout'), ok], { apiKey: TOKEN })
      const error = await failureOf(lasting.narrow.execute('act_1', {}))
      expect(error).toBeInstanceOf(NarrowApiError)
      expect(error).toMatchObject({ code: 'upstream_timeout', status: 504 })
      expect(lasting.seen.length).toBe(1)
    })
  })

  describe('lists', () => {
    const page = (data: string[], next: string | null): Step =>
      answer(200, {
        object: 'list',
        data: data.map((id) => ({ id })),
        has_more: next !== null,
        next_cursor: next,
      })
    const pages = [page(['a', 'b'], 'c1'), page([], 'c2'), page(['c'], null)]

    it('give their first page when awaited, and the next from it', async () => {
      const { narrow, seen } = await serve(pages)
      const first = await narrow.actions.list({ limit: 2 })
      expect(first).toEqual({
        object: 'list',
        data: [{ id: 'a' }, { id: 'b' }],
        has_more: true,
        next_cursor: 'c1',
      })
      const second = await first.nextPage()
      expect(second?.data).toEqual([])
      expect(seen.map(({ url }) => url)).toEqual([
        '/api/v1/actions?limit=2',
        '/api/v1/actions?limit=2&cursor=c1',
      ])
    })

    it('give every item of every page, over an empty one in the middle', async () => {
      const { narrow, seen } = await serve(pages)
      const ids: string[] = []
      for await (const { id } of narrow.actions.list()) ids.push(id)
      expect(ids).toEqual(['a', 'b', 'c'])
      expect(seen.length).toBe(3)
    })

    it('fetch no page twice for parallel calls of next', async () => {
      const { narrow, seen } = await serve(pages)
      const items = narrow.actions.list()[Symbol.asyncIterator]()
      const results = await Promise.all([1, 2, 3, 4].map(() => items.next()))
      expect(results.map(({ value }) => value?.id)).toEqual(['a', 'b', 'c', undefined])
      expect(seen.length).toBe(3)
    })

    it('start from a stored cursor, stop at the items wanted, and give pages', async () => {
      const { narrow, seen } = await serve(pages)
      expect(await narrow.actions.list({ cursor: 'stored' }).toArray({ max: 2 })).toEqual([
        { id: 'a' },
        { id: 'b' },
      ])
      expect(seen.map(({ url }) => url)).toEqual(['/api/v1/actions?cursor=stored'])
      const again = await serve(pages)
      let count = 0
      for await (const _ of again.narrow.actions.list().pages()) count++
      expect(count).toBe(3)
    })

    it('ask for one page ahead when that is wanted', async () => {
      const { narrow, seen } = await serve(pages)
      const items = narrow.actions.list({}, { prefetch: true })[Symbol.asyncIterator]()
      await items.next()
      await expect.poll(() => seen.length).toBe(2)
      expect([(await items.next()).value, (await items.next()).value]).toEqual([{ id: 'b' }, { id: 'c' }])
      expect((await items.next()).done).toBe(true)
      expect(seen.length).toBe(3)
    })

    it('ask again for a page that failed, the first one too', async () => {
      const failing = refuse(404, 'not_found')
      const { narrow, seen } = await serve([failing, pages[0] ?? failing, failing, page(['c'], null)])
      const items = narrow.actions.list()[Symbol.asyncIterator]()
      await expect(items.next()).rejects.toMatchObject({ code: 'not_found' })
      expect((await items.next()).value).toEqual({ id: 'a' })
      expect((await items.next()).value).toEqual({ id: 'b' })
      await expect(items.next()).rejects.toMatchObject({ code: 'not_found' })
      expect((await items.next()).value).toEqual({ id: 'c' })
      expect(await items.next()).toEqual({ done: true, value: undefined })
      expect(seen.length).toBe(4)
    })
  })

  describe('answers', () => {
    it('that redirect are not followed', async () => {
      const { narrow, seen } = await serve([answer(301, {}, { location: '/elsewhere' }), ok])
      expect(await failureOf(narrow.actions.create(ACTION))).toMatchObject({ status: 301 })
      expect(seen.length).toBe(1)
    })

    it('that refuse carry everything there is to know', async () => {
      const details = [{ field: 'name', message: 'Choose another name' }]
      const headers = {
        'x-request-id': 'req_1',
        'x-ratelimit-limit': '60',
        'x-ratelimit-remaining': '59',
        'x-ratelimit-reset': '1800000000',
      }
      const { narrow } = await serve([
        answer(422, { error: 'validation_failed', message: 'No', details, extra: 1 }, headers),
      ])
      expect(await failureOf(narrow.actions.create(ACTION))).toMatchObject({
        name: 'NarrowApiError',
        code: 'validation_failed',
        message: 'No',
        operation: 'actions.create',
        details,
        requestId: 'req_1',
        retryable: false,
        body: { extra: 1 },
        rateLimit: { limit: 60, remaining: 59 },
      })
    })

    it('whose headers a browser hides are understood from their body', async () => {
      const body = { error: 'rate_limited', message: 'Wait', request_id: 'req_1', retry_after_seconds: 90 }
      const { narrow, seen } = await serve([answer(429, body), ok])
      const error = await failureOf(narrow.actions.get('act_1'))
      expect(error).toMatchObject({ code: 'rate_limited', requestId: 'req_1', retryAfterMs: 90_000 })
      expect(seen.length).toBe(1)
    })

    it('whose error has no body still make a typed error', async () => {
      const { narrow } = await serve([(response) => response.writeHead(403).end('<h1>Forbidden</h1>')])
      expect(await failureOf(narrow.actions.get('act_1'))).toMatchObject({
        code: 'unexpected_response',
        status: 403,
        body: '<h1>Forbidden</h1>',
      })
    })

    it('to a withResponse alone reject once, with nothing left unhandled', async () => {
      const { narrow } = await serve([refuse(404, 'not_found')])
      const unhandled: unknown[] = []
      const listen = (error: unknown) => unhandled.push(error)
      process.on('unhandledRejection', listen)
      try {
        await expect(narrow.actions.get('act_1').withResponse()).rejects.toMatchObject({ code: 'not_found' })
        // Unhandled rejections are reported once the microtasks have run.
        await new Promise(setImmediate)
      } finally {
        process.off('unhandledRejection', listen)
      }
      expect(unhandled).toEqual([])
    })
  })
})
