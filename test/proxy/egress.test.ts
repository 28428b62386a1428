import { once } from 'node:events'
import { createServer as createHttpServer, type RequestListener } from 'node:http'
import { createServer as createHttpsServer } from 'node:https'
import { createServer as createTcpServer, type Server, type Socket } from 'node:net'
import { setImmediate as nextTurn } from 'node:timers/promises'
import { brotliCompressSync, deflateRawSync, deflateSync, gzipSync } from 'node:zlib'
import { afterEach, describe, expect, test, vi } from 'vitest'
import {
  checkTarget,
  Egress,
  type EgressOptions,
  parseEgressAllow,
  UpstreamFailure,
  type UpstreamRequest,
} from '../../server/src/proxy/egress.ts'
import { createCertificate } from '../support/certificate.ts'
import { hostileUrls } from '../support/hostile-urls.ts'

const cleanups: (() => unknown)[] = []
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup()
})

/** Listens on a loopback address and says at which port; counts the connections it got. */
const listen = async (server: Server, address = '127.0.0.1', port = 0) => {
  const sockets = new Set<Socket>()
  const seen = { connections: 0, open: () => sockets.size, port: 0 }
  server.on('connection', (socket) => {
    seen.connections += 1
    sockets.add(socket.on('error', () => {}))
    socket.on('close', () => sockets.delete(socket))
  })
  server.listen(port, address)
  await once(server, 'listening')
  cleanups.push(() => {
    for (const socket of sockets) socket.destroy()
    server.close()
  })
  const bound = server.address()
  seen.port = typeof bound === 'object' && bound !== null ? bound.port : 0
  return seen
}
const http = (listener: RequestListener, address?: string, port?: number) =>
  listen(createHttpServer(listener), address, port)

/** An upstream that answers raw bytes to whatever it is sent, then does what `after` says. */
const raw = (answer: string | Buffer, after: (socket: Socket) => void = () => {}) =>
  listen(
    createTcpServer((socket) => {
      socket.once('data', () => {
        socket.write(answer)
        after(socket)
      })
    }),
  )

const open = (options: Partial<EgressOptions> = {}) => {
  const egress = new Egress({ allow: parseEgressAllow('127.0.0.1'), ...options })
  cleanups.push(() => egress.close())
  return egress
}

const get = (origin: string, more: Partial<UpstreamRequest> = {}): UpstreamRequest => ({
  origin,
  method: 'GET',
  path: '/',
  headers: [],
  body: null,
  timeoutMs: 5_000,
  maxBytes: 100_000,
  ...more,
})
const at = (upstream: { port: number }, more: Partial<UpstreamRequest> = {}) =>
  get(`http://127.0.0.1:${upstream.port}`, more)

const failure = async (call: Promise<unknown>): Promise<UpstreamFailure> => {
  const error = await call.then(
    () => new Error('the call succeeded'),
    (thrown: unknown) => thrown,
  )
  if (error instanceof UpstreamFailure) return error
  throw error
}
const resolvesTo = (...addresses: string[]): NonNullable<EgressOptions['lookup']> => {
  return async () => addresses.map((address) => ({ address, family: address.includes(':') ? 6 : 4 }))
}

