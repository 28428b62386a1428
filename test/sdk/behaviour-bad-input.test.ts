import { once } from 'node:events'
import { createServer, type RequestListener } from 'node:http'
import type { AddressInfo } from 'node:net'
import { inspect } from 'node:util'
import { gzipSync } from 'node:zlib'
import {
  type ClientOptions,
  type Middleware,
  NarrowAPI,
  NarrowApiError,
  NarrowError,
  NarrowResponseError,
  NarrowUsageError,
} from '@narrowapi/sdk'
import { actionsCreate, actionsGet, actionsList, createClient } from '@narrowapi/sdk/functions'
import { afterEach, describe, expect, it } from 'vitest'

const KEY = 'sk_test_thisIsTheSecret'
const TOKEN = 'sxt_test_thisIsTheSecret'

let stop = () => {}
afterEach(() => stop())

/** A real server, so that nothing here depends on how a stand-in for `fetch` would behave. */
const serve = async (listener: RequestListener = (_, response) => response.end('{}')) => {
  const seen: string[] = []
  const server = createServer((request, response) => {
    seen.push(`${request.method} ${request.url}`)
    listener(request, response)
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  stop = () => {
    server.closeAllConnections()
    server.close()
  }
  const baseUrl = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  const connect = (options: ClientOptions = {}) => new NarrowAPI({ apiKey: KEY, baseUrl, ...options })
  return { seen, connect, baseUrl, small: createClient({ apiKey: KEY, baseUrl }) }
}

/** What is thrown, at once or later; it must be one of ours, and hold no secret in anything it shows. */
const failureOf = async (call: () => unknown): Promise<NarrowError> => {
  try {
    await call()
  } catch (error) {
    expect(error).toBeInstanceOf(NarrowError)
    expect([inspect(error, { depth: 9 }), JSON.stringify(error), String(error)].join()).not.toContain(
      'thisIsTheSecret',
    )
    return error as NarrowError
  }
  return expect.fail('it did not fail')
}

const usage = async (call: () => unknown): Promise<string> => {
  const error = await failureOf(call)
  expect(error).toBeInstanceOf(NarrowUsageError)
  expect(error.code).toBe('invalid_usage')
  return error.message
}

/** What a program without types may pass. */
type Forgetful = (...args: Parameters<Middleware>) => void

/** The examples leave out what does not matter to them. */
const ACTION = { name: 'a' } as never

describe('a client refuses', () => {
  it('to call without a key, and says where to put one', async () => {
    const { seen, connect, baseUrl } = await serve()
    expect(await usage(() => connect({ apiKey: '' }).actions.get('act_1'))).toContain('NARROWAPI_API_KEY')
    expect(await usage(() => connect({ apiKey: () => '' }).actions.get('act_1'))).toContain('apiKey')
    expect(await usage(() => actionsGet(createClient({ apiKey: '', baseUrl }), 'act_1'))).toContain('apiKey')
    expect(seen).toEqual([])
  })

  it.each([
    'example.com',
    '/api',
    'ftp://example.com',
    'http://',
    'http://[::1',
    'http://user:thisIsTheSecret@example.com',
    'https://example.com?key=thisIsTheSecret',
    'https://example.com/#x',
    '',
  ])('the base URL %j', async (baseUrl) => {
    expect(await usage(() => new NarrowAPI({ apiKey: KEY, baseUrl }))).toContain(
      'baseUrl must be like https://',
    )
  })

  it('a token for the management API and a key for running actions', async () => {
    const { seen, connect } = await serve()
    expect(await usage(() => connect({ apiKey: TOKEN }).actions.list())).toContain('sk_')
    expect(await usage(() => connect({ apiKey: TOKEN }).secrets.create(ACTION))).toContain('sk_')
    expect(await usage(() => connect().execute('act_1'))).toContain('sxt_')
    expect(await usage(() => connect().x.manifest())).toContain('sxt_')
    expect(seen).toEqual([])
  })

  it.each([
    ['an option it does not know', { apikey: KEY }, 'there is no option "apikey"'],
    ['a timeout that is no number', { timeout: '5' }, 'timeout must be a number'],
    ['a timeout that is not a number', { timeout: Number.NaN }, 'timeout must be a number'],
    ['negative retries', { retries: -1 }, 'retries must be a number'],
    ['a key that is no text', { apiKey: { thisIsTheSecret: 1 } }, 'apiKey must be text or a function'],
    ['headers that are a list', { headers: [['a', 'thisIsTheSecret']] }, 'headers must be'],
    ['middleware that is no list', { middleware: () => {} }, 'middleware must be a list'],
    ['a level it does not know', { log: 'loud' }, 'log must be'],
    ['a fetch that is none', { fetch: 'fetch' }, 'fetch must be a function'],
  ])('%s', async (_, options, message) => {
    expect(await usage(() => new NarrowAPI(options as never))).toContain(message)
  })

  it.each([
    ['an option it does not know', { limit: 5 }, 'there is no option "limit"'],
    ['a signal that is none', { signal: {} }, 'signal must be an AbortSignal'],
    ['options of a client', { apiKey: KEY }, 'there is no option "apiKey"'],
    ['options that are none', 'thisIsTheSecret', 'options must be an object'],
    ['a header that cannot be sent', { headers: { 'x-a': 'thisIsTheSecret\r\nx-b: 1' } }, '"x-a"'],
    ['a header name that cannot be sent', { headers: { 'x a': '1' } }, '"x a"'],
    ['an idempotency key that cannot be sent', { idempotencyKey: 'ключ' }, '"idempotency-key"'],
  ])('a call with %s', async (_, options, message) => {
    const { seen, connect } = await serve()
    expect(await usage(() => connect().actions.create(ACTION, options as never))).toContain(message)
    expect(seen).toEqual([])
  })

  it('a key that no header can carry', async () => {
    const { seen, connect, baseUrl } = await serve()
    const apiKey = `${KEY}\r\nx-a: b`
    await usage(() => connect({ apiKey }).actions.get('act_1'))
    await usage(() => actionsGet(createClient({ apiKey, baseUrl }), 'act_1'))
    expect(seen).toEqual([])
  })

  it.each(['', '.', '..', '%2e', '%2E%2e', '%252e.', undefined, null, {}])(
    'the path parameter %j',
    async (id) => {
      const { seen, connect, small } = await serve()
      expect(await usage(() => connect().actions.get(id as never))).toContain('id must not be')
      expect(await usage(() => actionsGet(small, id as never))).toContain('id must not be')
      expect(seen).toEqual([])
    },
  )

  it('a lone surrogate in the path', async () => {
    const { seen, connect, small } = await serve()
    await usage(() => connect().actions.get('\ud800'))
    await usage(() => actionsGet(small, '\ud800'))
    await usage(() => actionsList(small, { search: '\ud800' }))
    expect(seen).toEqual([])
  })

  const cycle: { name: string; self?: unknown } = { name: 'a' }
  cycle.self = cycle
  it.each([
    ['a cycle', cycle, 'circular structure'],
    ['a BigInt', { amount: 1n }, 'BigInt'],
  ])('a body with %s', async (_, body, message) => {
    const { seen, connect, small } = await serve()
    const create = () => connect().actions.create(body as never)
    expect(await usage(create)).toContain(message)
    expect((await failureOf(create)).cause).toBeInstanceOf(TypeError)
    expect(await usage(() => actionsCreate(small, body as never))).toContain(message)
    expect(await usage(() => actionsList(small, body as never))).toContain(message)
    expect(seen).toEqual([])
  })

  it.each<[string, Middleware | Forgetful]>([
    ['gives nothing', async () => undefined as never],
    // Not waited for, so it must not fail after the end of the test either.
    ['forgets to give what it has', ((request, next) => void next(request).catch(() => {})) as Forgetful],
    ['forgets it later', (async (request, next) => void (await next(request))) as Forgetful],
    [
      'has read the body',
      async (request, next) => {
        const response = await next(request)
        await response.text()
        return response
      },
    ],
  ])('middleware that %s', async (_, middleware) => {
    const { seen, connect } = await serve()
    for (const onEvent of [undefined, () => {}]) {
      seen.length = 0
      const narrow = connect({ middleware: [middleware as Middleware], onEvent })
      expect(await usage(() => narrow.actions.create(ACTION))).toContain('clone')
      expect(seen.length).toBeLessThanOrEqual(1)
    }
  })

  it('a fetch that gives nothing, whoever watches', async () => {
    const { connect } = await serve()
    const fetch = async () => undefined as never
    for (const options of [{ fetch }, { fetch, onEvent: () => {} }, { fetch, log: 'debug' as const }]) {
      expect(await usage(() => connect(options).actions.get('act_1'))).toContain('clone')
    }
  })

  it('options that are none', async () => {
    expect(await usage(() => new NarrowAPI(null as never))).toContain('options must be an object')
  })

  it('to make a list of how many it is not told', async () => {
    const { connect, small } = await serve()
    for (const list of [connect().actions.list(), actionsList(small)]) {
      const toArray = list.toArray as () => Promise<unknown>
      expect(await usage(toArray)).toContain('needs { max }')
    }
  })

  it('to run an action without its id', async () => {
    const { seen, connect } = await serve()
    const narrow = connect({ apiKey: TOKEN })
    expect(await usage(() => narrow.x.execute(undefined as never, {}))).toContain('action_id must not be')
    expect(seen).toEqual([])
  })
})

describe('an answer', () => {
  it.each([
    ['that is a page of HTML', '<html>thisIsTheSecret', 'text/html'],
    ['whose JSON is broken', '{"id":"act_1', 'application/json'],
    ['that is empty', '', 'application/json'],
    ['that is null', 'null', 'application/json'],
    ['that is a number', '5', 'application/json'],
  ])('%s is a typed error that says where to look', async (_, body, type) => {
    const { seen, connect, small } = await serve((_, response) => {
      response.setHeader('content-type', type)
      // Whatever answers in the place of NarrowAPI may quote what it was sent.
      response.end(body.replace('thisIsTheSecret', KEY))
    })
    const calls = [
      () => connect().actions.get('act_1'),
      () => connect().actions.list(),
      () => actionsGet(small, 'act_1'),
      () => actionsList(small),
    ]
    for (const call of calls) {
      const error = await failureOf(call)
      expect(error).toBeInstanceOf(NarrowApiError)
      expect(error).toMatchObject({ code: 'unexpected_response', status: 200, attempts: 1, retryable: false })
      expect(error.message).toContain('baseUrl')
    }
    expect(seen.length).toBe(calls.length)
  })

  it.each<object>([
    { message: { text: 'no' }, request_id: 5, retry_after_seconds: '1 hour' },
    { message: ['no'], request_id: {}, retry_after_seconds: -1 },
    { message: 5, request_id: null, retry_after_seconds: null },
    { message: { toString: 1 }, request_id: 1, retry_after_seconds: { toString: 1, valueOf: 1 } },
    { message: null, request_id: [], retry_after_seconds: {} },
  ])('that refuses in the words of another API is a typed error: %j', async (body) => {
    const { connect, small } = await serve((_, response) => {
      response.writeHead(400, { 'content-type': 'application/json' })
      response.end(JSON.stringify({ error: {}, ...body }))
    })
    for (const call of [() => connect().actions.get('act_1'), () => actionsGet(small, 'act_1')]) {
      const error = await failureOf(call)
      expect(error).toMatchObject({ code: 'unexpected_response', status: 400 })
      expect(error.message).toContain('baseUrl')
      expect([error.requestId, error.retryAfterMs]).toEqual([undefined, undefined])
    }
  })

  it('to an execution that is broken JSON is a typed error with what came', async () => {
    const { connect } = await serve((_, response) => {
      response.writeHead(200, { 'content-type': 'application/json', 'x-upstream-status': '200' })
      response.end('{"total":')
    })
    const error = await failureOf(() => connect({ apiKey: TOKEN }).execute('act_1'))
    expect(error).toMatchObject({
      code: 'upstream_response',
      status: 200,
      body: '{"total":',
      retryable: false,
    })
  })

  it.each<[string, RequestListener]>([
    ['as it says beforehand', (_, response) => response.end(`"${'a'.repeat(2000)}"`)],
    [
      'as it turns out',
      (_, response) => {
        response.writeHead(200)
        const timer = setInterval(() => response.write('a'.repeat(100)), 1)
        response.on('close', () => clearInterval(timer))
      },
    ],
    [
      'once it is unpacked',
      (_, response) => {
        response.setHeader('content-encoding', 'gzip')
        response.end(gzipSync('a'.repeat(100_000)))
      },
    ],
  ])('larger than allowed, %s, is a typed error and is not read on', async (_, listener) => {
    const { seen, connect } = await serve(listener)
    const error = await failureOf(() => connect({ maxResponseBytes: 1000 }).actions.get('act_1'))
    expect(error).toBeInstanceOf(NarrowResponseError)
    expect(error).toMatchObject({ code: 'response_too_large', status: 200, retryable: false })
    expect(error.message).toContain('maxResponseBytes of 1000')
    expect(seen.length).toBe(1)
  })

  it('as large as allowed is read', async () => {
    const text = JSON.stringify({ id: 'a'.repeat(991) })
    const { connect } = await serve((_, response) => {
      response.writeHead(200)
      response.write(text.slice(0, 500))
      response.end(text.slice(500))
    })
    const size = Buffer.byteLength(text)
    expect(await connect({ maxResponseBytes: size }).actions.get('act_1')).toEqual(JSON.parse(text))
    await failureOf(() => connect({ maxResponseBytes: size - 1 }).actions.get('act_1'))
  })
})
