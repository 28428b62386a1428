import { randomBytes } from 'node:crypto'
import { NarrowAPI } from '@narrowapi/sdk'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { readConfig } from '../../server/src/config.ts'
import { createLog } from '../../server/src/log.ts'
import { startServer } from '../../server/src/start.ts'
import { createCluster, type TestCluster } from '../support/cluster.ts'

let cluster: TestCluster

beforeAll(async () => {
  cluster = await createCluster()
  await cluster.start()
})

afterAll(() => cluster.remove())

test('an owner of the database who may make roles, and is no superuser, is all that a first start needs', async () => {
  await cluster.sql`create role landlord login createrole`
  await cluster.sql`create database house owner landlord`
  const config = readConfig({
    PORT: '0',
    DATABASE_URL: `postgres://landlord@127.0.0.1:${cluster.port}/house`,
    NARROWAPI_MASTER_KEY: randomBytes(32).toString('base64'),
  })
  const server = await startServer(config, createLog('silent'))
  try {
    const narrow = new NarrowAPI({ apiKey: server.ownerKey ?? '', baseUrl: server.url })
    expect((await narrow.actions.list()).data).toEqual([])
    const [row] = await server.deps.system<{ name: string }[]>`select current_user::text as name`
    expect(row?.name).toBe('narrowapi_system')
  } finally {
    await server.stop()
  }
})

test('an owner who may not make roles is told both that are missing, and starts once an administrator made them', async () => {
  await cluster.sql`drop database if exists house with (force)`
  await cluster.sql`drop role if exists narrowapi_app, narrowapi_system`
  await cluster.sql`create role "Ten ant" login`
  await cluster.sql`create database "flat 2" owner "Ten ant"`
  const config = readConfig({
    PORT: '0',
    DATABASE_URL: `postgres://Ten%20ant@127.0.0.1:${cluster.port}/flat%202`,
    NARROWAPI_MASTER_KEY: randomBytes(32).toString('base64'),
  })
  const start = () => startServer(config, createLog('silent'))
  const refused = (statements: string) =>
    expect(start()).rejects.toThrow(`As an administrator run: ${statements}`)
  const grant = 'grant narrowapi_app, narrowapi_system to "Ten ant"'
  await refused(`create role narrowapi_app nologin; create role narrowapi_system nologin; ${grant}`)
  await cluster.sql`create role narrowapi_app nologin`
  await refused(`create role narrowapi_system nologin; ${grant}`)
  await cluster.sql`create role narrowapi_system nologin`
  await refused(grant)
  await cluster.sql.unsafe(grant)
  const server = await start()
  expect(server.ownerKey).not.toBeNull()
  await server.stop()
})
