import { spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { readdir, readFile } from 'node:fs/promises'
import { request } from 'node:http'
import { afterAll, beforeAll, expect, test, vi } from 'vitest'
import { call, callable, tally } from '../proxy/calls.ts'
import { createDatabase } from '../support/database.ts'
import { main, type ServerProcess } from '../support/server-process.ts'
import { json, startUpstream, type Upstream } from '../support/upstream.ts'
import { eventually, type Servers, startServers } from './servers.ts'

// Three processes start for each start, on whatever machine.
vi.setConfig({ testTimeout: 90_000 })

let servers: Servers
let upstream: Upstream
let action: { id: string; token: string }

beforeAll(async () => {
  upstream = await startUpstream()
  servers = await startServers(1, { LOG_LEVEL: 'debug', METRICS_PORT: '0' }, ['--workers', '2'])
  const made = await callable(servers, {
    target_url: `${upstream.url}/{n}`,
    input_schema: [{ name: 'n', type: 'integer', required: true }],
  })
  action = { id: made.action.id, token: made.token }
})

afterAll(async () => {
  await servers.stop()
  await upstream.stop()
})

const only = (): ServerProcess => {
  const [server] = servers.all
  if (!server) throw new Error('There is no server')
  return server
}

/** The processes that serve now, by their number: the last to have said that it listens. */
const workers = (): Record<string, number> =>
  Object.fromEntries(
    only()
      .logged('listening')
      .filter(({ worker }) => worker !== undefined)
      .map(({ worker, pid }) => [String(worker), Number(pid)]),
  )

const isAlive = async (pid: number): Promise<boolean> => {
  // A process that has ended and was not waited for is a zombie (proc(5)).
  const status = await readFile(`/proc/${pid}/status`, 'utf8').catch(() => '')
  return status !== '' && !/^State:\s+Z/m.test(status)
}

/** A call on a connection of its own, which the next worker gets. */
const callOnce = (n: number): Promise<{ status: number; text: string }> =>
  new Promise((resolve, reject) => {
    const sent = request(`${only().url}/x/${action.id}`, {
      method: 'POST',
      agent: false,
      headers: { authorization: `Bearer ${action.token}`, 'content-type': 'application/json' },
    })
    sent.once('error', reject)
    sent.once('response', (answer) => {
      answer.toArray().then((chunks) => {
        resolve({ status: answer.statusCode ?? 0, text: chunks.join('') })
      }, reject)
    })
    sent.end(JSON.stringify({ n }))
  })

/** Which workers have answered these calls, by their log of requests. */
const answeredBy = (from: number): Set<unknown> =>
  new Set(
    only()
      .output()
      .slice(from)
      .split('\n')
      .filter((line) => line.startsWith('{') && line.endsWith('}') && line.includes('"POST"'))
      .map((line): unknown => JSON.parse(line).worker),
  )

test('one welcome, one owner key, and both workers answer on one port, each line of log with its number', async () => {
  expect(
    only()
      .output()
      .match(/answers at/g),
  ).toHaveLength(1)
  expect(
    only()
      .output()
      .match(/sk_[0-9A-Za-z]{49}/g)?.length,
  ).toBe(2)
  expect(Object.keys(workers())).toEqual(['1', '2'])
  expect(Object.values(workers())).not.toContain(only().child.pid)
  const from = only().output().length
  const answers = await Promise.all(Array.from({ length: 20 }, (_, n) => callOnce(n)))
  expect(tally(answers.map(({ status }) => status))).toEqual({ 200: 20 })
  await eventually(() => answeredBy(from)).toEqual(new Set([1, 2]))
})

test('each worker serves its figures on a port of its own, also where any will do', () => {
  const served = only()
    .logged('listening')
    .flatMap(({ worker, metrics }) => (worker === undefined ? [] : [metrics]))
  expect(served).toHaveLength(2)
  expect(new Set(served).size).toBe(2)
})

test('a worker that is killed under load is replaced, and no other call fails for it', async () => {
  const ledger: string[] = []
  let isOver = false
  let n = 1_000
  const caller = async (): Promise<void> => {
    while (!isOver) {
      n += 1
      ledger.push(
        await callOnce(n).then(
          ({ status }) => String(status),
          (error: NodeJS.ErrnoException) => String(error.code),
        ),
      )
    }
  }
  const callers = Array.from({ length: 8 }, caller)
  await eventually(() => ledger.length).toBeGreaterThan(50)
  const before = workers()
  process.kill(Number(before['1']), 'SIGKILL')
  await eventually(() => only().logged('a worker ended and is replaced').length).toBe(1)
  await eventually(() => workers()['1']).not.toBe(before['1'])
  const [from, count] = [only().output().length, ledger.length]
  await eventually(() => ledger.length).toBeGreaterThan(count + 50)
  isOver = true
  await Promise.all(callers)
  expect(answeredBy(from)).toEqual(new Set([1, 2]))
  expect(workers()['2']).toBe(before['2'])
  // Lost is what the killed one had in its hands: no more than there were callers.
  const lost = ledger.filter((outcome) => outcome !== '200')
  expect(lost.length).toBeLessThanOrEqual(callers.length)
  expect(new Set([...lost, 'ECONNRESET'])).toEqual(new Set(['ECONNRESET']))
})

test('SIGTERM lets every worker finish what has begun, takes nothing new, and leaves no process', async () => {
  const waiting: (() => void)[] = []
  upstream.received = []
  upstream.answer = (received, res) => waiting.push(() => json(200, { n: received.url })(received, res))
  const from = only().output().length
  const begun = Array.from({ length: 12 }, (_, n) => callOnce(5_000 + n))
  await eventually(() => waiting.length).toBe(12)
  const pids = Object.values(workers())
  only().child.kill('SIGTERM')
  await eventually(() => only().output()).toContain('stopping')
  await eventually(async () =>
    callOnce(6_000).then(
      ({ status }) => status,
      (error) => error.code,
    ),
  ).toBe('ECONNREFUSED')
  for (const answer of waiting) answer()
  const answers = await Promise.all(begun)
  expect(tally(answers.map(({ status }) => status))).toEqual({ 200: 12 })
  expect(await only().exited).toBe(0)
  expect(answeredBy(from)).toEqual(new Set([1, 2]))
  for (const pid of pids) expect([pid, await isAlive(pid)]).toEqual([pid, false])
  expect(upstream.received.filter(({ url }) => url === '/6000')).toEqual([])
})

test('a second SIGTERM ends every process at once', async () => {
  upstream.answer = () => {}
  const again = await startServers(1, {}, ['--workers', '2'])
  const [server] = again.all
  const { id } = await again.narrow.actions.create({ name: 'Hangs', target_url: upstream.url })
  const { token } = await again.narrow.tokens.create({ name: 'bot', action_ids: [id] })
  upstream.received = []
  const begun = server && call(server, token, id, {}).then(String, () => 'cut off')
  await eventually(() => upstream.received.length).toBe(1)
  const pids = (server?.logged('listening') ?? []).flatMap(({ pid }) =>
    pid === undefined ? [] : [Number(pid)],
  )
  expect(pids).toHaveLength(2)
  server?.child.kill('SIGTERM')
  await eventually(() => server?.output()).toContain('stopping')
  server?.child.kill('SIGTERM')
  expect(await server?.exited).toBe(1)
  expect(await begun).toBe('cut off')
  for (const pid of pids) await eventually(() => isAlive(pid)).toBe(false)
  await again.stop()
})

test('workers whose first process is killed finish what has begun, take nothing new, and end', async () => {
  const again = await startServers(1, {}, ['--workers', '2'])
  const [server] = again.all
  if (!server) throw new Error('There is no server')
  const { id } = await again.narrow.actions.create({ name: 'Slow', target_url: upstream.url })
  const { token } = await again.narrow.tokens.create({ name: 'bot', action_ids: [id] })
  const pids = server.logged('listening').flatMap(({ pid }) => (pid === undefined ? [] : [Number(pid)]))
  const waiting: (() => void)[] = []
  upstream.answer = (received, res) => waiting.push(() => json(200, { ok: true })(received, res))
  const begun = [call(server, token, id, {}), call(server, token, id, {})]
  await eventually(() => waiting.length).toBe(2)
  server.child.kill('SIGKILL')
  await eventually(() => server.logged('the first process is gone: finishing what has begun').length).toBe(2)
  await eventually(() =>
    fetch(`${server.url}/health`).then(
      () => 'answers',
      () => 'refused',
    ),
  ).toBe('refused')
  for (const answer of waiting) answer()
  expect(tally((await Promise.all(begun)).map(({ status }) => status))).toEqual({ 200: 2 })
  for (const pid of pids) await eventually(() => isAlive(pid)).toBe(false)
  await again.stop()
})

test('workers whose first process is killed while they start end too', async () => {
  const database = await createDatabase()
  const first = spawn(process.execPath, [main, '--workers', '2'], {
    env: {
      PATH: process.env.PATH,
      PORT: '0',
      DATABASE_URL: database.url,
      NARROWAPI_MASTER_KEY: randomBytes(32).toString('base64'),
    },
    stdio: 'ignore',
  })
  const children = async () => {
    const pids = (await readdir('/proc')).map(Number).filter(Number.isInteger)
    const isChild = await Promise.all(
      pids.map(async (pid) => {
        const status = await readFile(`/proc/${pid}/status`, 'utf8').catch(() => '')
        return status.includes(`\nPPid:\t${first.pid}\n`)
      }),
    )
    return pids.filter((_, index) => isChild[index])
  }
  await eventually(async () => (await children()).length).toBe(2)
  const pids = await children()
  first.kill('SIGKILL')
  for (const pid of pids) await eventually(() => isAlive(pid), 60_000).toBe(false)
  await database.drop()
})

test('a number of workers that is none stops the start with a sentence that names the setting', async () => {
  await expect(startServers(1, {}, ['--workers', 'many-4711'])).rejects.toThrow('NARROWAPI_WORKERS')
  await expect(startServers(1, {}, ['--wrokers', '2'])).rejects.toThrow("Unknown option '--wrokers'")
  await expect(startServers(1, { NARROWAPI_WORKERS: '17', DATABASE_URL: '' })).rejects.toThrow(
    'NARROWAPI_WORKERS',
  )
})

test('a port that is taken stops the start of all', async () => {
  const port = new URL(upstream.url).port
  await expect(startServers(1, { PORT: port }, ['--workers', '2'])).rejects.toThrow('EADDRINUSE')
})