describe('an answer', () => {
  test('comes back with its status, headers, body and size, and the request arrived as it was given', async () => {
    const upstream = await http((request, response) => {
      const chunks: Buffer[] = []
      request.on('data', (chunk: Buffer) => chunks.push(chunk))
      request.on('end', () => {
        response.writeHead(418, { 'X-Kind': 'teapot', 'Set-Cookie': ['a=1', 'b=2'] })
        const { method, url, headers } = request
        response.end(JSON.stringify({ method, url, headers, body: Buffer.concat(chunks).toString() }))
      })
    })
    const answer = await open().send(
      at(upstream, {
        method: 'POST',
        path: '/a%20b?c=d',
        headers: ['x-one', '1', 'content-type', 'text/plain'],
        body: 'ünï',
      }),
    )
    expect(answer).toMatchObject({ status: 418, truncated: false, bytes: answer.body.length })
    expect(answer.headers).toContainEqual(['x-kind', 'teapot'])
    expect(answer.headers.filter(([name]) => name === 'set-cookie')).toEqual([
      ['set-cookie', 'a=1'],
      ['set-cookie', 'b=2'],
    ])
    expect(JSON.parse(answer.body.toString())).toMatchObject({
      method: 'POST',
      url: '/a%20b?c=d',
      body: 'ünï',
      headers: { 'x-one': '1', host: `127.0.0.1:${upstream.port}`, 'accept-encoding': 'identity' },
    })
  })

  test('comes over a connection that is kept for the next call', async () => {
    const upstream = await http((_request, response) => response.end('ok'))
    const egress = open()
    for (let i = 0; i < 20; i += 1) await egress.send(at(upstream))
    // Two, because a connection is not free again in the very tick in which its answer ends.
    expect(upstream.connections).toBeLessThanOrEqual(2)
  })

  test('counts for itself on a connection that has carried many', async () => {
    const body = Buffer.alloc(8_000_000, 'a')
    const upstream = await http((_request, response) => response.end(body))
    const egress = open()
    for (let i = 0; i < 8; i += 1) {
      const { bytes } = await egress.send(at(upstream, { maxBytes: 10_000_000 }))
      expect(bytes).toBe(body.length)
    }
    expect(upstream.connections).toBeLessThanOrEqual(2)
  })

  test('is the same origin however the host is written', async () => {
    const upstream = await http((request, response) => response.end(request.headers.host))
    const egress = open({ allow: parseEgressAllow('crm.example.com'), lookup: resolvesTo('127.0.0.1') })
    for (const host of ['crm.example.com', 'CRM.example.com', 'crm.example.com.']) {
      const { body } = await egress.send(get(`http://${host}:${upstream.port}`))
      expect(body.toString()).toBe(`crm.example.com:${upstream.port}`)
    }
    expect(upstream.connections).toBeLessThanOrEqual(2)
  })

  test.each([
    ['gzip', gzipSync],
    ['deflate', deflateSync],
    ['deflate', deflateRawSync],
    ['br', brotliCompressSync],
  ] as const)('is decoded when the upstream sends %s unasked', async (coding, encode) => {
    const upstream = await http((_request, response) => {
      response.writeHead(200, { 'content-encoding': coding })
      response.end(encode('plain text'))
    })
    const { body, headers } = await open().send(at(upstream))
    expect(body.toString()).toBe('plain text')
    expect(headers.map(([name]) => name)).not.toContain('content-encoding')
  })

  test.each([
    ['gzip', gzipSync(Buffer.alloc(100_000_000))],
    ['br', brotliCompressSync(Buffer.alloc(100_000_000))],
  ])('of a %s bomb is cut at the limit', async (coding, bomb) => {
    const upstream = await http((_request, response) => {
      response.writeHead(200, { 'content-encoding': coding })
      response.end(bomb)
    })
    const before = process.memoryUsage().rss
    const { body, truncated } = await open().send(at(upstream, { maxBytes: 250_000 }))
    expect(truncated).toBe(true)
    expect(body).toEqual(Buffer.alloc(250_000))
    expect(process.memoryUsage().rss - before).toBeLessThan(50_000_000)
  })

  test('whose encoded body is cut holds what could be decoded', async () => {
    const text = Array.from({ length: 20_000 }, (_, i) => `${i}:${Math.sin(i)}`).join()
    const upstream = await http((_request, response) => {
      response.writeHead(200, { 'content-encoding': 'gzip' })
      response.end(gzipSync(text))
    })
    const { body, truncated } = await open().send(at(upstream, { maxBytes: 10_000 }))
    expect(truncated).toBe(true)
    expect(body.length).toBe(10_000)
    expect(text.startsWith(body.toString())).toBe(true)
  })

  test.each([
    ['an unknown coding', 'zstd', Buffer.from('x')],
    ['two codings', 'gzip, br', gzipSync('x')],
    ['a coding it does not have', 'gzip', Buffer.from('plain')],
    ['half a gzip stream', 'gzip', gzipSync('plain text').subarray(0, 15)],
  ])('with %s is unusable', async (_name, coding, body) => {
    const upstream = await http((_request, response) => {
      response.writeHead(200, { 'content-encoding': coding })
      response.end(body)
    })
    expect(await failure(open().send(at(upstream)))).toMatchObject({ reason: 'invalid', sent: true })
  })

  test('of exactly the limit is whole, of one byte more is cut', async () => {
    const upstream = await http((request, response) =>
      response.end('x'.repeat(Number(request.url?.slice(1)))),
    )
    const egress = open()
    expect(await egress.send(at(upstream, { path: '/1000', maxBytes: 1000 }))).toMatchObject({
      truncated: false,
    })
    const cut = await egress.send(at(upstream, { path: '/1001', maxBytes: 1000 }))
    expect([cut.truncated, cut.body.length]).toEqual([true, 1000])
  })

  test.each([
    [
      'endless chunks',
      'HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n',
      `10000\r\n${'x'.repeat(65_536)}\r\n`,
    ],
    ['a gigabyte', 'HTTP/1.1 200 OK\r\ncontent-length: 1000000000\r\n\r\n', 'x'.repeat(65_536)],
    ['no length at all', 'HTTP/1.1 200 OK\r\n\r\n', 'x'.repeat(65_536)],
    [
      'a byte per chunk',
      'HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n',
      '1\r\nx\r\n'.repeat(10_000),
    ],
  ])('with %s is cut and its connection closed', async (_name, head, part) => {
    const closed = Promise.withResolvers<void>()
    const upstream = await raw(head, (socket) => {
      socket.on('close', () => closed.resolve())
      const pour = () => {
        while (!socket.destroyed && socket.write(part));
      }
      socket.on('drain', pour)
      pour()
    })
    const before = process.memoryUsage().rss
    const answer = await open().send(at(upstream, { maxBytes: 1_000_000 }))
    expect([answer.truncated, answer.body.length]).toEqual([true, 1_000_000])
    expect(process.memoryUsage().rss - before).toBeLessThan(50_000_000)
    await closed.promise
  })

  test.each(['204 No Content', '304 Not Modified'])(
    'of status %s has no body, whatever follows',
    async (status) => {
      const upstream = await raw(`HTTP/1.1 ${status}\r\ncontent-length: 5\r\n\r\nhello`)
      const egress = open()
      const { body, status: code } = await egress.send(at(upstream))
      expect([code, body.length]).toEqual([Number.parseInt(status, 10), 0])
      expect((await egress.send(at(upstream))).status).toBe(code)
    },
  )

  test('to HEAD has no body, whatever follows', async () => {
    const upstream = await raw('HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello')
    const { body } = await open().send(at(upstream, { method: 'HEAD' }))
    expect(body.length).toBe(0)
  })

  test('that comes before the body was read counts', async () => {
    const upstream = await raw('HTTP/1.1 413 Too Large\r\ncontent-length: 0\r\nconnection: close\r\n\r\n')
    const call = open().send(at(upstream, { method: 'POST', body: Buffer.alloc(5_000_000) }))
    expect((await call).status).toBe(413)
  })

  test('may follow a few early hints', async () => {
    const hints = 'HTTP/1.1 103 Early Hints\r\nlink: <http://127.0.0.1/x>; rel=preload\r\n\r\n'.repeat(3)
    const upstream = await raw(`${hints}HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok`)
    expect((await open().send(at(upstream))).body.toString()).toBe('ok')
    expect(upstream.connections).toBe(1)
  })

  test('of any bytes comes back as those bytes', async () => {
    const bytes = Buffer.from([0xef, 0xbb, 0xbf, 0x00, 0xff, 0xfe, 0xed, 0xa0, 0x80, 0x7b])
    const upstream = await http((_request, response) => response.end(bytes))
    expect((await open().send(at(upstream))).body).toEqual(bytes)
  })
})

