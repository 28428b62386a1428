import { request as httpRequest } from 'node:http'
import { ErrorBody } from '@narrowapi/contract'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { createHttpServer } from '../../server/src/http/server.ts'
import { type Exchange, exchange, request } from '../support/raw.ts'
import { startTestServer, type TestServer } from '../support/server.ts'

let server: TestServer
let authorization: string

beforeAll(async () => {
  server = await startTestServer()
  authorization = `Bearer ${server.owner.key}`
})

afterAll(() => server.stop())

const secretsWritten = async (): Promise<number> => {
  const [row] = await server.database.sql<{ count: number }[]>`select count(*)::int as count from secrets`
  return row?.count ?? -1
}

/** A request that must not be answered when it stands behind one that is not HTTP. */
const smuggled = 'GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n'
const host = 'Host: localhost\r\n'
const secret = '{"name":"smuggled","value":"smuggled-value-0123"}'

/** Heads and bodies that framing parsers disagree about. `AUTH` becomes a real key, so that only framing refuses. */
const malformed: [name: string, bytes: string][] = [
  [
    'a length and chunks',
    `POST /api/v1/secrets HTTP/1.1\r\n${host}AUTHContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n`,
  ],
  [
    'chunks and a length',
    `POST /api/v1/secrets HTTP/1.1\r\n${host}AUTHTransfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n`,
  ],
  [
    'two different lengths',
    `POST /api/v1/secrets HTTP/1.1\r\n${host}AUTHContent-Length: 5\r\nContent-Length: 6\r\n\r\nabcdef`,
  ],
  [
    'the same length twice',
    `POST /api/v1/secrets HTTP/1.1\r\n${host}AUTHContent-Length: 2\r\nContent-Length: 2\r\n\r\n{}`,
  ],
  ['a list of lengths', `POST /api/v1/secrets HTTP/1.1\r\n${host}AUTHContent-Length: 2, 2\r\n\r\n{}`],
  ['a negative length', `POST /api/v1/secrets HTTP/1.1\r\n${host}AUTHContent-Length: -2\r\n\r\n{}`],
  ['a signed length', `POST /api/v1/secrets HTTP/1.1\r\n${host}AUTHContent-Length: +2\r\n\r\n{}`],
  ['a hexadecimal length', `POST /api/v1/secrets HTTP/1.1\r\n${host}AUTHContent-Length: 0x2\r\n\r\n{}`],
  [
    'a decimal fraction as length',
    `POST /api/v1/secrets HTTP/1.1\r\n${host}AUTHContent-Length: 2.0\r\n\r\n{}`,
  ],
  [
    'a length with a space inside',
    `POST /api/v1/secrets HTTP/1.1\r\n${host}AUTHContent-Length: 1 2\r\n\r\n{}`,
  ],
  ['an empty length', `POST /api/v1/secrets HTTP/1.1\r\n${host}AUTHContent-Length:\r\n\r\n`],
  [
    'a length beyond 64 bits',
    `POST /api/v1/secrets HTTP/1.1\r\n${host}AUTHContent-Length: 99999999999999999999999\r\n\r\n{}`,
  ],
  [
    'an unknown transfer coding',
    `POST /api/v1/secrets HTTP/1.1\r\n${host}AUTHTransfer-Encoding: xchunked\r\n\r\n0\r\n\r\n`,
  ],
  [
    'identity as transfer coding',
    `POST /api/v1/secrets HTTP/1.1\r\n${host}AUTHTransfer-Encoding: identity\r\n\r\n`,
  ],
  [
    'chunked before another coding',
    `POST /api/v1/secrets HTTP/1.1\r\n${host}AUTHTransfer-Encoding: chunked, gzip\r\n\r\n0\r\n\r\n`,
  ],
  [
    'a tab before the coding and a length',
    `POST /api/v1/secrets HTTP/1.1\r\n${host}AUTHTransfer-Encoding:\tchunked\r\nContent-Length: 3\r\n\r\n0\r\n\r\n`,
  ],
  [
    'a chunk size that is no number',
    `POST /api/v1/secrets HTTP/1.1\r\n${host}AUTHTransfer-Encoding: chunked\r\n\r\nzz\r\n{}\r\n0\r\n\r\n`,
  ],
  [
    'a negative chunk size',
    `POST /api/v1/secrets HTTP/1.1\r\n${host}AUTHTransfer-Encoding: chunked\r\n\r\n-2\r\n{}\r\n0\r\n\r\n`,
  ],
  [
    'a chunk size with 0x',
    `POST /api/v1/secrets HTTP/1.1\r\n${host}AUTHTransfer-Encoding: chunked\r\n\r\n0x2\r\n{}\r\n0\r\n\r\n`,
  ],
  [
    'a chunk size beyond 64 bits',
    `POST /api/v1/secrets HTTP/1.1\r\n${host}AUTHTransfer-Encoding: chunked\r\n\r\nfffffffffffffffff\r\n{}\r\n0\r\n\r\n`,
  ],
  [
    'an empty chunk size',
    `POST /api/v1/secrets HTTP/1.1\r\n${host}AUTHTransfer-Encoding: chunked\r\n\r\n\r\n{}\r\n0\r\n\r\n`,
  ],
  [
    'a chunk longer than its size',
    `POST /api/v1/secrets HTTP/1.1\r\n${host}AUTHTransfer-Encoding: chunked\r\n\r\n1\r\n{}\r\n0\r\n\r\n`,
  ],
  [
    'a chunk ended by a bare line feed',
    `POST /api/v1/secrets HTTP/1.1\r\n${host}AUTHTransfer-Encoding: chunked\r\n\r\n2\n{}\n0\n\n`,
  ],
  [
    'a chunk extension with a line feed',
    `POST /api/v1/secrets HTTP/1.1\r\n${host}AUTHTransfer-Encoding: chunked\r\n\r\n2;a\nb\r\n{}\r\n0\r\n\r\n`,
  ],
  [
    'endless chunk extensions',
    `POST /api/v1/secrets HTTP/1.1\r\n${host}AUTHTransfer-Encoding: chunked\r\n\r\n2;${'a'.repeat(40_000)}\r\n{}\r\n0\r\n\r\n`,
  ],
  ['a folded header', `GET /api/v1/secrets HTTP/1.1\r\n${host}AUTHX-A: b\r\n c\r\n\r\n`],
  ['a folded first header', `GET /api/v1/secrets HTTP/1.1\r\n Host: localhost\r\n\r\n`],
  ['a space before the colon', `GET /api/v1/secrets HTTP/1.1\r\n${host}Content-Length : 0\r\n\r\n`],
  ['a header without a colon', `GET /api/v1/secrets HTTP/1.1\r\n${host}Nonsense\r\n\r\n`],
  ['a header without a name', `GET /api/v1/secrets HTTP/1.1\r\n${host}: nameless\r\n\r\n`],
  ['a bare carriage return in a value', `GET /api/v1/secrets HTTP/1.1\r\n${host}X-A: b\rX-B: c\r\n\r\n`],
  ['lines that end with a line feed only', `GET /api/v1/secrets HTTP/1.1\nHost: localhost\nX-A: b\n\n`],
  ['NUL in a value', `GET /api/v1/secrets HTTP/1.1\r\n${host}X-A: b\0c\r\n\r\n`],
  ['NUL in a name', `GET /api/v1/secrets HTTP/1.1\r\n${host}X-\0A: b\r\n\r\n`],
  ['NUL in the path', `GET /api/v1/\0secrets HTTP/1.1\r\n${host}\r\n`],
  ['a space in the path', `GET /api/v1/secrets /x HTTP/1.1\r\n${host}\r\n`],
  ['no version', `GET /api/v1/secrets\r\n${host}\r\n`],
  ['version 3.0', `GET /api/v1/secrets HTTP/3.0\r\n${host}\r\n`],
  ['version 1.2', `GET /api/v1/secrets HTTP/1.2\r\n${host}\r\n`],
  ['a version in lower case', `GET /api/v1/secrets http/1.1\r\n${host}\r\n`],
  ['an unknown method', `STEAL /api/v1/secrets HTTP/1.1\r\n${host}\r\n`],
  ['a method in lower case', `get /api/v1/secrets HTTP/1.1\r\n${host}\r\n`],
  ['no host', 'GET /api/v1/secrets HTTP/1.1\r\nAUTH\r\n'],
  ['two hosts', `GET /api/v1/secrets HTTP/1.1\r\n${host}${host}AUTH\r\n`],
  ['two credentials', `GET /api/v1/secrets HTTP/1.1\r\n${host}AUTHAUTH\r\n`],
  ['CONNECT', `CONNECT localhost:22 HTTP/1.1\r\n${host}\r\n`],
  ['TRACE', `TRACE /api/v1/secrets HTTP/1.1\r\n${host}AUTH\r\n`],
  ['the preface of HTTP/2', 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'],
  ['TLS', '\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03'],
  ['not HTTP at all', '\x00\x01\x02\x03\r\n\r\n'],
]

/** Answers that RFC 9110 lets a server give and go on, because the request itself was framed well. */
const wellFramed = new Set(['no host', 'two hosts', 'two credentials', 'TRACE'])

test.each(malformed)('refuses %s and answers nothing that stands behind it', async (name, text) => {
  const before = await secretsWritten()
  const bytes = `${text.replaceAll('AUTH', `Authorization: ${authorization}\r\n`)}`
  const inBody = request(
    'POST /api/v1/secrets',
    { Authorization: authorization, 'Content-Type': 'application/json' },
    secret,
  )
  const follower = wellFramed.has(name) ? '' : smuggled
  const { answers, closed } = await exchange(server.url, [
    Buffer.from(bytes + follower, 'latin1'),
    ...(follower ? [inBody] : []),
  ])
  expect(answers.length).toBeLessThanOrEqual(1)
  expect(closed || wellFramed.has(name)).toBe(true)
  for (const answer of answers) expectRefusal(answer)
  expect(await secretsWritten()).toBe(before)
})

test('answers a request in absolute form like one in origin form', async () => {
  const { answers } = await exchange(server.url, request(`GET ${server.url}/healthz`), { answers: 1 })
  expect(answers[0]?.status).toBe(200)
})

test.each([
  'GET http:// HTTP/1.1',
  'GET http://[::bad/healthz HTTP/1.1',
  'GET // HTTP/1.1',
  'GET //healthz HTTP/1.1',
  'GET ? HTTP/1.1',
  'GET /%zz HTTP/1.1',
  'GET /%ff HTTP/1.1',
  'GET /%00 HTTP/1.1',
  'GET /api/v1/actions/%E0%A4%A HTTP/1.1',
  'GET /x/%c0%af HTTP/1.1',
  'OPTIONS * HTTP/1.1',
  'GET * HTTP/1.1',
  'GET \xff\xfe HTTP/1.1',
])('answers the odd target of "%s" with a documented 4xx or closes', async (line) => {
  const { answers, closed } = await exchange(
    server.url,
    Buffer.from(`${line}\r\n${host}Authorization: ${authorization}\r\n\r\n`, 'latin1'),
    { answers: 1 },
  )
  if (answers.length === 0) expect(closed).toBe(true)
  for (const answer of answers) expectRefusal(answer)
})

test('answers pipelined requests in their order', async () => {
  const one = (id: string, path: string) =>
    request(`GET ${path}`, { Authorization: authorization, 'X-Request-ID': id })
  const { answers } = await exchange(
    server.url,
    Buffer.concat([
      one('first', '/api/v1/actions'),
      one('second', '/healthz'),
      one('third', '/api/v1/nothing'),
    ]),
    { answers: 3, quietMs: 3000 },
  )
  expect(answers.map(({ status, headers }) => [headers.get('x-request-id'), status])).toEqual([
    ['first', 200],
    ['second', 200],
    ['third', 404],
  ])
})

test('does not answer garbage in the place of the request before it', async () => {
  const good = request('GET /api/v1/actions', { Authorization: authorization, 'X-Request-ID': 'good' })
  const { answers, closed } = await exchange(
    server.url,
    Buffer.concat([good, Buffer.from('garbage\r\n\r\n')]),
  )
  expect(closed).toBe(true)
  for (const { status, headers } of answers)
    expect([status, headers.get('x-request-id')]).toEqual([200, 'good'])
})

test.each([
  ['a length that is too large', { 'Content-Length': String(20_000_000) }, 413],
  ['more chunks than allowed', { 'Transfer-Encoding': 'chunked' }, 413],
])(
  'refuses %s so that the caller can read the answer, and the connection stays clean',
  async (_, headers, status) => {
    const body = Buffer.alloc(20_000_000, 0x20)
    const isChunked = 'Transfer-Encoding' in headers
    const answer = await new Promise<{ status: number | undefined; text: string }>((resolve, reject) => {
      const req = httpRequest(
        `${server.url}/api/v1/secrets`,
        { method: 'POST', headers: { ...headers, authorization, 'content-type': 'application/json' } },
        (res) => {
          const chunks: Buffer[] = []
          res.on('data', (chunk: Buffer) => chunks.push(chunk))
          res.on('end', () => resolve({ status: res.statusCode, text: Buffer.concat(chunks).toString() }))
        },
      )
      req.on('error', reject)
      // Everything is written before anything is read, as a plain blocking client does.
      req.end(body)
    })
    expect(answer.status).toBe(status)
    expect(ErrorBody.parse(JSON.parse(answer.text)).error).toBe('payload_too_large')
    const head = `POST /api/v1/secrets HTTP/1.1\r\n${host}Authorization: ${authorization}\r\nContent-Type: application/json\r\n`
    const framed = isChunked
      ? [`${head}Transfer-Encoding: chunked\r\n\r\n${body.length.toString(16)}\r\n`, body, '\r\n0\r\n\r\n']
      : [`${head}Content-Length: ${body.length}\r\n\r\n`, body]
    const { answers, closed } = await exchange(server.url, [...framed, smuggled], {
      answers: 2,
      quietMs: 3000,
    })
    expect(answers[0]?.status).toBe(413)
    // Either the body was read to its end and the next request is answered, or the connection is over.
    expect(closed || answers[1]?.status === 200).toBe(true)
  },
)

test('asks for the body that waits for 100-continue, and refuses other expectations with 417', async () => {
  const head = (expectation: string) =>
    `POST /api/v1/secrets HTTP/1.1\r\n${host}Authorization: ${authorization}\r\nContent-Type: application/json\r\n` +
    `Content-Length: ${secret.length}\r\nExpect: ${expectation}\r\n\r\n`
  const continued = await exchange(server.url, [head('100-continue'), secret], { answers: 2, quietMs: 3000 })
  expect(continued.answers.map(({ status }) => status)).toEqual([100, 201])
  const refused = await exchange(server.url, [head('200-ok'), secret])
  expect(refused.answers.map(({ status }) => status)).toEqual([417])
  expect(refused.closed).toBe(true)
  refused.answers.forEach(expectRefusal)
})

test.each([
  ['5000 headers', `${Array.from({ length: 5000 }, (_, index) => `X-${index}: a\r\n`).join('')}`],
  ['200 kB of headers', `X-Large: ${'a'.repeat(200_000)}\r\n`],
])('refuses %s', async (_, headers) => {
  const result = await exchange(server.url, `GET /healthz HTTP/1.1\r\n${host}${headers}\r\n`)
  expectRefusedOrClosed(result, 431)
})

test('refuses a URL of 100 kB', async () => {
  const result = await exchange(server.url, `GET /${'a'.repeat(100_000)} HTTP/1.1\r\n${host}\r\n`)
  expectRefusedOrClosed(result, 431)
})

test.each([
  ['5 kB', 'a'.repeat(5000)],
  ['markup', '<script>alert(1)</script>'],
  ['an escape for a log', '\x1b[31mred'],
  ['percent-encoded line breaks', 'a%0d%0aSet-Cookie:%20a=b'],
  ['a quote that ends a JSON string', 'a","status":200,"b":"'],
  ['nothing', ''],
])('does not repeat an X-Request-ID of %s', async (_, id) => {
  const { answers, text } = await exchange(server.url, request('GET /healthz', { 'X-Request-ID': id }), {
    answers: 1,
  })
  expect(answers[0]?.headers.get('x-request-id')).toMatch(/^req_[0-9A-Za-z]{22}$/)
  if (id !== '') expect(text).not.toContain(id)
})

test('keeps a short plain X-Request-ID', async () => {
  const { answers } = await exchange(server.url, request('GET /healthz', { 'X-Request-ID': 'trace-1_A' }), {
    answers: 1,
  })
  expect(answers[0]?.headers.get('x-request-id')).toBe('trace-1_A')
})

test.each(['https://evil.example', 'null', 'http://localhost'])(
  'lets no page of %s use a credential',
  async (origin) => {
    const preflight = request('OPTIONS /api/v1/secrets', {
      Origin: origin,
      'Access-Control-Request-Method': 'POST',
      'Access-Control-Request-Headers': 'authorization',
    })
    const real = request('GET /api/v1/secrets', { Origin: origin, Authorization: authorization })
    for (const bytes of [preflight, real]) {
      const { answers } = await exchange(server.url, bytes, { answers: 1 })
      expect(answers).toHaveLength(1)
      expect(answers[0]?.headers.has('access-control-allow-credentials')).toBe(false)
      expect(answers[0]?.headers.has('access-control-allow-origin')).toBe(false)
    }
    const { answers } = await exchange(server.url, preflight, { answers: 1 })
    expect(answers[0]).toMatchObject({ status: 204, body: '' })
  },
)

test('writes nothing for a body that ends before its length, or in the middle of a chunk', async () => {
  const before = await secretsWritten()
  const head = `POST /api/v1/secrets HTTP/1.1\r\n${host}Authorization: ${authorization}\r\nContent-Type: application/json\r\n`
  const cut = [
    `${head}Content-Length: ${secret.length + 1}\r\n\r\n${secret}`,
    `${head}Content-Length: ${secret.length}\r\n\r\n${secret.slice(0, 10)}`,
    `${head}Transfer-Encoding: chunked\r\n\r\n${secret.length.toString(16)}\r\n${secret}`,
    `${head}Transfer-Encoding: chunked\r\n\r\n${secret.length.toString(16)}\r\n${secret}\r\n`,
    `${head}Transfer-Encoding: chunked\r\n\r\nff\r\n${secret}`,
  ]
  for (const bytes of cut) {
    const { answers } = await exchange(server.url, bytes, { end: true, quietMs: 1000 })
    for (const answer of answers) expectRefusal(answer)
  }
  expect(await secretsWritten()).toBe(before)
  const after = await exchange(server.url, request('GET /healthz'), { answers: 1 })
  expect(after.answers[0]?.status).toBe(200)
})

test('says every limit of waiting itself, far below the defaults of Node', () => {
  const limits = createHttpServer(server.deps)
  expect(limits.headersTimeout).toBeLessThanOrEqual(15_000)
  expect(limits.requestTimeout).toBeLessThanOrEqual(60_000)
  expect(limits.requestTimeout).toBeGreaterThan(limits.headersTimeout)
  expect(limits.keepAliveTimeout).toBeGreaterThanOrEqual(60_000)
})

test.each([
  ['headers', 'POST /slow HTTP/1.1\r\nHost: localhost\r\nX-A: '],
  ['bodies', 'POST /slow HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\n{'],
])('ends a connection for %s that come too slowly, with one 408', async (_, bytes) => {
  const slow = createHttpServer(server.deps, {
    headersTimeout: 200,
    requestTimeout: 400,
    connectionsCheckingInterval: 50,
  })
  // Nobody answers, as while a handler waits for the body.
  slow.on('request', (req) => req.resume())
  await new Promise<void>((resolve) => slow.listen(0, '127.0.0.1', resolve))
  const address = slow.address()
  const port = typeof address === 'object' ? address?.port : 0
  const { answers, closed } = await exchange(`http://127.0.0.1:${port}`, bytes, { quietMs: 5000 })
  expect(closed).toBe(true)
  expect(answers.map(({ status }) => status)).toEqual([408])
  answers.forEach(expectRefusal)
  await new Promise((resolve) => slow.close(resolve))
})

const expectRefusal = ({ status, headers, body }: Exchange['answers'][number]): void => {
  expect(status).toBeGreaterThanOrEqual(400)
  expect(status).toBeLessThan(500)
  const error = ErrorBody.strict().parse(JSON.parse(body))
  expect(error.request_id).toMatch(/^req_[0-9A-Za-z]{22}$/)
  expect(headers.get('x-request-id')).toBe(error.request_id)
  expect(headers.get('content-type')).toMatch(/^application\/json/)
}

const expectRefusedOrClosed = ({ answers, closed }: Exchange, status: number): void => {
  expect(closed).toBe(true)
  expect(answers.length).toBeLessThanOrEqual(1)
  for (const answer of answers) {
    expect(answer.status).toBe(status)
    expectRefusal(answer)
  }
}
