import { once } from 'node:events'
import { Agent, request } from 'node:http'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { call } from '../proxy/calls.ts'
import { createEmptyDatabase, type TestDatabase } from '../support/database.ts'
import { ask } from '../support/send.ts'
import { type ServerProcess, startProcess } from '../support/server-process.ts'
import { json, startUpstream, type Upstream } from '../support/upstream.ts'
import { observed, until } from './callers.ts'
import { makeCallable } from './fleet.ts'

let database: TestDatabase
let upstream: Upstream

beforeAll(async () => {
  upstream = await startUpstream()
})

afterAll(() => upstream.stop())

const startOnNewDatabase = async (environment: Record<string, string> = {}) => {
  database = await createEmptyDatabase()
  const server = await startProcess({ environment: { DATABASE_URL: database.url, ...environment } })
  return { server, callable: await makeCallable(server, upstream) }
}

test('SIGTERM under load: what was accepted is answered, nothing new begins, no connection is reset, exit 0', async () => {
  const { server, callable } = await startOnNewDatabase()
  upstream.received = []
  upstream.answer = (sent, res) => setTimeout(() => json(200, {})(sent, res), 100)
  // Each caller keeps one connection, as an SDK or a load balancer does, and opens another when that is closed.
  const seen: { n: number; outcome: number | string; closes: boolean }[] = []
  let next = 0
  const caller = async () => {
    const agent = new Agent({ keepAlive: true, maxSockets: 1 })
    for (let isServed = true; isServed; ) {
      next += 1
      const outcome = await callOn(agent, server.url, callable, next)
      seen.push({ n: next, ...outcome })
      isServed = outcome.outcome !== 'not let in'
    }
    agent.destroy()
  }
  const callers = Promise.all(Array.from({ length: 16 }, caller))
  await until('every caller was answered', () => seen.length > 32)

  const [readiness, liveness] = ['/readyz', '/healthz'].map((path) => probe(server, path))
  const sentBefore = seen.length
  server.child.kill('SIGTERM')
  await until('the stop is announced', () => server.output().includes('stopping'))
  await callers
  expect(await server.exited).toBe(0)
  const [ready, alive] = await Promise.all([readiness, liveness])

  const after = seen.slice(sentBefore)
  expect(new Set(seen.slice(0, sentBefore).map(({ outcome }) => outcome))).toEqual(new Set([200]))
  // Refused in words and then at the door; never cut once it was in.
  expect([...new Set(after.map(({ outcome }) => outcome))].sort()).toEqual([200, 503, 'not let in'])
  for (const { outcome, closes } of after) if (outcome === 503) expect(closes).toBe(true)
  // Alive to the end, and not ready from the first moment on.
  expect(new Set(alive)).toEqual(new Set([200]))
  expect(ready?.at(-1)).toBe(503)
  expect(ready?.slice(ready.indexOf(503)).every((status) => status === 503)).toBe(true)
  const answered = seen.filter(({ outcome }) => outcome === 200).length
  expect(upstream.received).toHaveLength(answered)
  const [row] =
    await database.sql`select count(*)::int as completed from executions where status = 'completed'`
  expect(row).toEqual({ completed: answered })
  await database.drop()
})

test('what is not done when the drain time is over is told and recorded as unknown, and the exit is still 0', async () => {
  const { server, callable } = await startOnNewDatabase({ NARROWAPI_DRAIN_MS: '500' })
  const arrived = Promise.withResolvers<void>()
  upstream.answer = () => arrived.resolve()
  await database.sql`update actions set definition = jsonb_set(definition::jsonb, '{timeout_ms}', '60000')::json`
  const slow = call(server, callable.token, callable.action, { n: 1 })
  await arrived.promise
  server.child.kill('SIGTERM')
  expect(await slow).toMatchObject({ status: 502, error: 'upstream_outcome_unknown' })
  expect(await server.exited).toBe(0)
  const rows = await database.sql`select status, error->>'code' as code from executions`
  expect([...rows]).toEqual([{ status: 'failed', code: 'upstream_outcome_unknown' }])
  await database.drop()
})

test('a second SIGTERM ends the process at once', async () => {
  const { server, callable } = await startOnNewDatabase()
  const arrived = Promise.withResolvers<void>()
  upstream.answer = () => arrived.resolve()
  const cutOff = observed(
    ask(server.url, `POST /x/${callable.action}`, { credential: callable.token, body: { n: 1 } }),
  )
  await arrived.promise
  server.child.kill('SIGTERM')
  await until('the stop is announced', () => server.output().includes('stopping'))
  server.child.kill('SIGTERM')
  expect(await server.exited).toBe(1)
  expect((await cutOff).answer).toBeNull()
  await database.drop()
})

/** Every answer to a probe, as long as there is one who answers. */
const probe = async (server: ServerProcess, path: string): Promise<number[]> => {
  const statuses: number[] = []
  while (server.child.exitCode === null) {
    const { answer } = await observed(ask(server.url, `GET ${path}`))
    if (answer) statuses.push(answer.status)
  }
  return statuses
}

const callOn = async (
  agent: Agent,
  url: string,
  { action, token }: { action: string; token: string },
  n: number,
): Promise<{ outcome: number | string; closes: boolean }> => {
  const asked = request(`${url}/x/${action}`, {
    agent,
    method: 'POST',
    headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
  }).end(JSON.stringify({ n }))
  try {
    const [answer] = await once(asked, 'response')
    await answer.toArray()
    return { outcome: answer.statusCode, closes: answer.headers.connection === 'close' }
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? String(error.code) : String(error)
    // The kernel completes connections that the server has not taken yet, and resets them when it stops listening:
    // on those nothing was read. On one that was used before, a reset would be a lost request.
    const isAtTheDoor = code === 'ECONNREFUSED' || (code === 'ECONNRESET' && !asked.reusedSocket)
    return { outcome: isAtTheDoor ? 'not let in' : code, closes: true }
  }
}
