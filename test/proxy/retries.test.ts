import { createServer } from 'node:net'
import { afterAll, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest'
import { freePort } from '../support/port.ts'
import { startTestServer, type TestServer } from '../support/server.ts'
import { type Answer, echo, json, startUpstream, type Upstream } from '../support/upstream.ts'
import { type CallOptions, call, callable } from './calls.ts'

let server: TestServer
let upstream: Upstream

beforeAll(async () => {
  server = await startTestServer()
})
afterAll(() => server.stop())

// A new origin each time: budgets and breakers are by origin.
beforeEach(async () => {
  upstream = await startUpstream()
  return () => upstream.stop()
})

type Action = Omit<Parameters<typeof callable>[1], 'target_url'>
const idempotent = { annotations: { idempotent: true } }

const run = async (action: Action, options: CallOptions = {}, target_url = `${upstream.url}/things`) => {
  const made = await callable(server.owner, { target_url, ...action })
  const answer = await call(server, made.token, made.action.id, {}, options)
  const execution = await server.owner.narrow.executions.get(answer.executionId ?? '')
  return { ...made, answer, execution }
}

/** Each request gets the next answer, and the last one from then on. */
const inTurn = (...answers: Answer[]): Answer => {
  let at = 0
  return (request, res) => {
    const answer = answers[Math.min(at, answers.length - 1)] ?? echo
    at += 1
    answer(request, res)
  }
}
const broken: Answer = (_, res) => void res.destroy()
const silent: Answer = () => {}

describe('a call', () => {
  test.each<[string, Answer, string | null]>([
    ['503', json(503, {}), null],
    ['429', json(429, {}), null],
    ['a broken connection', broken, 'upstream_outcome_unknown'],
  ])('that says nothing of retries is sent once, whatever comes back: %s', async (_, answer, error) => {
    upstream.answer = answer
    const { answer: told, execution } = await run(idempotent)
    expect(told.error).toBe(error)
    expect(upstream.received).toHaveLength(1)
    expect(execution.upstream?.attempts).toBe(1)
  })

  test('that is idempotent is sent again until it is answered, and the record says how often', async () => {
    upstream.answer = inTurn(json(503, {}), broken, json(200, { done: true }))
    const { answer, execution } = await run({
      ...idempotent,
      retry: { max: 3, on: ['connection', '503'] },
    })
    expect([answer.status, answer.body]).toEqual([200, { done: true }])
    expect(upstream.received).toHaveLength(3)
    expect(execution).toMatchObject({ status: 'completed', upstream: { status: 200, attempts: 3 } })
    expect(execution.upstream?.duration_ms).toBeLessThanOrEqual(execution.duration_ms ?? 0)
  })

  test('gives up after its last try and tells how that ended', async () => {
    upstream.answer = json(503, { reason: 'maintenance' })
    const { answer, execution } = await run({ ...idempotent, retry: { max: 2, on: ['503'] } })
    expect([answer.status, answer.error, answer.body]).toEqual([503, null, { reason: 'maintenance' }])
    expect(upstream.received).toHaveLength(3)
    expect(execution).toMatchObject({ status: 'failed', upstream: { status: 503, attempts: 3 } })
  })

  test('that may not be repeated is never sent twice, only connected twice', async () => {
    const retry = { max: 3, on: ['connection' as const] }
    upstream.answer = broken
    const sent = await run({ retry })
    expect(sent.answer.error).toBe('upstream_outcome_unknown')
    expect(upstream.received).toHaveLength(1)

    const unsent = await run({ retry }, {}, `http://127.0.0.1:${await freePort()}/`)
    expect(unsent.answer.error).toBe('upstream_error')
    expect(unsent.execution.upstream).toMatchObject({ status: null, attempts: 4 })
  })

  test('reaches an upstream that begins to listen between two tries', async () => {
    // The longest back-off each time: the sixth try comes after more than three seconds.
    vi.spyOn(Math, 'random').mockReturnValue(0.999)
    const port = await freePort()
    const origin = `http://127.0.0.1:${port}`
    const late = createServer((socket) => {
      socket.once('data', () => socket.end('HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}'))
    })
    const running = run({ retry: { max: 5, on: ['connection'] } }, {}, origin)
    const hasFailed = () => server.deps.breakers.list().some((one) => one.origin === origin)
    await expect.poll(hasFailed, { timeout: 10_000, interval: 10 }).toBe(true)
    late.listen(port, '127.0.0.1')
    const { answer, execution } = await running
    late.close()
    expect(answer.status).toBe(200)
    expect(execution.upstream?.attempts).toBeGreaterThan(1)
  })

  test('sends one key in every try, which is its execution', async () => {
    upstream.answer = inTurn(json(502, {}), json(200, {}))
    const { answer, action } = await run({
      idempotency: { header: 'X-Request-Key' },
      retry: { max: 1, on: ['502'] },
    })
    expect(upstream.received.map(({ headers }) => headers['x-request-key'])).toEqual([
      answer.executionId,
      answer.executionId,
    ])
    const { request } = await server.owner.narrow.actions.test(action.id)
    expect(request?.headers).toContainEqual({ name: 'x-request-key', value: '[execution id]' })
  })

  test('that was sent once may have acted, also when a later try found nobody', async () => {
    upstream.answer = (_, res) => {
      res.writeHead(503, { connection: 'close' }).end()
      void upstream.stop()
    }
    const key = { headers: { 'idempotency-key': 'once' } }
    const { answer, execution, token, action } = await run(
      { ...idempotent, retry: { max: 1, on: ['503'] } },
      key,
    )
    expect(answer.error).toBe('upstream_outcome_unknown')
    expect(execution.upstream).toMatchObject({ status: null, attempts: 2 })
    const again = await call(server, token, action.id, {}, key)
    expect([again.error, again.executionId]).toEqual(['upstream_outcome_unknown', answer.executionId])
  })
})

describe('time', () => {
  test('to wait that the upstream asks for is not shortened', async () => {
    const at: number[] = []
    const noting =
      (answer: Answer): Answer =>
      (request, res) => {
        at.push(performance.now())
        answer(request, res)
      }
    upstream.answer = inTurn(noting(json(429, {}, { 'retry-after': '1' })), noting(json(200, {})))
    const { answer } = await run({ ...idempotent, retry: { max: 1, on: ['429'] } })
    expect(answer.status).toBe(200)
    expect((at[1] ?? 0) - (at[0] ?? 0)).toBeGreaterThanOrEqual(990)
  })

  test.each([429, 503])('to wait beyond the deadline is passed on with the %i, at once', async (status) => {
    upstream.answer = json(status, { why: 'busy' }, { 'retry-after': '60' })
    const retry = { max: 3, on: [String(status) as '429' | '503'] }
    const action = { ...idempotent, retry, timeout_ms: 10_000 }
    const { answer } = await run(action)
    expect([answer.status, answer.headers.get('retry-after')]).toEqual([status, '60'])
    const listed = await run({ ...action, response: { headers: ['x-other'] } })
    expect(listed.answer.headers.get('retry-after')).toBe('60')
    const hidden = await run({ ...action, passthrough_errors: false })
    expect([hidden.answer.status, hidden.answer.headers.get('retry-after')]).toEqual([502, '60'])
    expect(hidden.answer.body).toMatchObject({ error: 'upstream_error', retry_after_seconds: 60 })
    expect(upstream.received).toHaveLength(3)
  })

  test('is one deadline over all tries, not one for each', async () => {
    upstream.answer = silent
    const timeout_ms = 1_200
    const begun = performance.now()
    const { answer, execution } = await run({
      ...idempotent,
      timeout_ms,
      retry: { max: 5, on: ['timeout', 'connection'] },
    })
    expect([answer.status, answer.error]).toEqual([504, 'upstream_timeout'])
    expect(execution.upstream?.attempts).toBe(upstream.received.length)
    expect(upstream.received.length).toBeGreaterThan(1)
    expect(performance.now() - begun).toBeLessThan(6 * timeout_ms)
  })

  test('of the lease covers every try', async () => {
    upstream.answer = inTurn(json(503, {}, { 'retry-after': '1' }), json(200, {}))
    const { action, token } = await callable(server.owner, {
      target_url: upstream.url,
      ...idempotent,
      timeout_ms: 20_000,
      retry: { max: 1, on: ['503'] },
    })
    const running = call(server, token, action.id, {})
    await expect.poll(() => upstream.received.length, { timeout: 10_000 }).toBe(1)
    const [row] = await server.database.sql<{ leased: number }[]>`
      select extract(epoch from lease_expires_at - created_at)::float as leased
      from executions where action_id = ${action.id}`
    expect(row?.leased).toBeGreaterThan(20)
    expect((await running).status).toBe(200)
  })

  test('between two tries ends when the server goes away, and the failure is told and recorded', async () => {
    upstream.answer = json(503, {}, { 'retry-after': '20' })
    const other = await startTestServer()
    try {
      const { action, token } = await callable(other.owner, {
        target_url: upstream.url,
        ...idempotent,
        timeout_ms: 60_000,
        retry: { max: 1, on: ['503'] },
      })
      const running = call(other, token, action.id, {})
      await expect.poll(() => upstream.received.length, { timeout: 10_000 }).toBe(1)
      other.deps.attempts.close()
      const { status, executionId } = await running
      expect(status).toBe(503)
      expect(await other.owner.narrow.executions.get(executionId ?? '')).toMatchObject({
        status: 'failed',
        upstream: { status: 503, attempts: 1 },
      })
    } finally {
      await other.stop()
    }
  })
})

test('the retries of a target are at most a fifth of its calls', async () => {
  // 429 opens no breaker, so that the budget alone decides.
  upstream.answer = json(429, {})
  vi.spyOn(Math, 'random').mockReturnValue(0)
  const { action, token } = await callable(server.owner, {
    target_url: upstream.url,
    ...idempotent,
    retry: { max: 5, on: ['429'] },
  })
  const calls = 150
  const answers = await Promise.all(Array.from({ length: calls }, () => call(server, token, action.id, {})))
  expect(new Set(answers.map(({ status }) => status))).toEqual(new Set([429]))
  const retries = upstream.received.length - calls
  expect(retries).toBeGreaterThan(0)
  expect(retries).toBeLessThanOrEqual(calls * 0.2)
  const executions = []
  for await (const one of server.owner.narrow.executions.list({ action_id: action.id, limit: 100 }))
    executions.push(one)
  const attempts = executions.reduce((sum, { upstream: made }) => sum + (made?.attempts ?? 0), 0)
  expect(attempts).toBe(upstream.received.length)
})

describe('an action', () => {
  test('whose retries could repeat what may not be repeated is refused, at create and at update', async () => {
    const { narrow } = server.owner
    const retry = { max: 2, on: ['connection' as const, '503' as const] }
    const body = { name: 'Wrong', target_url: upstream.url, retry }
    const refusal = { code: 'validation_failed', details: [expect.objectContaining({ field: 'retry.on.1' })] }
    await expect(narrow.actions.create(body)).rejects.toMatchObject(refusal)
    const action = await narrow.actions.create({ ...body, ...idempotent })
    expect([action.retry, action.idempotency]).toEqual([retry, null])
    await expect(
      narrow.actions.update(action.id, { annotations: { idempotent: false } }),
    ).rejects.toMatchObject(refusal)
    const keyed = await narrow.actions.update(action.id, {
      annotations: { idempotent: false },
      idempotency: { header: 'Idempotency-Key' },
    })
    expect(keyed.idempotency).toEqual({ header: 'Idempotency-Key', safe: false })
  })

  test('that was stored before there were retries is read, called and restored as one without', async () => {
    const { narrow } = server.owner
    const { action, token } = await callable(server.owner, { target_url: upstream.url })
    for (const table of ['actions', 'action_versions']) {
      await server.database.sql`
        update ${server.database.sql(table)}
        set definition = (definition::jsonb - 'retry' - 'idempotency')::json
        where ${server.database.sql(table === 'actions' ? 'id' : 'action_id')} = ${action.id}`
    }
    server.deps.catalogue.expire()
    const none = { retry: null, idempotency: null }
    expect(await narrow.actions.get(action.id)).toMatchObject(none)
    expect((await narrow.actions.listVersions(action.id)).data[0]?.definition).toMatchObject(none)
    expect((await call(server, token, action.id, {})).status).toBe(200)
    await narrow.actions.update(action.id, { description: 'Another' })
    expect(await narrow.actions.restoreVersion(action.id, 1)).toMatchObject({ ...none, description: '' })
  })
})