describe('an unusable answer', () => {
  const head = 'HTTP/1.1 200 OK\r\n'
  test.each([
    ['is not HTTP', 'SSH-2.0-OpenSSH_9.2\r\n'],
    ['is TLS', Buffer.from('15030100020228', 'hex')],
    ['has a broken status line', 'HTTP/1.1 OK\r\n\r\n'],
    ['has a bare CR in a value', `${head}x-a: b\rc: d\r\n\r\n`],
    ['has a NUL in a value', `${head}x-a: b\0c\r\n\r\n`],
    ['has a space before the colon', `${head}x-a : b\r\n\r\n`],
    ['has two lengths', `${head}content-length: 1\r\ncontent-length: 2\r\n\r\nab`],
    ['has a length and chunks', `${head}content-length: 1\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n`],
    ['has a negative length', `${head}content-length: -1\r\n\r\n`],
    ['has a bad chunk size', `${head}transfer-encoding: chunked\r\n\r\nxyz\r\n`],
    ['has 64 kB of headers', `${head}x-a: ${'a'.repeat(65_536)}\r\n\r\n`],
    ['has a thousand cookies', `${head}${'set-cookie: a\r\n'.repeat(1_000)}\r\n`],
    ['switches protocols', 'HTTP/1.1 101 Switching\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n'],
    ['never ends its early hints', 'HTTP/1.1 103 Early Hints\r\n\r\n'.repeat(1_000)],
  ])('that %s is said to be invalid', async (_name, answer) => {
    const upstream = await raw(answer)
    expect(await failure(open().send(at(upstream)))).toMatchObject({ reason: 'invalid', sent: true })
    expect(upstream.connections).toBe(1)
  })

  test.each([
    ['mid-body', `${head}content-length: 100\r\n\r\nhalf`],
    ['mid-chunk', `${head}transfer-encoding: chunked\r\n\r\n10\r\nhalf`],
    ['mid-header', `${head}x-a: b`],
  ])('that ends %s is said to be invalid and is not asked for again', async (_name, answer) => {
    const upstream = await raw(answer, (socket) => socket.end())
    expect(await failure(open().send(at(upstream)))).toMatchObject({ reason: 'invalid', sent: true })
    expect(upstream.connections).toBe(1)
  })

  test('that brings bytes without end and no body is cut off, before its deadline', async () => {
    const upstream = await raw(`${head}transfer-encoding: chunked\r\n\r\n1;`, (socket) => {
      const more = () => {
        if (!socket.destroyed) socket.write(Buffer.alloc(65_536, 'a'), () => setImmediate(more))
      }
      more()
    })
    expect(await failure(open().send(at(upstream, { timeoutMs: 25_000 })))).toMatchObject({
      reason: 'invalid',
      sent: true,
      code: 'TOO_MANY_BYTES',
    })
  })

  test('that is no answer leaves the outcome unknown, and the request is not sent again', async () => {
    const upstream = await raw('', (socket) => socket.destroy())
    expect(await failure(open().send(at(upstream)))).toMatchObject({ reason: 'unreachable', sent: true })
    expect(upstream.connections).toBe(1)
  })
})

