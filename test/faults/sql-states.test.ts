import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { call, callable, tally } from '../proxy/calls.ts'
import { ask } from '../support/send.ts'
import { startTestServer, type TestServer } from '../support/server.ts'
import { startUpstream, type Upstream } from '../support/upstream.ts'
import { until } from './callers.ts'

let server: TestServer

beforeAll(async () => {
  server = await startTestServer({ environment: { NARROWAPI_DATABASE_TIMEOUT_MS: '1500' } })
  await server.database.sql.unsafe(`
    create sequence narrowapi.tries;
    create function narrowapi.plant() returns trigger language plpgsql as $$
    begin
      if nextval('narrowapi.tries') <= tg_argv[1]::int then
        raise exception 'planted' using errcode = tg_argv[0];
      end if;
      return new;
    end $$;
    grant usage on sequence narrowapi.tries to narrowapi_app`)
})

afterAll(() => server.stop())

const create = (name = 'Payments') =>
  ask(server.url, 'POST /api/v1/secrets', { credential: server.owner.key, body: { name, value: 'value' } })

describe('an error planted behind an insert', () => {
  afterEach(() => server.database.sql.unsafe('drop trigger plant on narrowapi.secrets'))

  /** A sequence goes on when its transaction is undone, so it counts tries. */
  const plant = (state: string, failures: number) =>
    server.database.sql.unsafe(`
      alter sequence narrowapi.tries restart;
      create trigger plant before insert on narrowapi.secrets
        for each row execute function narrowapi.plant('${state}', '${failures}')`)
  const tries = async () =>
    Number((await server.database.sql`select last_value from narrowapi.tries`)[0]?.last_value)

  test.each([
    '08000',
    '08006',
    '53000',
    '53100',
    '53200',
    '53300',
    '53400',
    '57P01',
    '57P02',
    '57P03',
    '57014',
    '55P03',
    '25006',
    '25P03',
    '25P04',
  ])('of the state %s is 503 with Retry-After, tried once', async (state) => {
    await plant(state, 1_000)
    const answer = await create()
    expect(answer).toMatchObject({ status: 503, body: { error: 'unavailable' } })
    expect(answer.headers.get('retry-after')).toBe('1')
    expect(await tries()).toBe(1)
  })

  test.each(['40001', '40P01'])('of the state %s is tried three times more, then 503', async (state) => {
    await plant(state, 1_000)
    expect(await create()).toMatchObject({ status: 503, body: { error: 'unavailable' } })
    expect(await tries()).toBe(4)
  })

  test.each(['40001', '40P01'])(
    'of the state %s that passes is not seen, and leaves one change',
    async (state) => {
      await plant(state, 3)
      const name = `after ${state}`
      expect((await create(name)).status).toBe(201)
      const [left] = await server.database.sql`
      select (select count(*) from narrowapi.secrets where name = ${name})::int as secrets,
        (select count(*) from narrowapi.audit_events where action = 'secret.created'
          and targets::text like '%' || (select id from narrowapi.secrets where name = ${name}) || '%')::int as events`
      expect(left).toEqual({ secrets: 1, events: 1 })
    },
  )

  test.each(['22003', '22P02', '22021', '23502', '23503', '23505', '23514'])(
    'of the state %s is the caller’s to change, and told to the operator',
    async (state) => {
      await plant(state, 1_000)
      const answer = await create()
      expect(answer).toMatchObject({ status: 422, body: { error: 'validation_failed' } })
      expect(answer.text).not.toContain('planted')
      const requestId = answer.headers.get('x-request-id')
      expect(server.logs.some((line) => line.includes(`${requestId}`) && line.includes(state))).toBe(true)
    },
  )

  test('of a state that is nobody’s is 500 with its request id in the log, and nothing of it in the answer', async () => {
    await plant('XX000', 1_000)
    const answer = await create()
    expect(answer).toMatchObject({ status: 500, body: { error: 'internal_error' } })
    expect(answer.text).not.toMatch(/planted|XX000|secrets/)
    const requestId = answer.headers.get('x-request-id')
    expect(answer.body).toMatchObject({ request_id: requestId })
    expect(server.logs.some((line) => line.includes(`${requestId}`) && line.includes('planted'))).toBe(true)
  })
})

describe('an error planted where the outcome of a call is recorded', () => {
  let upstream: Upstream
  let called: Record<'written' | 'read' | 'unreachable', Awaited<ReturnType<typeof callable>>>

  beforeAll(async () => {
    upstream = await startUpstream()
    // What is planted before ends a pool, and a machine that stands still is slower than the time limit.
    const narrow = server.owner.narrow.with({ retries: 10 })
    called = {
      written: await callable({ narrow }, { target_url: upstream.url }),
      read: await callable(
        { narrow },
        {
          method: 'GET',
          target_url: upstream.url,
          annotations: { read_only: true, idempotent: true },
        },
      ),
      unreachable: await callable({ narrow }, { target_url: 'http://127.0.0.1:1' }),
    }
    return () => upstream.stop()
  })

  afterEach(() => server.database.sql.unsafe('drop trigger unrecorded on narrowapi.executions'))

  const plant = (state: string) =>
    server.database.sql.unsafe(`
      create or replace function narrowapi.unrecorded() returns trigger language plpgsql as $$
      begin
        if new.completed_at is not null then
          raise exception 'planted' using errcode = '${state}';
        end if;
        return new;
      end $$;
      create trigger unrecorded before insert or update on narrowapi.executions
        for each row execute function narrowapi.unrecorded()`)

  test.each(['53100', '57P01', '40001', '22P02', 'XX000'])(
    'of the state %s asks nobody to send again what was sent',
    async (state) => {
      await plant(state)
      const { databaseAway } = server.deps.metrics
      const isAway = /^5/.test(state)
      for (const headers of [{}, { 'idempotency-key': state }]) {
        upstream.received = []
        const foundAway = databaseAway.value
        const { token, action } = called.written
        const answer = await call(server, token, action.id, {}, { headers })
        expect([answer.status, answer.error]).toEqual([502, 'upstream_outcome_unknown'])
        expect(answer.headers.get('retry-after')).toBeNull()
        expect(answer.text).not.toContain('planted')
        expect(upstream.received).toHaveLength(1)
        const told = server.logs.filter((line) => line.includes(`${answer.executionId}`))
        expect(told.join()).toContain('could not be recorded')
        expect(databaseAway.value - foundAway).toBe(isAway ? 1 : 0)
      }
    },
  )

  test('is 503 for a call that was not sent, and for one that may be sent again', async () => {
    await plant('53100')
    for (const { token, action } of [called.unreachable, called.read]) {
      const answer = await call(server, token, action.id, {})
      expect([answer.status, answer.error]).toEqual([503, 'unavailable'])
      expect(answer.headers.get('retry-after')).toBe('1')
    }
  })
})

