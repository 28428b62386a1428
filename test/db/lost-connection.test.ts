import { afterAll, beforeAll, expect, test } from 'vitest'
import { ask } from '../support/send.ts'
import { startTestServer, type TestServer } from '../support/server.ts'

let server: TestServer

beforeAll(async () => {
  server = await startTestServer()
})

afterAll(() => server.stop())

const action = '/api/v1/actions/act_06Wz1Xb4mJq0YcT7eKs2hU'

// What fails while it reads, while it changes, and while it records a change that it has made.
test.each([
  { request: `GET ${action}`, body: undefined, waitsOn: 'actions', later: 404 },
  { request: `DELETE ${action}`, body: undefined, waitsOn: 'actions', later: 404 },
  {
    request: 'POST /api/v1/secrets',
    body: { name: 'Kept', value: 'value' },
    waitsOn: 'audit_heads',
    later: 201,
  },
])(
  'survives that PostgreSQL ends the connection on which a $request waits for $waitsOn, and says 503',
  async ({ request, body, waitsOn, later }) => {
    const asking = { credential: server.owner.key, body }
    const { sql } = server.database
    const waiting = await sql.begin(async (lock) => {
      await lock.unsafe(`lock table narrowapi.${waitsOn} in access exclusive mode`)
      const answer = ask(server.url, request, asking)
      for (let ended = 0; ended === 0; ) {
        const rows = await sql`
          select pg_terminate_backend(pid)
          from pg_stat_activity
          where datname = current_database() and wait_event_type = 'Lock' and query like ${`%${waitsOn}%`}
            and pid <> pg_backend_pid()`
        ended = rows.length
      }
      return { answer }
    })
    expect(await waiting.answer).toMatchObject({ status: 503, body: { error: 'unavailable' } })
    const statuses: number[] = []
    while (statuses.at(-1) !== later) {
      statuses.push((await ask(server.url, request, asking)).status)
      expect([later, 503]).toContain(statuses.at(-1))
    }
    const kept = await sql`select id from narrowapi.secrets where name = 'Kept'`
    expect(kept).toHaveLength(later === 201 ? 1 : 0)
  },
)