describe('time', () => {
  const slow = (after: (socket: Socket) => void, answer = '') => raw(answer, after)
  const drip = (text: string) => (socket: Socket) => {
    const timer = setInterval(() => socket.write(text), 20)
    socket.on('close', () => clearInterval(timer))
  }

  test.each([
    ['says nothing', () => slow(() => {})],
    ['stops after the headers', () => slow(() => {}, 'HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n')],
    ['stops within the headers', () => slow(() => {}, 'HTTP/1.1 200 OK\r\nx-a')],
    ['trickles headers', () => slow(drip('x'), 'HTTP/1.1 200 OK\r\nx-a: ')],
    ['trickles a body', () => slow(drip('x'), 'HTTP/1.1 200 OK\r\ncontent-length: 99999\r\n\r\n')],
  ])('ends a call when the upstream %s, and its connection', async (_name, start) => {
    const upstream = await start()
    const started = performance.now()
    const timedOut = await failure(open().send(at(upstream, { timeoutMs: 150 })))
    expect(timedOut).toMatchObject({ reason: 'timeout', sent: true })
    expect(performance.now() - started).toBeLessThan(3_000)
  })

  test('ends a call whose TLS handshake never finishes, before anything was sent', async () => {
    const upstream = await listen(createTcpServer(() => {}))
    const call = open().send(get(`https://127.0.0.1:${upstream.port}`, { timeoutMs: 150 }))
    expect(await failure(call)).toMatchObject({ reason: 'timeout', sent: false })
  })

  test('ends a call whose name is never resolved', async () => {
    const egress = open({ lookup: () => new Promise(() => {}) })
    const call = egress.send(get('https://slow.example.com', { timeoutMs: 150 }))
    expect(await failure(call)).toMatchObject({ reason: 'timeout', sent: false })
  })

  test('ends a call that waits for a free connection, without closing the one it gets later', async () => {
    const gate = Promise.withResolvers<void>()
    const upstream = await http(async (_request, response) => {
      await gate.promise
      response.end('ok')
    })
    const egress = open()
    const busy = Array.from({ length: 128 }, () => egress.send(at(upstream)))
    const late = await failure(egress.send(at(upstream, { timeoutMs: 150 })))
    expect(late).toMatchObject({ reason: 'timeout', sent: false })
    gate.resolve()
    await Promise.all(busy)
    expect((await egress.send(at(upstream))).body.toString()).toBe('ok')
    expect(upstream.connections).toBe(128)
  })

  test('is ended by the caller: before it starts, and while it runs', async () => {
    const closed = Promise.withResolvers<void>()
    const arrived = Promise.withResolvers<void>()
    const upstream = await raw('', (socket) => {
      socket.on('close', () => closed.resolve())
      arrived.resolve()
    })
    const egress = open()
    const early = egress.send(at(upstream, { signal: AbortSignal.abort() }))
    expect(await failure(early)).toMatchObject({ reason: 'aborted', sent: false })

    const controller = new AbortController()
    const running = failure(egress.send(at(upstream, { signal: controller.signal })))
    await arrived.promise
    controller.abort()
    expect(await running).toMatchObject({ reason: 'aborted', sent: true })
    await closed.promise
    expect(upstream.connections).toBe(1)
  })
})

