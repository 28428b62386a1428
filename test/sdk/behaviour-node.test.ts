import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { createServer, type RequestListener } from 'node:http'
import { createServer as createSecureServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import { setImmediate } from 'node:timers/promises'
import { brotliCompressSync, deflateSync, gzipSync } from 'node:zlib'
import { type ClientOptions, NarrowAPI, NarrowConnectionError, NarrowTimeoutError } from '@narrowapi/sdk'
import { actionsGet, createClient } from '@narrowapi/sdk/functions'
import { createNodeFetch } from '@narrowapi/sdk/node'
import { afterEach, describe, expect, it } from 'vitest'
import { createCertificate } from '../support/certificate.ts'

const fetch = createNodeFetch()
const oneSocket = createNodeFetch({ maxSockets: 1 })
let stop = () => {}
afterEach(() => {
  fetch.close()
  oneSocket.close()
  stop()
})

const serve = async (listener: RequestListener, options: ClientOptions = {}) => {
  let connections = 0
  const server = createServer(listener)
  server.on('connection', () => {
    connections++
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  stop = () => {
    server.closeAllConnections()
    server.close()
  }
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  const common = { apiKey: 'sk_test_0123456789', baseUrl: url, fetch }
  return {
    url,
    narrow: new NarrowAPI({ ...common, ...options }),
    small: createClient(common),
    countConnections: () => connections,
  }
}

const json: RequestListener = (_, response) => {
  response.writeHead(200, { 'content-type': 'application/json', 'x-request-id': 'req_1', 'x-a': ['b', 'c'] })
  response.end('{"id":"ä"}')
}

describe('the fetch over node:http', () => {
  it('keeps its connection from call to call', async () => {
    const { narrow, small, countConnections } = await serve(json)
    for (let call = 0; call < 5; call++) expect(await narrow.actions.get('act_1')).toEqual({ id: 'ä' })
    expect(await actionsGet(small, 'act_1')).toEqual({ id: 'ä' })
    expect(countConnections()).toBe(1)
  })

  it('sends the body and tells of the answer', async () => {
    const { narrow } = await serve((request, response) => {
      const { 'content-length': length, 'idempotency-key': key } = request.headers
      request.setEncoding('utf8')
      request.on('data', (body) => response.end(JSON.stringify({ body, length, key })))
    })
    const { data, response } = await narrow.actions.create({ name: 'ä' } as never).withResponse()
    expect(data).toEqual({ body: '{"name":"ä"}', length: '13', key: response.idempotencyKey })
  })

  it('retries what the global fetch would have failed at', async () => {
    let calls = 0
    const { narrow } = await serve((request, response) => {
      if (++calls === 2) request.socket.destroy()
      else json(request, response)
    })
    await narrow.actions.get('act_1')
    // On the connection that was kept, which the server now cuts.
    expect(await narrow.actions.get('act_1')).toEqual({ id: 'ä' })
    expect(calls).toBe(3)
  })

  it.each<[string, RequestListener]>([
    ['before the headers', (_, response) => response.socket?.destroy()],
    [
      'in the body',
      (_, response) => {
        response.writeHead(200, { 'content-length': 100 })
        response.write('{"id"', () => response.socket?.destroy())
      },
    ],
  ])('fails with a typed error when it is cut %s', async (_, listener) => {
    const { narrow } = await serve(listener, { retries: 0 })
    await expect(narrow.actions.get('act_1')).rejects.toBeInstanceOf(NarrowConnectionError)
  })

  it('closes the connection of a call that has had its time', async () => {
    const { narrow } = await serve(
      (request, response) => {
        response.writeHead(200, { 'content-length': 100 })
        response.write('{"id"')
        closed = once(request.socket, 'close')
      },
      { retries: 0, timeout: 200 },
    )
    let closed: Promise<unknown> = Promise.resolve()
    await expect(narrow.actions.get('act_1')).rejects.toBeInstanceOf(NarrowTimeoutError)
    await closed
  })

  it.each([
    ['gzip', gzipSync],
    ['GZIP', gzipSync],
    ['deflate', deflateSync],
    ['br', brotliCompressSync],
    ['gzip, br', (text: string) => brotliCompressSync(gzipSync(text))],
    ['constructor', Buffer.from],
  ])('unpacks %s', async (encoding, pack) => {
    const { narrow } = await serve((_, response) => {
      response.setHeader('content-encoding', encoding)
      response.end(pack('{"id":"ä"}'))
    })
    expect(await narrow.actions.get('act_1')).toEqual({ id: 'ä' })
  })

  it('refuses an answer that unpacks to more than allowed, and one that cannot be unpacked', async () => {
    const bodies = [gzipSync('a'.repeat(1_000_000)), Buffer.from('not gzip')]
    const { narrow } = await serve(
      (_, response) => {
        response.setHeader('content-encoding', 'gzip')
        response.end(bodies.shift())
      },
      { maxResponseBytes: 100_000, retries: 0 },
    )
    await expect(narrow.actions.get('act_1')).rejects.toMatchObject({ code: 'response_too_large' })
    await expect(narrow.actions.get('act_1')).rejects.toMatchObject({ code: 'connection_failed' })
  })

  it.each([204, 205, 304])('keeps its connection after a %i, which has no body', async (status) => {
    const { narrow, url, countConnections } = await serve(
      (_, response) => {
        // A proxy may say so of every answer.
        response.writeHead(status, { 'content-encoding': 'gzip' })
        response.end()
      },
      { fetch: oneSocket, timeout: 1000, retries: 0 },
    )
    for (let call = 0; call < 3; call++) {
      await narrow.secrets.delete('sec_1').catch((error) => expect(error).toMatchObject({ status }))
      expect(await (await oneSocket(url)).text()).toBe('')
      expect((await oneSocket(url)).body).toBeNull()
    }
    expect(countConnections()).toBe(1)
  })

  it.each([
    ['that unpacks to more than allowed', 'response_too_large', gzipSync(randomBytes(3_000_000))],
    ['that cannot be unpacked', 'connection_failed', randomBytes(3_000_000)],
  ])('frees the connection of an answer %s', async (_, code, body) => {
    const { narrow } = await serve(
      (request, response) => {
        if (!request.url?.endsWith('bad')) return json(request, response)
        response.setHeader('content-encoding', 'gzip')
        response.end(body)
      },
      { fetch: oneSocket, maxResponseBytes: 100_000, timeout: 1000, retries: 0 },
    )
    await expect(narrow.actions.get('bad')).rejects.toMatchObject({ code })
    expect(await narrow.actions.get('act_1')).toEqual({ id: 'ä' })
  })

  it('survives a compressed answer that nobody reads and that is cut', async () => {
    const packed = gzipSync('{"id":"b"}')
    let closed: Promise<unknown> = Promise.resolve()
    const { narrow } = await serve(
      (request, response) => {
        if (request.url?.endsWith('cut')) {
          closed = once(request.socket, 'close')
          response.writeHead(401, { 'content-encoding': 'gzip', 'content-length': 500 })
          response.write(packed.subarray(0, 12), () => setTimeout(() => request.socket.destroy(), 20))
        } else json(request, response)
      },
      {
        middleware: [
          async (request, next) => {
            const response = await next(request)
            await closed
            await setImmediate()
            return response.status === 401 ? next({ ...request, url: `${request.url}2` }) : response
          },
        ],
      },
    )
    expect(await narrow.actions.get('cut')).toEqual({ id: 'ä' })
  })

  it('refuses a Request, which it would not read', async () => {
    await expect(fetch(new Request('http://127.0.0.1/', { method: 'POST' }))).rejects.toThrow(/a URL/)
  })

  it('gives what is a Response to whoever looks closer', async () => {
    const { url } = await serve(json)
    const get = () => fetch(`${url}/any`)
    const response = await get()
    expect(response).toBeInstanceOf(Response)
    expect([response.ok, response.status, response.statusText, response.bodyUsed]).toEqual([
      true,
      200,
      'OK',
      false,
    ])
    expect(response.headers.get('X-Request-Id')).toBe('req_1')
    expect([...response.headers]).toContainEqual(['x-a', 'b, c'])
    expect(response.headers.has('x-nothing')).toBe(false)
    expect(response.headers.get('constructor')).toBeNull()
    expect(await response.clone().json()).toEqual({ id: 'ä' })
    expect(await response.text()).toBe('{"id":"ä"}')
    expect(response.bodyUsed).toBe(true)
    await expect(response.text()).rejects.toBeInstanceOf(TypeError)
    expect(await (await get()).json()).toEqual({ id: 'ä' })
    expect(Buffer.from(await (await get()).arrayBuffer()).toString()).toBe('{"id":"ä"}')
    expect(await (await (await get()).blob()).text()).toBe('{"id":"ä"}')
  })

  it('speaks TLS, and trusts no certificate it should not', async () => {
    const server = createSecureServer(createCertificate('localhost'), json)
    server.listen(0)
    await once(server, 'listening')
    stop = () => server.close()
    const baseUrl = `https://localhost:${(server.address() as AddressInfo).port}`
    const narrow = new NarrowAPI({ apiKey: 'sk_test', baseUrl, fetch, retries: 0 })
    await expect(narrow.actions.get('act_1')).rejects.toBeInstanceOf(NarrowConnectionError)
  })
})
