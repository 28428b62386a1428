import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { connect } from '../../server/src/db/sql.ts'
import { adapter } from '../../server/src/workers/jobs.ts'
import { callable } from '../proxy/calls.ts'
import { createCluster, type TestCluster } from '../support/cluster.ts'
import { FaultProxy } from '../support/fault-proxy.ts'
import { ask } from '../support/send.ts'
import { ownerKeyOf, ownerOf, type ServerProcess, startProcess } from '../support/server-process.ts'
import { startUpstream, type Upstream } from '../support/upstream.ts'
import { observed, until } from './callers.ts'

/** One second for a statement, and two for the way: what is not answered by then never will be. */
const environment = { NARROWAPI_DATABASE_TIMEOUT_MS: '1000' }

let cluster: TestCluster
let proxy: FaultProxy
let server: ServerProcess
let upstream: Upstream
let key: string
let call: { path: string; token: string; tokenId: string }

beforeAll(async () => {
  cluster = await createCluster()
  proxy = await FaultProxy.to({ port: cluster.port })
  upstream = await startUpstream()
  server = await startProcess({ environment: { ...environment, DATABASE_URL: cluster.url(proxy.port) } })
  key = ownerKeyOf(server)
  const { action, token, tokenId } = await callable({ narrow: ownerOf(server) }, { target_url: upstream.url })
  call = { path: `POST /x/${action.id}`, token, tokenId }
})

afterAll(async () => {
  await server.stop('SIGKILL')
  await upstream.stop()
  await proxy.close()
  await cluster.remove()
})

const read = () => observed(ask(server.url, 'GET /api/v1/actions', { credential: key }))
const change = () =>
  observed(ask(server.url, 'POST /api/v1/secrets', { credential: key, body: { name: 's', value: 'v' } }))
const execute = () => observed(ask(server.url, call.path, { credential: call.token, body: {} }))
const times = (what: string) => server.output().split(what).length
const isHeard = () => times('not heard for now') === times('are heard again')
const isWhole = async () => (await read()).outcome === 200 && (await execute()).outcome === 200

test('connections that swallow everything end in 503 within the limits, and new ones are used once they work', async () => {
  expect([(await read()).outcome, (await execute()).outcome]).toEqual([200, 200])
  proxy.fault = { kind: 'swallow' }
  const asked = await Promise.all([read(), change(), execute(), read(), execute()])
  for (const { outcome, answer, tookMs } of asked) {
    expect(outcome).toBe(503)
    expect(answer?.headers.get('retry-after')).toBe('1')
    // Three seconds for the answer or five for a connection, and room for a busy machine; for ever it was.
    expect(tookMs).toBeLessThan(20_000)
  }
  // Its authority is forgotten by now and cannot be read again: nothing is sent on what was believed before.
  const sent = upstream.received.length
  expect((await execute()).outcome).toBe(503)
  expect(upstream.received).toHaveLength(sent)
  proxy.fault = { kind: 'pass' }
  await until('reads and calls work again', isWhole)
})

test('a listening connection that fell silent is noticed, and a revocation made meanwhile holds', async () => {
  await until('changes are heard', isHeard)
  proxy.fault = { kind: 'swallow' }
  await cluster.sql`update narrowapi.tokens set revoked_at = now() where id = ${call.tokenId}`
  await until('the silence is noticed', () => !isHeard())
  proxy.fault = { kind: 'pass' }
  await until('changes are heard again', isHeard)
  await until('the token is known again', async () => (await execute()).outcome !== 503)
  expect((await execute()).outcome).toBe(401)
  await cluster.sql`update narrowapi.tokens set revoked_at = null where id = ${call.tokenId}`
  // Told by a notification on the new connection, or found anew within a second.
  await until('the token works', async () => (await execute()).outcome === 200)
})

test('a server that nobody but a probe asks becomes ready again by itself', async () => {
  const probe = async () => (await ask(server.url, 'GET /readyz')).status
  proxy.fault = { kind: 'swallow' }
  await until('it is not ready', async () => (await probe()) === 503)
  proxy.fault = { kind: 'pass' }
  await until('it is ready', async () => (await probe()) === 200)
})

test('resets and orderly ends of every connection cost one answer at most', async () => {
  for (const breakOff of [() => proxy.reset(), () => proxy.cut()]) {
    breakOff()
    await until('reads and calls work again', isWhole)
  }
})

test('a balancer with no database behind it is an outage like any other', async () => {
  proxy.fault = { kind: 'close' }
  proxy.cut()
  const refused: unknown[] = []
  await until('it is told', async () => {
    const { outcome, answer } = await read()
    if (outcome === 503) refused.push(answer?.body)
    return refused.length === 3
  })
  // Told by the end of the connection, and not by waiting for an answer on ever new ones.
  expect(refused.at(-1)).toMatchObject({ message: expect.stringContaining('cannot be reached') })
  proxy.fault = { kind: 'pass' }
  await until('reads and calls work again', isWhole)
})

test('a slow way to the database makes slow answers, not wrong ones', async () => {
  proxy.fault = { kind: 'trickle', bytes: 600, everyMs: 2 }
  expect((await read()).outcome).toBe(200)
  proxy.fault = { kind: 'delay', delayMs: 60 }
  expect([(await read()).outcome, (await execute()).outcome]).toEqual([200, 200])
  proxy.fault = { kind: 'pass' }
})

test('a start against a database that accepts and says nothing ends with a reason', async () => {
  proxy.fault = { kind: 'swallow' }
  const start = startProcess({ environment: { ...environment, DATABASE_URL: cluster.url(proxy.port) } })
  await expect(start).rejects.toThrow(/did not start: .*CONNECT_TIMEOUT/s)
  proxy.fault = { kind: 'pass' }
})

test('the connection of jobs is limited like the others, and works again after a silence', async () => {
  const owner = connect(cluster.url(proxy.port), 'owner', { max: 1, statementTimeoutMs: 200 })
  const { executeSql } = adapter(owner)
  expect((await executeSql('select 1 as one')).rows).toEqual([{ one: 1 }])
  proxy.fault = { kind: 'swallow' }
  await expect(executeSql('select 1 as one')).rejects.toThrow('does not answer')
  proxy.fault = { kind: 'pass' }
  expect((await executeSql('select 1 as one')).rows).toEqual([{ one: 1 }])
  await owner.end({ timeout: 0 })
})

test('SIGTERM ends a server whose database fell silent while jobs wait for an answer', async () => {
  const other = await startProcess({ environment: { ...environment, DATABASE_URL: cluster.url(proxy.port) } })
  proxy.fault = { kind: 'swallow' }
  // Jobs begin two seconds after the server.
  await sleep(3_500)
  other.child.kill('SIGTERM')
  const late = sleep(30_000, 'late' as const, { ref: false })
  expect(await Promise.race([other.exited, late])).toBe(0)
  proxy.fault = { kind: 'pass' }
})
