import { spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { chmod, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { findPostmaster } from '../../server/src/db/embedded-cluster.ts'
import { ask } from '../support/send.ts'
import { ownerKeyOf, type ServerProcess, startProcess } from '../support/server-process.ts'
import { until } from './callers.ts'

let dataDir: string
let environment: Record<string, string>
let server: ServerProcess

beforeAll(async () => {
  dataDir = await mkdtemp(join(tmpdir(), 'narrowapi-ended-'))
  await chmod(dataDir, 0o755)
  environment = {
    NARROWAPI_DATA_DIR: dataDir,
    NARROWAPI_MASTER_KEY: randomBytes(32).toString('base64'),
  }
  server = await startProcess({ environment })
})

afterAll(async () => {
  await server.stop()
  await rm(dataDir, { recursive: true, force: true, maxRetries: 5 })
})

const main = fileURLToPath(new URL('../../server/src/main.ts', import.meta.url))

const folder = () => join(dataDir, 'postgres')

test('an embedded database that ended is started again by the server it belongs to, with all it had', async () => {
  const credential = ownerKeyOf(server)
  const create = (name: string) =>
    ask(server.url, 'POST /api/v1/secrets', { credential, body: { name, value: 'value' } })
  expect((await create('before')).status).toBe(201)
  for (const signal of ['SIGQUIT', 'SIGINT'] as const) {
    const ended = await findPostmaster(folder())
    if (ended === undefined) throw new Error('No database runs')
    process.kill(ended, signal)
    await until('another one runs', async () => ![undefined, ended].includes(await findPostmaster(folder())))
    await until('changes are made again', async () => (await create(`after ${signal}`)).status === 201)
  }
  const list = await ask(server.url, 'GET /api/v1/secrets', { credential })
  expect(list.text).toContain('before')
  expect(server.output()).toContain('ended unexpectedly; it is started again')
})

test('a stop of the server ends its database, and nothing starts that again', async () => {
  expect(await server.stop()).toBe(0)
  expect(await findPostmaster(folder())).toBeUndefined()
})

test.each(['SIGTERM', 'SIGHUP'] as const)(
  '%s while a server starts ends its database and the process',
  async (signal) => {
    const child = spawn(process.execPath, [main], {
      env: { PATH: process.env.PATH, PORT: '0', ...environment },
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    let output = ''
    for (const stream of [child.stdout, child.stderr]) {
      stream.on('data', (chunk: Buffer) => {
        output += String(chunk)
      })
    }
    const closed = once(child, 'close')
    await until('its database runs', async () => (await findPostmaster(folder())) !== undefined)
    child.kill(signal)
    await closed
    expect([child.exitCode, await findPostmaster(folder())]).toEqual([0, undefined])
    expect(output).not.toContain('answers at')
  },
)