describe('a request that cannot be sent', () => {
  test.each<[string, Partial<UpstreamRequest>]>([
    ['a line break in a header value', { headers: ['x-a', 'b\r\nx-evil: 1'] }],
    ['a bare line feed in a header value', { headers: ['x-a', 'b\nc'] }],
    ['a NUL in a header value', { headers: ['x-a', 'b\0c'] }],
    ['text beyond Latin-1 in a header value', { headers: ['x-a', '\u0141'] }],
    ['a line break in a header name', { headers: ['x-a\r\nx-evil', '1'] }],
    ['a line break in the path', { path: '/a HTTP/1.1\r\nx-evil: 1' }],
    ['a space in the path', { path: '/a b' }],
    ['an absolute path', { path: 'http://127.0.0.2/' }],
    ['no leading slash', { path: 'a' }],
    ['a broken method', { method: 'GET /x HTTP/1.1\r\n' }],
    ['CONNECT', { method: 'CONNECT' }],
    ['its own host', { headers: ['HOST', 'internal'] }],
    ['a transfer coding', { headers: ['Transfer-Encoding', 'chunked'] }],
    ['an upgrade', { headers: ['Connection', 'upgrade', 'Upgrade', 'websocket'] }],
    ['a wrong length', { method: 'POST', headers: ['content-length', '9'], body: 'short' }],
  ])('for %s is refused before anything leaves', async (_name, more) => {
    const got: string[] = []
    const upstream = await http((request, response) => {
      got.push(request.method ?? '')
      response.end()
    })
    const egress = open()
    expect(await failure(egress.send(at(upstream, more)))).toMatchObject({ reason: 'invalid', sent: false })
    await egress.send(at(upstream, { method: 'PUT' }))
    expect(got).toEqual(['PUT'])
  })
})

describe('an upstream that cannot be reached', () => {
  test('because nothing listens, has not been sent anything', async () => {
    const { port } = await raw('')
    for (const cleanup of cleanups.splice(0)) await cleanup()
    const refused = await failure(open().send(at({ port })))
    expect(refused).toMatchObject({ reason: 'unreachable', sent: false, code: 'ECONNREFUSED' })
  })

  test.each(['ENOTFOUND', 'ESERVFAIL', 'ETIMEOUT'])(
    'because its name ends in %s, is unreachable',
    async (code) => {
      const lookup = () => Promise.reject(Object.assign(new Error(`query ${code} at 10.0.0.53`), { code }))
      const lost = await failure(open({ lookup }).send(get('https://lost.example.com')))
      expect(lost).toMatchObject({ reason: 'unreachable', sent: false, code })
    },
  )

  test('because its name has no address, is unreachable', async () => {
    const lost = await failure(open({ lookup: resolvesTo() }).send(get('https://lost.example.com')))
    expect(lost).toMatchObject({ reason: 'unreachable', sent: false })
  })

  test('because it speaks no TLS, has not been sent anything', async () => {
    const upstream = await http((_request, response) => response.end())
    const call = open().send(get(`https://127.0.0.1:${upstream.port}`, { headers: ['x-secret', 's3cret'] }))
    expect(await failure(call)).toMatchObject({ reason: 'unreachable', sent: false })
  })
})

