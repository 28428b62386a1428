import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { callable } from '../proxy/calls.ts'
import { createCluster, type TestCluster } from '../support/cluster.ts'
import { ask } from '../support/send.ts'
import { ownerKeyOf, ownerOf, type ServerProcess, startProcess } from '../support/server-process.ts'
import { startUpstream, type Upstream } from '../support/upstream.ts'
import { Callers, outcomes, until } from './callers.ts'

let cluster: TestCluster
let server: ServerProcess
let upstream: Upstream
let key: string
let call: { path: string; token: string }

beforeAll(async () => {
  cluster = await createCluster()
  upstream = await startUpstream()
  server = await startProcess({ environment: { DATABASE_URL: cluster.url() } })
  key = ownerKeyOf(server)
  const { action, token } = await callable({ narrow: ownerOf(server) }, { target_url: upstream.url })
  call = { path: `POST /x/${action.id}`, token }
})

afterAll(async () => {
  await server.stop('SIGKILL')
  await upstream.stop()
  await cluster.remove()
})

/** Reads, changes and calls in turn: each goes to the database by another way. */
const askInTurn = (turn: number) => {
  switch (turn % 3) {
    case 0:
      return ask(server.url, 'GET /api/v1/actions', { credential: key })
    case 1:
      return ask(server.url, 'POST /api/v1/secrets', {
        credential: key,
        body: { name: `s${turn}`, value: 'value' },
        headers: { 'idempotency-key': `k${turn}` },
      })
    default:
      return ask(server.url, call.path, { credential: call.token, body: {} })
  }
}

const isReady = async () => (await ask(server.url, 'GET /readyz')).status === 200

test('a database that is ended under sixteen callers is 503 with Retry-After until it is back, and loses nothing', async () => {
  const callers = new Callers(16, askInTurn)
  await until('every caller was answered', () => callers.seen.length > 48)
  await cluster.stop('immediate')
  // What was under way has had its answer by then.
  await sleep(1_000)
  const during = callers.from()
  await sleep(2_000)
  const refused = during()
  expect(outcomes(refused)).toEqual(new Set([503]))
  for (const { answer } of refused) {
    expect(answer?.headers.get('retry-after')).toBe('1')
    expect(answer?.body).toMatchObject({ error: 'unavailable', retry_after_seconds: 1 })
  }
  expect((await ask(server.url, 'GET /readyz')).status).toBe(503)
  expect((await ask(server.url, 'GET /healthz')).status).toBe(200)

  await cluster.start()
  const startedAt = performance.now()
  await until('the server is ready', isReady)
  // Two seconds are promised; a busy machine may take longer over everything, but not as long as a growing back-off.
  expect(performance.now() - startedAt).toBeLessThan(8_000)
  const after = callers.from()
  await until('every caller was answered again', () => after().length > 48)
  await callers.stop()
  expect([...outcomes(after().slice(32))].sort()).toEqual([200, 201])
  // Nobody waited longer than for a connection (5 s) and a statement.
  expect(Math.max(...callers.seen.map(({ tookMs }) => tookMs))).toBeLessThan(15_000)

  const made = callers.seen.filter(({ outcome }) => outcome === 201).map(({ answer }) => answer?.body)
  const executed = callers.seen
    .filter(({ outcome, answer }) => outcome === 200 && answer?.headers.has('x-execution-id'))
    .map(({ answer }) => answer?.headers.get('x-execution-id'))
  const secrets = new Set((await cluster.sql`select id from narrowapi.secrets`).map(({ id }) => id))
  const executions = new Set(
    (await cluster.sql`select id from narrowapi.executions where status = 'completed'`).map(({ id }) => id),
  )
  expect(executed.length).toBeGreaterThan(10)
  expect(made.filter((body) => !secrets.has(idOf(body)))).toEqual([])
  expect(executed.filter((id) => !executions.has(id))).toEqual([])
})

test('a database that comes and goes while nobody asks leaves the process alive, and changes are heard again', async () => {
  const heardBefore = timesHeard()
  await cluster.stop('immediate')
  await until('the loss is noticed', () => server.output().includes('not heard for now'))
  await cluster.start()
  await until('changes are heard again', () => timesHeard() > heardBefore)
  expect(server.child.exitCode).toBeNull()
  await until('the server is ready', isReady)
  expect((await ask(server.url, 'GET /api/v1/actions', { credential: key })).status).toBe(200)
})

test('short outages one after the other leave every connection usable', async () => {
  const callers = new Callers(24, askInTurn)
  for (let round = 0; round < 4; round += 1) {
    await sleep(300)
    await cluster.stop('immediate')
    await sleep(200)
    await cluster.start()
  }
  await until('the server is ready', isReady)
  await callers.stop()
  // More at once than the pool has connections, so that a lost one would be missed.
  const answers = await Promise.all(
    Array.from({ length: 30 }, () => ask(server.url, 'GET /api/v1/secrets', { credential: key })),
  )
  expect(answers.map(({ status }) => status)).toEqual(answers.map(() => 200))
  expect(server.child.exitCode).toBeNull()
})

const timesHeard = () => server.output().split('are heard again').length

const idOf = (body: unknown): unknown =>
  typeof body === 'object' && body !== null && 'id' in body ? body.id : undefined
