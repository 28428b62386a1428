import { readdir, readFile } from 'node:fs/promises'
import { connect, type Socket } from 'node:net'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { createEmptyDatabase, type TestDatabase } from '../support/database.ts'
import { exchange, request } from '../support/raw.ts'
import { ask } from '../support/send.ts'
import { ownerKeyOf, type ServerProcess, startProcess } from '../support/server-process.ts'
import { startUpstream, type Upstream } from '../support/upstream.ts'
import { until } from './callers.ts'
import { makeCallable } from './fleet.ts'

let database: TestDatabase
let server: ServerProcess
let upstream: Upstream
let key: string
let callable: { action: string; token: string }

beforeAll(async () => {
  database = await createEmptyDatabase()
  upstream = await startUpstream()
  server = await startProcess({ environment: { DATABASE_URL: database.url, LOG_LEVEL: 'warn' } })
  key = ownerKeyOf(server)
  callable = await makeCallable(server, upstream)
})

afterAll(async () => {
  await server.stop('SIGKILL')
  await upstream.stop()
  await database.drop()
})

const open = (count: number): Promise<Socket[]> =>
  Promise.all(
    Array.from(
      { length: count },
      () =>
        new Promise<Socket>((resolve, reject) => {
          const { hostname, port } = new URL(server.url)
          const socket = connect({ host: hostname, port: Number(port) })
          socket.once('error', reject)
          socket.once('connect', () => resolve(socket.off('error', reject).on('error', () => {})))
        }),
    ),
  )

/** Others are served as if nothing was. */
const servesOthers = async (): Promise<void> => {
  const answers = await Promise.all([
    ask(server.url, 'GET /api/v1/actions', { credential: key }),
    ask(server.url, `POST /x/${callable.action}`, { credential: callable.token, body: { n: 1 } }),
    ask(server.url, 'GET /readyz'),
  ])
  expect(answers.map(({ status }) => status)).toEqual([200, 200, 200])
}

const callHead = (length: number) =>
  `POST /x/${callable.action} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer ${callable.token}\r\n` +
  `Content-Type: application/json\r\nContent-Length: ${length}\r\n\r\n`

const megabytes = 1_048_576

const memory = async (): Promise<number> => {
  const status = await readFile(`/proc/${server.pid}/status`, 'utf8')
  return Number(/VmRSS:\s+(\d+) kB/.exec(status)?.[1]) * 1024
}

const openFiles = async (): Promise<number> => (await readdir(`/proc/${server.pid}/fd`)).length

/** Sends a piece now and then, as long as the other side listens; settles with all it got when that is over. */
const drip = (socket: Socket, pieces: Iterable<string>, everyMs: number): Promise<string> => {
  const source = pieces[Symbol.iterator]()
  let received = ''
  socket.setEncoding('latin1').on('data', (text: string) => {
    received += text
  })
  const timer = setInterval(() => {
    const next = source.next()
    if (!next.done && socket.writable) socket.write(next.value)
  }, everyMs)
  return new Promise((resolve) => {
    socket.once('close', () => {
      clearInterval(timer)
      resolve(received)
    })
  })
}

test.concurrent('heads that never end are answered 408 and closed, and others are served meanwhile', async () => {
  const sockets = await open(200)
  const head = [
    'GET / HTTP/1.1\r\n',
    'Host: localhost\r\n',
    ...Array.from({ length: 60 }, (_, n) => `X-${n}: 1\r\n`),
  ]
  const slow = sockets.map((socket) => drip(socket, head, 500))
  for (let round = 0; round < 5; round += 1) await servesOthers()
  // Ten seconds for a head and two until that is noticed.
  const answers = await Promise.all(slow)
  for (const answer of answers) expect(answer).toMatch(/^HTTP\/1\.1 408 .*"error":"invalid_request"/s)
})

