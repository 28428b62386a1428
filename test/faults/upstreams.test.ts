import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { call, callable, tally } from '../proxy/calls.ts'
import { freePort } from '../support/port.ts'
import { startProgram } from '../support/program.ts'
import { json, startUpstream } from '../support/upstream.ts'
import { type Hostile, hostile, startHostile, timeout } from './hostile-upstreams.ts'
import { type ServerProcess, startServerProcess } from './server-process.ts'

let server: ServerProcess

beforeAll(async () => {
  server = await startServerProcess()
  const upstream = await startUpstream()
  const { action, token } = await callable(server.owner, { target_url: upstream.url })
  // What every process takes once, code and caches, is not what an upstream makes it take.
  for (let n = 0; n < 300; n += 1) await call(server, token, action.id, {})
  await upstream.stop()
})
afterAll(() => server.stop())

const timeout_ms = 1_000

const tried = async (
  target_url: string,
  action: Partial<Parameters<typeof callable>[1]> = {},
  input: unknown = {},
) => {
  const made = await callable(server.owner, { target_url, timeout_ms, input_schema: anything, ...action })
  const answer = await call(server, made.token, made.action.id, input)
  const execution = await server.owner.narrow.executions.get(answer.executionId ?? '')
  return { ...made, answer, execution, told: `${answer.status} ${answer.error}` }
}
const anything = { type: 'object' as const }

/** Whole: it ended, as what the caller was told, and says what became of the upstream call. */
const expectWhole = ({ answer, execution }: Awaited<ReturnType<typeof tried>>) => {
  const isFailed = answer.error !== null
  expect(execution).toMatchObject({
    status: isFailed ? 'failed' : 'completed',
    upstream: { attempts: 1, duration_ms: expect.any(Number), bytes: expect.any(Number) },
    completed_at: expect.any(String),
  })
  expect(execution.error?.code ?? null).toBe(answer.error)
}

describe('an upstream that', () => {
  test.each(hostile)('$does costs bounded time and memory and is told as $told', async (one: Hostile) => {
    const { authority, stop } = await startHostile(one.behave)
    try {
      const before = await server.memory.begin()
      const done = await tried(`${one.scheme ?? 'http'}://${authority}/`, {
        ...(one.method && { method: one.method }),
        // Whatever is refused for what it sends has time to send it, on a busy machine too.
        timeout_ms: one.told === timeout ? timeout_ms : 10_000,
      })
      expect(done.told).toBe(one.told)
      expect((await server.memory.peak()) - before).toBeLessThan(50)
      expectWhole(done)
    } finally {
      stop()
    }
  })

  test('refuses connections is told as never sent', async () => {
    const done = await tried(`http://127.0.0.1:${await freePort()}/`)
    expect(done.told).toBe('502 upstream_error')
    expectWhole(done)
  })

  test('accepts no connection costs the deadline, whether its queue has room or not', async () => {
    // The kernel completes as many connections as the queue holds, for a program that never takes one out.
    const deaf = await startProgram(['-e', neverAccepts], { announces: /port (\d+)/ })
    try {
      const url = `http://127.0.0.1:${deaf.announced}/`
      const all = []
      for (let n = 0; n < 4; n += 1) all.push(await tried(url))
      expect(tally(all.map(({ told }) => told))).toEqual({ '504 upstream_timeout': 4 })
      const messages = tally(all.map(({ answer }) => String(answer.body?.message)))
      expect(Object.keys(messages).sort()).toEqual([
        'The upstream could not be reached in time',
        'The upstream did not answer in time; it may have acted',
      ])
      for (const done of all) expectWhole(done)
    } finally {
      await deaf.stop()
    }
  })

  test('never reads a large request costs no more than its deadline', async () => {
    const { authority, stop } = await startHostile((socket) => void socket.pause())
    try {
      const done = await tried(`http://${authority}/`, {}, { text: 'a'.repeat(900_000) })
      expect(done.told).toBe('504 upstream_timeout')
      expectWhole(done)
    } finally {
      stop()
    }
  })

  test('sends more than its length does not answer the next call with the rest', async () => {
    const surplus = hostile.find(({ does }) => does === 'sends more than its length')
    const { authority, stop } = await startHostile(surplus?.behave ?? (() => {}))
    try {
      const { token, action } = await tried(`http://${authority}/`)
      for (let n = 0; n < 5; n += 1) {
        expect((await call(server, token, action.id, {})).text).toBe('{}')
      }
    } finally {
      stop()
    }
  })
})

