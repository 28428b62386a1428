import { afterAll, beforeAll, expect, test } from 'vitest'
import { call } from '../proxy/calls.ts'
import { createEmptyDatabase, type TestDatabase } from '../support/database.ts'
import { ask } from '../support/send.ts'
import { ownerKeyOf, startProcess } from '../support/server-process.ts'
import { json, startUpstream, type Upstream } from '../support/upstream.ts'
import { until } from './callers.ts'
import { makeCallable } from './fleet.ts'

let database: TestDatabase
let upstream: Upstream

beforeAll(async () => {
  upstream = await startUpstream()
})

afterAll(() => upstream.stop())

/** Plants a fault into the process from outside of our code: a signal makes it happen on its own turn. */
const planted = (fault: string) => [
  '--import',
  `data:text/javascript,process.on('SIGUSR2',()=>setImmediate(()=>{${encodeURIComponent(fault)}}))`,
]

test.each([
  ['a throw outside of any promise', `throw new Error('planted')`, 'uncaughtException'],
  ['a rejection that nobody awaits', `void Promise.reject(new Error('planted'))`, 'unhandledRejection'],
])('%s is logged, what has begun is finished, and the process ends with 1', async (_, fault, origin) => {
  database = await createEmptyDatabase()
  const server = await startProcess({
    environment: { DATABASE_URL: database.url },
    nodeArgs: planted(fault),
  })
  const callable = await makeCallable(server, upstream)
  const release = Promise.withResolvers<void>()
  const arrived = Promise.withResolvers<void>()
  upstream.answer = async (request, res) => {
    arrived.resolve()
    await release.promise
    json(200, { done: true })(request, res)
  }
  const running = call(server, callable.token, callable.action, { n: 1 })
  await arrived.promise
  server.child.kill('SIGUSR2')
  await until('the fault is logged', () => server.output().includes('a fault that nobody caught'))
  const refused = await ask(server.url, 'GET /api/v1/actions', { credential: ownerKeyOf(server) })
  expect(refused).toMatchObject({ status: 503, body: { error: 'unavailable' } })
  release.resolve()
  expect((await running).body).toEqual({ done: true })
  expect(await server.exited).toBe(1)
  const [line] = server.logged().filter(({ level }) => level === 'fatal')
  expect(line).toMatchObject({ origin, error: { message: 'planted' } })
  await database.drop()
})

test('a reader of the log that goes away, or stops reading, takes nothing from the callers', async () => {
  database = await createEmptyDatabase()
  const server = await startProcess({ environment: { DATABASE_URL: database.url, LOG_LEVEL: 'trace' } })
  const asking = { credential: ownerKeyOf(server) }
  // More than the pipe and Node's own buffer take: what comes then waits, and what is too much is lost.
  server.child.stdout?.pause()
  for (let round = 0; round < 12; round += 1) {
    const answers = await Promise.all(
      Array.from({ length: 25 }, () => ask(server.url, 'GET /api/v1/actions', asking)),
    )
    expect(new Set(answers.map(({ status }) => status))).toEqual(new Set([200]))
  }
  server.child.stdout?.destroy()
  for (let n = 0; n < 20; n += 1)
    expect((await ask(server.url, 'GET /api/v1/actions', asking)).status).toBe(200)
  expect(await server.stop()).toBe(0)
  await database.drop()
})