describe('an error that the database raises itself', () => {
  test('because two transactions wait for each other is tried again, and the change is made', async () => {
    const { id } = await server.owner.narrow.secrets.create({ name: 'Contended', value: 'value' })
    const { sql } = server.database
    const meet = async () => {
      const renamed = await sql.begin(async (mine) => {
        // The server is the one that finds the circle: this side would look for it only later.
        await mine`set local deadlock_timeout = '60s'`
        await mine`select from narrowapi.audit_heads where workspace_id = ${server.owner.workspaceId} for update`
        const change = ask(server.url, `PATCH /api/v1/secrets/${id}`, {
          credential: server.owner.key,
          body: { name: 'Renamed' },
        })
        let isAnswered = false
        void change.then(() => {
          isAnswered = true
        })
        // On a machine that stands still for longer than the time limit, the answer is seen and the wait never.
        const what = 'the change waits for the audit or is answered'
        await until(what, async () => isAnswered || (await isWaitedFor('audit_heads')))
        await mine`update narrowapi.secrets set metadata = '{"n":"1"}' where id = ${id}`
        return { change }
      })
      return renamed.change
    }
    // PostgreSQL looks for a circle once, after a second; one that a busy machine closes later ends by the time limit.
    await until('a circle is found', async () => {
      const { status, body } = await meet()
      expect([200, 503]).toContain(status)
      return status === 200 && Reflect.get(Object(body), 'name') === 'Renamed'
    })
  })

  test('because changes cannot be put into an order is tried again', async () => {
    const { sql } = server.database
    const { id } = await server.owner.narrow.secrets.create({ name: 'Ordered', value: 'value' })
    await sql.unsafe(`do $$ begin execute format(
      'alter database %I set default_transaction_isolation = serializable', current_database()); end $$`)
    await reconnect()
    const answers = await Promise.all(
      Array.from({ length: 6 }, (_, n) =>
        ask(server.url, `PATCH /api/v1/secrets/${id}`, {
          credential: server.owner.key,
          body: { name: `Ordered ${n}` },
        }),
      ),
    )
    await sql.unsafe(`do $$ begin execute format(
      'alter database %I reset default_transaction_isolation', current_database()); end $$`)
    await reconnect()
    const counted = tally(answers.map(({ status }) => status))
    expect(Object.keys(counted).filter((status) => !['200', '503'].includes(status))).toEqual([])
    expect(counted[200]).toBeGreaterThan(1)
  })

  test('because the database may only be read is 503 for changes while reads go on', async () => {
    const { sql } = server.database
    await sql.unsafe(`do $$ begin execute format(
      'alter database %I set default_transaction_read_only = on', current_database()); end $$`)
    await reconnect()
    expect(await create()).toMatchObject({ status: 503, body: { error: 'unavailable' } })
    const read = await ask(server.url, 'GET /api/v1/secrets', { credential: server.owner.key })
    expect(read.status).toBe(200)
    // This connection is older than the setting.
    await sql.unsafe(`set default_transaction_read_only = off; do $$ begin execute format(
      'alter database %I reset default_transaction_read_only', current_database()); end $$`)
    await reconnect()
    expect((await create()).status).toBe(201)
  })

  test('because a statement took too long is 503', async () => {
    await server.database.sql.begin(async (mine) => {
      await mine`lock table narrowapi.secrets in access exclusive mode`
      expect(await create()).toMatchObject({ status: 503, body: { error: 'unavailable' } })
    })
    expect((await create()).status).toBe(201)
  })
})

/** Whether a session waits for a lock with a statement on this table. */
const isWaitedFor = async (table: string): Promise<boolean> => {
  const waiting = await server.database.sql`
    select from pg_stat_activity
    where datname = current_database() and wait_event_type = 'Lock' and query like ${`%${table}%`}
      and pid <> pg_backend_pid()`
  return waiting.length > 0
}

/** Ends the sessions of this database, because its settings are those of new ones; waits until the server has some. */
const reconnect = async (): Promise<void> => {
  await server.database.sql`
    select pg_terminate_backend(pid) from pg_stat_activity
    where datname = current_database() and pid <> pg_backend_pid()`
  const list = { credential: server.owner.key }
  await until('reads work', async () => (await ask(server.url, 'GET /api/v1/secrets', list)).status === 200)
}
