import { type ChildProcess, spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { chmod, mkdtemp, readdir, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { NarrowAPI } from '@narrowapi/sdk'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { readConfig } from '../../server/src/config.ts'
import { findPostmaster } from '../../server/src/db/embedded-cluster.ts'
import { json, startUpstream, type Upstream } from '../support/upstream.ts'
import { type Answered, call, tally } from './calls.ts'

const main = fileURLToPath(new URL('../../server/src/main.ts', import.meta.url))
const masterKey = randomBytes(32).toString('base64')

let dataDir: string
let upstream: Upstream
let running: Server

/** The server as an operator runs it: a process of its own. */
type Server = { url: string; output: () => string; child: ChildProcess; exited: Promise<number | null> }

const launch = (environment: Record<string, string> = {}) => {
  const child = spawn(process.execPath, [main], {
    env: {
      PATH: process.env.PATH,
      PORT: '0',
      NARROWAPI_DATA_DIR: dataDir,
      NARROWAPI_MASTER_KEY: masterKey,
      NARROWAPI_EGRESS_ALLOW: '127.0.0.1',
      LOG_LEVEL: 'debug',
      ...environment,
    },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  let output = ''
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8').on('data', (text: string) => {
      output += text
    })
  }
  const exited = once(child, 'close').then(() => child.exitCode)
  return { child, exited, output: () => output }
}

const start = async (): Promise<Server> => {
  const launched = launch()
  const url = await new Promise<string>((resolve, reject) => {
    const look = () => {
      const found = /answers at (http:\S+)/.exec(launched.output())?.[1]
      if (found) resolve(found)
    }
    launched.child.stdout.on('data', look)
    launched.exited.then(() => reject(new Error(`The server did not start: ${launched.output()}`)), reject)
  })
  return { ...launched, url }
}

/** Every file below a folder, as bytes. */
const contents = async (folder: string): Promise<Buffer[]> => {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true })
  const files = entries.filter((entry) => entry.isFile())
  return Promise.all(files.map((entry) => readFile(join(entry.parentPath, entry.name))))
}

const eventually = (read: () => Promise<unknown>) => expect.poll(read, { timeout: 28_000, interval: 250 })

beforeAll(async () => {
  dataDir = await mkdtemp(join(tmpdir(), 'narrowapi-crash-'))
  await chmod(dataDir, 0o755)
  upstream = await startUpstream()
  running = await start()
})

afterAll(async () => {
  if (running.child.exitCode === null) {
    running.child.kill('SIGTERM')
    await running.exited
  }
  // A killed server leaves its database running; nobody will take this one over.
  const postmaster = await findPostmaster(join(dataDir, 'postgres'))
  if (postmaster !== undefined) process.kill(postmaster, 'SIGINT')
  await upstream.stop()
  await rm(dataDir, { recursive: true, force: true, maxRetries: 10, retryDelay: 200 })
})

const secretValue = `upstream-${randomBytes(12).toString('hex')}`
const narrow = () => new NarrowAPI({ apiKey: ownerKey, baseUrl: running.url, retries: 0 })
let ownerKey = ''
let token = ''
let actionId = ''

test('the first start prints an owner key that works, in a line to paste', async () => {
  const printed = running.output()
  ownerKey = /sk_[0-9A-Za-z]+/.exec(printed)?.[0] ?? ''
  const pasted = new RegExp(`curl (\\S+) -H "Authorization: Bearer ${ownerKey}"`).exec(printed)
  const response = await fetch(pasted?.[1] ?? '', { headers: { authorization: `Bearer ${ownerKey}` } })
  expect(response.status).toBe(200)
  const action = await narrow().actions.create({
    name: 'Counted',
    target_url: `${upstream.url}/{n}`,
    input_schema: [{ name: 'n', type: 'integer', required: true }],
    auth_type: 'bearer',
    auth_value: secretValue,
    rate_limit_rpm: 100_000,
    timeout_ms: 1_000,
  })
  actionId = action.id
  token = (await narrow().tokens.create({ name: 'bot', action_ids: [action.id] })).token
})

test.runIf(process.platform === 'linux')(
  'no credential and no secret is in an argument or an open page',
  async () => {
    expect((await call(running, token, actionId, { n: 3_000 })).status).toBe(200)
    const postmaster = await findPostmaster(join(dataDir, 'postgres'))
    const lines = await Promise.all(
      [running.child.pid, postmaster].map((pid) => readFile(`/proc/${pid}/cmdline`, 'utf8')),
    )
    const pages = await Promise.all(
      ['/healthz', '/readyz', '/docs', '/llms.txt'].map((path) => fetch(running.url + path)),
    )
    const shown = [...lines, ...(await Promise.all(pages.map((page) => page.text())))].join('\n')
    expect(shown).toContain(dataDir)
    for (const canary of [secretValue, token, ownerKey, masterKey]) expect(shown).not.toContain(canary)
  },
)

