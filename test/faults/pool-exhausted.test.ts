import { afterAll, beforeAll, expect, test } from 'vitest'
import { createEmptyDatabase, type TestDatabase } from '../support/database.ts'
import { ask } from '../support/send.ts'
import { ownerKeyOf, type ServerProcess, startProcess } from '../support/server-process.ts'
import { observed, outcomes } from './callers.ts'

let database: TestDatabase
let server: ServerProcess
let key: string

beforeAll(async () => {
  database = await createEmptyDatabase()
  server = await startProcess({ environment: { DATABASE_URL: database.url } })
  key = ownerKeyOf(server)
})

afterAll(async () => {
  await server.stop('SIGKILL')
  await database.drop()
})

test('two hundred slow reads on ten connections are 503 after five seconds, and others are served meanwhile', async () => {
  const { sql } = database
  const asked = await sql.begin(async (lock) => {
    await lock`lock table narrowapi.secrets in access exclusive mode`
    const slow = Array.from({ length: 200 }, () =>
      observed(ask(server.url, 'GET /api/v1/secrets', { credential: key })),
    )
    // All but those that hold a connection are answered while the lock is held.
    const answers = await firstOf(slow, 190)
    expect(outcomes(answers)).toEqual(new Set([503]))
    for (const { answer } of answers) expect(answer?.headers.get('retry-after')).toBe('1')
    for (const { tookMs } of answers) expect(tookMs).toBeGreaterThan(4_000)
    expect((await ask(server.url, 'GET /healthz')).status).toBe(200)
    expect((await ask(server.url, 'GET /readyz')).status).toBe(200)
    return { slow }
  })
  // The lock is gone, so the ten that had a connection get what they asked for.
  expect(outcomes(await Promise.all(asked.slow))).toEqual(new Set([200, 503]))
  const after = await Promise.all(
    Array.from({ length: 50 }, () => observed(ask(server.url, 'GET /api/v1/secrets', { credential: key }))),
  )
  expect(outcomes(after)).toEqual(new Set([200]))
})

const firstOf = <T>(promises: readonly Promise<T>[], count: number): Promise<T[]> =>
  new Promise((resolve, reject) => {
    const done: T[] = []
    for (const promise of promises) {
      promise.then((value) => {
        if (done.push(value) === count) resolve([...done])
      }, reject)
    }
  })