test.concurrent('bodies that never end are answered 408 and closed, and nothing is sent upstream', async () => {
  const sockets = await open(50)
  const body = Array.from({ length: 100 }, () => ' ')
  const slow = sockets.map((socket) => drip(socket, [callHead(4_000), ...body], 500))
  for (let round = 0; round < 5; round += 1) await servesOthers()
  const before = upstream.received.filter(({ url }) => url !== '/1').length
  // Thirty seconds for a request and two until that is noticed.
  const answers = await Promise.all(slow)
  for (const answer of answers) expect(answer).toMatch(/^HTTP\/1\.1 408 /)
  expect(upstream.received.filter(({ url }) => url !== '/1')).toHaveLength(before)
})

test('callers that leave at every byte of a request leave nothing behind', async () => {
  await servesOthers()
  const bytes = Buffer.from(`${callHead(8)}{"n": 2}`)
  const before = await openFiles()
  for (let round = 0; round < 2; round += 1) {
    await Promise.all(
      Array.from(bytes, async (_, at) => {
        const [socket] = await open(1)
        socket?.write(bytes.subarray(0, at + 1), () => (at % 2 ? socket.destroy() : socket.resetAndDestroy()))
      }),
    )
    await servesOthers()
  }
  // Connections to the upstream and to the database may be a few more than before.
  await until('the connections are gone', async () => (await openFiles()) < before + 30)
  const [row] = await database.sql<{ left: number }[]>`
    select count(*)::int as left from executions where status = 'running'`
  expect(row?.left).toBe(0)
})

test('requests in one row are answered in their order, each once', async () => {
  const count = 300
  const row = Array.from({ length: count }, (_, n) => request('GET /healthz', { 'X-Request-ID': `r${n}` }))
  const { answers } = await exchange(server.url, Buffer.concat(row), { answers: count, quietMs: 10_000 })
  expect(answers.map(({ headers }) => headers.get('x-request-id'))).toEqual(
    Array.from({ length: count }, (_, n) => `r${n}`),
  )
})

test('a header behind more lines than Node would read is read all the same', async () => {
  const lines = Array.from({ length: 2_500 }, () => 'a:b\r\n').join('')
  const bytes = `GET /healthz HTTP/1.1\r\nHost: localhost\r\n${lines}X-Request-ID: the-last\r\n\r\n`
  const { answers } = await exchange(server.url, bytes, { answers: 1, quietMs: 5_000 })
  expect(answers.map(({ headers }) => headers.get('x-request-id'))).toEqual(['the-last'])
})

test('callers that ask and do not read are not read any more themselves', async () => {
  const before = await memory()
  // Large, so that what the kernel holds for both sides is soon full.
  const page = request('GET /docs', { 'X-Padding': 'x'.repeat(8_000) })
  const sockets = await open(20)
  const written = await Promise.all(
    sockets.map(async (socket) => {
      socket.pause()
      let sent = 0
      // Until nothing is taken for two seconds, or far more was taken than any buffer should hold.
      while (sent < 5_000) {
        sent += 1
        if (socket.write(page)) continue
        const isTaken = await Promise.race([
          new Promise<boolean>((resolve) => socket.once('drain', () => resolve(true))),
          new Promise<boolean>((resolve) => setTimeout(() => resolve(false), 2_000)),
        ])
        if (!isTaken) break
      }
      return sent
    }),
  )
  expect(Math.max(...written)).toBeLessThan(5_000)
  await servesOthers()
  expect((await memory()) - before).toBeLessThan(200 * megabytes)
  for (const socket of sockets) socket.destroy()
})

test('a thousand connections that say nothing, and a thousand that said something, cost a bounded sum', async () => {
  const before = await memory()
  const silent = await open(1_000)
  const used = await open(1_000)
  for (const socket of used) socket.resume().write(request('GET /healthz'))
  await servesOthers()
  // Ten thousand are in `npm run test:soak`; the sum here includes what the callers of other tests cost.
  expect((await memory()) - before).toBeLessThan(150 * megabytes)
  for (const socket of [...silent, ...used]) socket.destroy()
  await servesOthers()
})