test('a kill during two hundred executions loses no answer, and sends nothing twice', async () => {
  const calls = 200
  upstream.answer = (request, res) =>
    setTimeout(() => json(200, { ok: true })(request, res), 5 + Math.random() * 20)
  const ledger: (Answered | null)[] = Array.from({ length: calls }, () => null)
  let answered = 0
  let next = 0
  const worker = async () => {
    for (let n = next; n < calls; n = next) {
      next += 1
      const answer = await call(running, token, actionId, { n }, withKey(n)).catch(() => null)
      ledger[n] = answer
      answered += answer === null ? 0 : 1
      if (answered === 70) running.child.kill('SIGKILL')
    }
  }
  await Promise.all(Array.from({ length: 16 }, worker))
  await running.exited
  const told = ledger.filter((answer) => answer !== null)
  expect(tally(told.map(({ status }) => status))).toEqual({ 200: told.length })
  expect(told.length).toBeGreaterThanOrEqual(70)
  expect(told.length).toBeLessThan(calls)
  const sent = upstream.received.length

  running = await start()
  expect(running.output()).not.toContain('sk_')
  const recorded = new Map<string, string>()
  for await (const { id, status } of narrow().executions.list({ limit: 100 })) recorded.set(id, status)
  // Answered means recorded; sent means recorded before.
  expect(told.filter(({ executionId }) => recorded.get(executionId ?? '') !== 'completed')).toEqual([])
  expect(recorded.size).toBeGreaterThanOrEqual(sent)

  await eventually(async () => (await narrow().executions.list({ status: 'running' })).data.length).toBe(0)
  const ended = (await narrow().executions.list({ status: 'failed', limit: 100 })).data
  expect(new Set(ended.map(({ error }) => error?.code))).toEqual(new Set(['upstream_outcome_unknown']))

  // Everyone asks again with the same key: what may have been sent is told, what was not is sent now.
  const again = await Promise.all(ledger.map((_, n) => call(running, token, actionId, { n }, withKey(n))))
  again.forEach((answer, n) => {
    const before = ledger[n]
    if (before) expect([n, answer.status, answer.executionId]).toEqual([n, 200, before.executionId])
    else expect([null, 'upstream_outcome_unknown']).toContain(answer.error)
  })
  const sendings = tally(upstream.received.map(({ url }) => url))
  expect(Object.entries(sendings).filter(([, count]) => count > 1)).toEqual([])
})

const withKey = (n: number) => ({ headers: { 'idempotency-key': `call-${n}` } })

test('SIGTERM finishes what has begun, takes nothing new and exits with 0', async () => {
  await narrow().actions.update(actionId, { timeout_ms: 60_000 })
  const release = Promise.withResolvers<void>()
  const arrived = Promise.withResolvers<void>()
  upstream.answer = async (request, res) => {
    arrived.resolve()
    await release.promise
    json(200, { late: true })(request, res)
  }
  const begun = call(running, token, actionId, { n: 1_000 })
  await arrived.promise
  running.child.kill('SIGTERM')
  await eventually(async () => running.output()).toContain('stopping')
  expect((await call(running, token, actionId, { n: 1_001 })).status).toBe(503)
  release.resolve()
  expect((await begun).body).toEqual({ late: true })
  expect(await running.exited).toBe(0)
  expect(upstream.received.filter(({ url }) => url === '/1001')).toEqual([])
})

test('a wrong master key and a wrong setting stop the start with a sentence that names them', async () => {
  const wrongKey = launch({ NARROWAPI_MASTER_KEY: randomBytes(32).toString('base64') })
  expect(await wrongKey.exited).toBe(1)
  expect(wrongKey.output()).toContain('NARROWAPI_MASTER_KEY')
  expect(wrongKey.output()).not.toMatch(/\n\s+at /)
  const wrongPort = launch({ PORT: 'http-4711' })
  expect(await wrongPort.exited).toBe(1)
  expect(wrongPort.output()).toContain('PORT')
  expect(wrongPort.output()).not.toMatch(/4711|\n\s+at /)
})

test.each([
  ['PORT', '65536'],
  ['DATABASE_URL', 'mysql://user:4711@host/x'],
  ['REDIS_URL', 'http://user:4711@host/x'],
  ['NARROWAPI_WORKERS', '-4711'],
  ['NARROWAPI_WORKERS', 'all-4711'],
  ['NARROWAPI_EGRESS_ALLOW', '10.0.0.0/4711'],
  ['NARROWAPI_PUBLIC_URL', 'ftp://4711'],
  ['LOG_LEVEL', 'loud-4711'],
])('the setting %s=%s is refused by name and not repeated', (name, value) => {
  const read = () => readConfig({ [name]: value })
  expect(read).toThrow(name)
  if (name !== 'NARROWAPI_EGRESS_ALLOW') expect(read).not.toThrow('4711')
})

test('after a restart everything is there and the key is not shown again; a second SIGTERM does not wait', async () => {
  running = await start()
  expect(running.output()).not.toContain('sk_')
  expect((await narrow().actions.get(actionId)).name).toBe('Counted')
  const arrived = Promise.withResolvers<void>()
  upstream.answer = () => arrived.resolve()
  const begun = call(running, token, actionId, { n: 2_000 }).then(
    () => 'answered',
    () => 'cut off',
  )
  await arrived.promise
  const startedAt = performance.now()
  running.child.kill('SIGTERM')
  await eventually(async () => running.output()).toContain('stopping')
  running.child.kill('SIGTERM')
  expect(await running.exited).toBe(1)
  expect(performance.now() - startedAt).toBeLessThan(10_000)
  expect(await begun).toBe('cut off')
  running = await start()
  running.child.kill('SIGTERM')
  expect(await running.exited).toBe(0)
})

test('no credential and no secret is in the data directory in clear', async () => {
  const files = await contents(dataDir)
  expect(files.length).toBeGreaterThan(100)
  // The files are the right ones: they know the action.
  expect(files.some((bytes) => bytes.includes(actionId))).toBe(true)
  for (const canary of [secretValue, token, ownerKey, masterKey]) {
    const spellings = [
      canary,
      Buffer.from(canary).toString('hex'),
      Buffer.from(canary).toString('base64').slice(0, -4),
    ]
    for (const spelling of spellings) expect(files.some((bytes) => bytes.includes(spelling))).toBe(false)
  }
})
