import { chmod, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { findPostmaster } from '../../server/src/db/embedded-cluster.ts'
import { ask } from '../support/send.ts'
import { ownerKeyOf, type ServerProcess, startProcess } from '../support/server-process.ts'
import { until } from './callers.ts'

let dataDir: string
let server: ServerProcess

beforeAll(async () => {
  dataDir = await mkdtemp(join(tmpdir(), 'narrowapi-ended-'))
  await chmod(dataDir, 0o755)
  server = await startProcess({ environment: { NARROWAPI_DATA_DIR: dataDir } })
})

afterAll(async () => {
  await server.stop()
  await rm(dataDir, { recursive: true, force: true, maxRetries: 5 })
})

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