describe('TLS', () => {
  const name = 'api.example.com'
  const serve = (certificate = createCertificate(name)) => {
    const got: string[] = []
    const server = createHttpsServer(certificate, (request, response) => {
      got.push(request.url ?? '')
      response.end('ok')
    })
    return listen(server).then(({ port }) => ({ port, got, ca: [certificate.cert] }))
  }
  const options = { allow: parseEgressAllow('127.0.0.1'), lookup: resolvesTo('127.0.0.1') }

  test('is spoken with an upstream whose certificate is trusted', async () => {
    const { port, ca } = await serve()
    const egress = open({ ...options, ca })
    expect((await egress.send(get(`https://${name}:${port}`))).status).toBe(200)
    expect((await egress.send(get(`https://${name.toUpperCase()}.:${port}`))).status).toBe(200)
  })

  test.each([
    ['self-signed', () => serve(), name, false, 'DEPTH_ZERO_SELF_SIGNED_CERT'],
    ['expired', () => serve(createCertificate(name, { expired: true })), name, true, 'CERT_HAS_EXPIRED'],
    ['for another name', () => serve(), 'www.example.com', true, 'ERR_TLS_CERT_ALTNAME_INVALID'],
  ])(
    'refuses a certificate that is %s before anything is sent',
    async (_name, start, host, trusted, code) => {
      const { port, got, ca } = await start()
      const egress = open({ ...options, ...(trusted && { ca }) })
      process.env.NODE_TLS_REJECT_UNAUTHORIZED = '0'
      cleanups.push(() => {
        delete process.env.NODE_TLS_REJECT_UNAUTHORIZED
      })
      const refused = await failure(egress.send(get(`https://${host}:${port}`)))
      expect(refused).toMatchObject({ reason: 'unreachable', sent: false, code })
      expect(got).toEqual([])
    },
  )
})