const neverAccepts = `
  const server = require('node:net').createServer()
  server.listen({ port: 0, host: '127.0.0.1', backlog: 1 }, () => {
    require('node:fs').writeSync(1, 'port ' + server.address().port + '\\n')
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0)
  })`

test('a hundred hostile calls at once leave other targets served, and memory bounded', async () => {
  const kinds = [
    'trickles its body',
    'accepts and says nothing',
    'never ends its chunks',
    'floods with early hints',
    'sends a gzip bomb',
  ]
  const chosen = hostile.filter(({ does }) => kinds.includes(does))
  expect(chosen).toHaveLength(kinds.length)
  const targets = await Promise.all(chosen.map(({ behave }) => startHostile(behave)))
  const good = await startUpstream()
  try {
    good.answer = json(200, { fine: true })
    const fine = await callable(server.owner, { target_url: good.url })
    const policy = { timeout_ms: 4_000, response: { max_bytes: 100_000 } }
    const bad: Awaited<ReturnType<typeof callable>>[] = []
    for (const { authority } of targets) {
      bad.push(await callable(server.owner, { target_url: `http://${authority}/`, ...policy }))
    }
    const quiet = await latencies(60, () => call(server, fine.token, fine.action.id, {}))
    const before = await server.memory.begin()
    const attack = Promise.all(
      Array.from({ length: 100 }, async (_, n) => {
        const { token, action } = bad[n % bad.length] ?? fine
        return call(server, token, action.id, {})
      }),
    )
    let isOver = false
    const attacked = attack.finally(() => {
      isOver = true
    })
    const during: number[] = []
    while (!isOver) during.push(...(await latencies(1, () => call(server, fine.token, fine.action.id, {}))))
    const told = tally((await attacked).map(({ error }) => error))
    // Those that come after a target's first ten failures may find its breaker open.
    const { upstream_timeout: hung = 0, invalid_upstream_response: unusable = 0, unavailable = 0 } = told
    expect([hung + unusable + unavailable, told]).toEqual([100, told])
    expect(Math.min(hung, unusable)).toBeGreaterThanOrEqual(20)
    // They were served while the attack went on, and the usual one not noticeably later than without it.
    expect(during.length).toBeGreaterThan(20)
    expect(middle(during)).toBeLessThan(Math.max(10 * middle(quiet), policy.timeout_ms / 10))
    expect((await server.memory.peak()) - before).toBeLessThan(150)
  } finally {
    await good.stop()
    for (const { stop } of targets) stop()
  }
})

const latencies = async (count: number, act: () => Promise<{ status: number }>): Promise<number[]> => {
  const taken: number[] = []
  for (let n = 0; n < count; n += 1) {
    const begun = performance.now()
    expect((await act()).status).toBe(200)
    taken.push(performance.now() - begun)
  }
  return taken
}

const middle = (values: readonly number[]): number =>
  values.toSorted((one, other) => one - other)[Math.floor(values.length / 2)] ?? 0

test('callers that go away leave whole records, and their places to others', async () => {
  const upstream = await startUpstream()
  try {
    const release = Promise.withResolvers<void>()
    upstream.answer = async (request, res) => {
      await release.promise
      json(200, { done: true })(request, res)
    }
    const { action, token } = await callable(server.owner, { target_url: upstream.url })
    const leave = new AbortController()
    // More than the connections that one origin gets, so that some wait for one when their caller goes.
    const gone = Array.from({ length: 150 }, () =>
      fetch(`${server.url}/x/${action.id}`, {
        method: 'POST',
        headers: { authorization: `Bearer ${token}` },
        signal: leave.signal,
      }).then(
        () => 'answered',
        () => 'gone',
      ),
    )
    await expect.poll(() => upstream.received.length, { timeout: 20_000 }).toBe(128)
    leave.abort()
    expect(tally(await Promise.all(gone))).toEqual({ gone: 150 })
    const states = async () =>
      tally(
        (
          await server.database.sql<{ status: string }[]>`
        select status from executions where action_id = ${action.id}`
        ).map(({ status }) => status),
      )
    expect(await states()).toEqual({ running: 150 })
    release.resolve()
    await expect.poll(states, { timeout: 20_000 }).toEqual({ completed: 150 })
    expect(upstream.received).toHaveLength(150)
    expect((await call(server, token, action.id, {})).status).toBe(200)
  } finally {
    await upstream.stop()
  }
})
