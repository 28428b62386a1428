import { afterAll, beforeAll, expect, test } from 'vitest'
import { ask } from '../support/send.ts'
import { startTestServer, type TestServer } from '../support/server.ts'

let server: TestServer

beforeAll(async () => {
  server = await startTestServer()
})

afterAll(() => server.stop())

test.each(['GET', 'DELETE'])(
  'survives that PostgreSQL ends the connection a %s waits on, and says 503',
  async (method) => {
    const action = 'act_06Wz1Xb4mJq0YcT7eKs2hU'
    const asking = { credential: server.owner.key }
    const { sql } = server.database
    const waiting = await sql.begin(async (lock) => {
      await lock`lock table narrowapi.actions in access exclusive mode`
      const answer = ask(server.url, `${method} /api/v1/actions/${action}`, asking)
      for (let ended = 0; ended === 0; ) {
        const rows = await sql`
        select pg_terminate_backend(pid) from pg_stat_activity
        where datname = current_database() and wait_event_type = 'Lock' and query like '%actions%' and pid <> pg_backend_pid()`
        ended = rows.length
      }
      return { answer }
    })
    expect(await waiting.answer).toMatchObject({ status: 503, body: { error: 'unavailable' } })
    const statuses: number[] = []
    while (statuses.at(-1) !== 404) {
      statuses.push((await ask(server.url, `${method} /api/v1/actions/${action}`, asking)).status)
      expect([404, 503]).toContain(statuses.at(-1))
    }
  },
)