describe('the guard', () => {
  const canary = async (address = '127.0.0.1', port = 0) =>
    http((_request, response) => response.end('hit'), address, port)

  const store = (url: string) => () => checkTarget(url, [])

  test.each(hostileUrls.filter(({ stage }) => stage === 'create'))(
    'neither stores nor dials $class $url',
    async ({ url }) => {
      expect(store(url)).toThrow(expect.objectContaining({ code: 'validation_failed' }))
      const lookup = () => Promise.reject(new Error('a refused text is not resolved'))
      const refused = await failure(open({ allow: [], lookup }).send(get(url)))
      expect(refused).toMatchObject({ reason: 'blocked', sent: false })
    },
  )

  test.each(hostileUrls.filter(({ stage }) => stage === 'connect'))(
    'stores but never dials $url',
    async (entry) => {
      expect(store(entry.url)).not.toThrow()
      if (!('answers' in entry)) return // the redirects are sent below, from a real upstream
      const egress = open({ allow: [], lookup: resolvesTo(...entry.answers) })
      const refused = await failure(egress.send(get(new URL(entry.url).origin)))
      expect(refused).toMatchObject({ reason: 'blocked', sent: false })
    },
  )

  test.each(hostileUrls.filter(({ stage }) => stage === 'allow'))('stores $url', ({ url }) => {
    expect(store(url)).not.toThrow()
  })

  test('is tried with enough of each kind', () => {
    const count = (stage: string) => hostileUrls.filter((entry) => entry.stage === stage).length
    expect(count('create')).toBeGreaterThanOrEqual(146)
    expect(count('connect')).toBeGreaterThanOrEqual(36)
    expect(count('allow')).toBeGreaterThanOrEqual(11)
    expect(new Set(hostileUrls.map(({ url }) => url)).size).toBe(hostileUrls.length)
  })

  test('follows no redirect, nor any other hint to go elsewhere', async () => {
    const trap = await canary()
    const location = `http://127.0.0.1:${trap.port}/`
    const redirects = hostileUrls.flatMap((entry) => ('redirect' in entry ? [entry.redirect.status] : []))
    const upstream = await http((request, response) => {
      response.writeHead(Number(request.url?.slice(1)), {
        location,
        refresh: `0; url=${location}`,
        link: `<${location}>; rel=preload`,
        'alt-svc': `h2="127.0.0.1:${trap.port}"`,
      })
      response.end()
    })
    const egress = open()
    for (const status of [200, ...redirects]) {
      const answer = await egress.send(
        at(upstream, { path: `/${status}`, headers: ['authorization', 's3cret'] }),
      )
      expect(answer.status).toBe(status)
    }
    expect(redirects.length).toBe(5)
    expect(trap.connections).toBe(0)
  })

  test('dials the address it checked: a name that changes between two answers gains nothing', async () => {
    const honest = await http((_request, response) => {
      response.setHeader('connection', 'close')
      response.end('honest')
    }, '127.0.0.2')
    const trap = await canary('127.0.0.1', honest.port)
    let asked = 0
    const egress = open({
      allow: parseEgressAllow('127.0.0.2'),
      lookup: async () => {
        asked += 1
        return [{ address: asked % 2 === 1 ? '127.0.0.2' : '127.0.0.1', family: 4 }]
      },
    })
    const outcomes = new Map<string, number>()
    for (let i = 0; i < 200; i += 1) {
      const outcome = await egress.send(get(`http://rebind.example.com:${honest.port}`)).then(
        ({ body }) => body.toString(),
        (error: UpstreamFailure) => error.reason,
      )
      outcomes.set(outcome, (outcomes.get(outcome) ?? 0) + 1)
    }
    expect(Object.fromEntries(outcomes)).toEqual({ honest: 100, blocked: 100 })
    expect(asked).toBe(200)
    expect(trap.connections).toBe(0)
  })

  test('checks the name again for every connection, and keeps none for more than a minute', async () => {
    const upstream = await canary()
    let address = '127.0.0.1'
    const egress = open({ lookup: async () => [{ address, family: 4 }] })
    const request = get(`http://moves.example.com:${upstream.port}`)
    await egress.send(request)
    await nextTurn() // until the connection is free again
    address = '127.0.0.2'
    expect((await egress.send(request)).status).toBe(200)
    await nextTurn()
    vi.useFakeTimers({ toFake: ['Date'], now: Date.now() + 61_000 })
    cleanups.push(() => vi.useRealTimers())
    expect(await failure(egress.send(request))).toMatchObject({ reason: 'blocked', sent: false })
  })

  test('dials only the allowed addresses of a mixed answer, also when those do not answer', async () => {
    const honest = await http((_request, response) => response.end('honest'), '127.0.0.2')
    const trap = await canary('127.0.0.1', honest.port)
    const mixed = ['127.0.0.1', '127.0.0.2', '::1', '::ffff:127.0.0.1']
    const url = `http://mixed.example.com:${honest.port}`
    const egress = open({ allow: parseEgressAllow('127.0.0.2'), lookup: resolvesTo(...mixed) })
    expect((await egress.send(get(url))).body.toString()).toBe('honest')

    const silent = open({ allow: parseEgressAllow('127.0.0.3'), lookup: resolvesTo(...mixed, '127.0.0.3') })
    expect(await failure(silent.send(get(url)))).toMatchObject({ reason: 'unreachable', sent: false })
    expect(trap.connections).toBe(0)
  })

  test('tries a few addresses of an answer that holds a thousand', async () => {
    const last = await canary('127.0.9.9')
    const silent = Array.from({ length: 999 }, (_, n) => `127.1.${n >> 8}.${n & 255}`)
    const egress = open({
      allow: parseEgressAllow('127.0.0.0/8'),
      lookup: resolvesTo(...silent, '127.0.9.9'),
    })
    const refused = await failure(egress.send(get(`http://many.example.com:${last.port}`)))
    expect(refused).toMatchObject({ reason: 'unreachable', sent: false })
    expect(last.connections).toBe(0)
  })

  test('allows a name, a name with a port, and a range, and nothing beside them', async () => {
    const upstream = await canary()
    const lookup = resolvesTo('127.0.0.1')
    const url = `http://crm.example.com:${upstream.port}`
    for (const allow of ['crm.example.com', `crm.example.com:${upstream.port}`, '127.0.0.0/8']) {
      const egress = open({ allow: parseEgressAllow(allow), lookup })
      expect((await egress.send(get(url))).status).toBe(200)
    }
    for (const allow of ['', 'other.example.com', 'crm.example.com:1', '10.0.0.0/8', '127.0.0.1:1']) {
      const egress = open({ allow: parseEgressAllow(allow), lookup })
      expect(await failure(egress.send(get(url)))).toMatchObject({ reason: 'blocked', sent: false })
    }
    expect(upstream.connections).toBe(3)
  })

  test('resolves localhost and trusted names without a name server', async () => {
    const upstream = await canary()
    for (const allow of ['127.0.0.1', 'localhost']) {
      const egress = open({ allow: parseEgressAllow(allow) })
      expect((await egress.send(get(`http://localhost:${upstream.port}`))).status).toBe(200)
    }
  })

  test('never dials the server itself, even where everything is allowed', async () => {
    const self = await canary()
    const other = await canary()
    for (const address of ['127.0.0.1', '0.0.0.0', '::']) {
      const egress = open({
        allow: parseEgressAllow('0.0.0.0/0, ::/0, self.example.com'),
        lookup: resolvesTo('127.0.0.1'),
        ownAddresses: () => [{ address, port: self.port }],
      })
      for (const host of ['127.0.0.1', 'self.example.com', '0.0.0.0', '[::ffff:127.0.0.1]']) {
        const refused = await failure(egress.send(get(`http://${host}:${self.port}`)))
        expect(refused).toMatchObject({ reason: 'blocked', sent: false })
      }
      expect((await egress.send(get(`http://127.0.0.1:${other.port}`))).status).toBe(200)
    }
    expect(self.connections).toBe(0)
  })

  test('takes no proxy from the environment', async () => {
    const trap = await canary()
    const upstream = await canary()
    for (const name of ['HTTP_PROXY', 'http_proxy', 'ALL_PROXY', 'NODE_USE_ENV_PROXY']) {
      process.env[name] = name.startsWith('NODE') ? '1' : `http://127.0.0.1:${trap.port}`
      cleanups.push(() => {
        delete process.env[name]
      })
    }
    expect((await open().send(at(upstream))).status).toBe(200)
    expect(trap.connections).toBe(0)
  })

  test('says nothing of addresses, queries and header values in its errors', async () => {
    const upstream = await raw('HTTP/1.1 200 OK\r\nx-echo: s3cret\0\r\n\r\n')
    const dead = await raw('', (socket) => socket.destroy())
    const request = { path: '/?key=s3cret', headers: ['authorization', 's3cret'] }
    const egress = open({ lookup: resolvesTo('10.1.2.3') })
    const failures = [
      await failure(egress.send(at(upstream, request))),
      await failure(egress.send(at(dead, request))),
      await failure(egress.send(get('https://private.example.com', request))),
      await failure(egress.send(get('https://10.1.2.3', request))),
      await failure(egress.send(at(upstream, { ...request, headers: ['x-a', 's3cret\n'] }))),
    ]
    for (const error of failures) {
      const text = [error.message, error.code, error.cause, JSON.stringify(error)].join()
      expect(text).not.toMatch(/s3cret|10\.1\.2\.3|127\.0\.0\.1/)
    }
  })
})

describe('the door', () => {
  test('keeps a bounded number of origins', async () => {
    const upstream = await http((_request, response) => response.end('ok'))
    const lookup = resolvesTo('127.0.0.1')
    const egress = open({ lookup })
    for (let i = 0; i < 300; i += 1) {
      expect((await egress.send(get(`http://h${i}.example.com:${upstream.port}`))).status).toBe(200)
    }
    expect(upstream.connections).toBe(300)
    await expect.poll(upstream.open).toBeLessThanOrEqual(256)
  })

  test('finishes running calls when it is closed, and takes no more', async () => {
    const arrived = Promise.withResolvers<void>()
    const gate = Promise.withResolvers<void>()
    const upstream = await http(async (_request, response) => {
      arrived.resolve()
      await gate.promise
      response.end('ok')
    })
    const egress = open()
    const running = egress.send(at(upstream))
    await arrived.promise
    const closing = egress.close()
    expect(await failure(egress.send(at(upstream)))).toMatchObject({ reason: 'aborted', sent: false })
    gate.resolve()
    expect((await running).body.toString()).toBe('ok')
    await closing
  })

  test('serves a hundred calls at once while another upstream hangs', async () => {
    const hanging = await raw('')
    const upstream = await http((request, response) => response.end(request.url))
    const egress = open()
    const stuck = Array.from({ length: 100 }, () => failure(egress.send(at(hanging, { timeoutMs: 500 }))))
    const answers = await Promise.all(
      Array.from({ length: 100 }, (_, i) => egress.send(at(upstream, { path: `/${i}` }))),
    )
    expect(answers.map(({ body }) => body.toString())).toEqual(answers.map((_, i) => `/${i}`))
    expect((await Promise.all(stuck)).every(({ reason }) => reason === 'timeout')).toBe(true)
  })
})
