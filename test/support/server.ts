import { randomBytes } from 'node:crypto'
import { Writable } from 'node:stream'
import { NarrowAPI } from '@narrowapi/sdk'
import { type Clock, systemClock } from '../../server/src/clock.ts'
import { readConfig } from '../../server/src/config.ts'
import type { Deps } from '../../server/src/deps.ts'
import { createOwnerKey, createWorkspace } from '../../server/src/installation.ts'
import { createLog } from '../../server/src/log.ts'
import { startServer } from '../../server/src/start.ts'
import { createDatabase, type TestDatabase } from './database.ts'

export type Actor = { workspaceId: string; key: string; narrow: NarrowAPI }

export type TestServer = {
  url: string
  /** Where the figures are; null unless METRICS_PORT is set. */
  metricsUrl: string | null
  database: TestDatabase
  deps: Deps
  /** Every line the server has logged. */
  logs: string[]
  /** The owner of the first workspace. */
  owner: Actor
  /** The owner of a new workspace. */
  newWorkspace(): Promise<Actor>
  /** A client with any credential; no retries, so that a test sees every answer. */
  as(credential: string): NarrowAPI
  stop(): Promise<void>
}

/** The real server in this process, on a database of its own, with upstreams on this machine allowed. */
export const startTestServer = async (
  options: { environment?: Record<string, string>; clock?: Clock; database?: TestDatabase } = {},
): Promise<TestServer> => {
  const database = options.database ?? (await createDatabase())
  const logs: string[] = []
  const destination = new Writable({
    write(chunk, _encoding, done) {
      logs.push(String(chunk))
      done()
    },
  })
  const config = readConfig({
    PORT: '0',
    DATABASE_URL: database.url,
    NARROWAPI_MASTER_KEY: randomBytes(32).toString('base64'),
    NARROWAPI_EGRESS_ALLOW: '127.0.0.1,localhost',
    LOG_LEVEL: 'debug',
    ...options.environment,
  })
  const clock = options.clock ?? systemClock
  const server = await startServer(config, createLog(config.logLevel, destination), { clock })
  const { deps, url, metricsUrl } = server
  const as = (credential: string) => new NarrowAPI({ apiKey: credential, baseUrl: url, retries: 0 })
  const actor = (workspaceId: string, key: string): Actor => ({ workspaceId, key, narrow: as(key) })
  const newWorkspace = async (): Promise<Actor> => {
    const now = clock.now().toISOString()
    const id = deps.ids.next('ws')
    const name = `w-${id.slice(-8).toLowerCase()}`
    await createWorkspace(deps.system, { id, name, slug: name, now })
    const key = await createOwnerKey(deps.system, {
      workspaceId: id,
      id: deps.ids.next('key'),
      pepper: deps.pepper,
      now,
    })
    return actor(id, key)
  }
  const [first] = await database.sql<{ id: string }[]>`select id from workspaces limit 1`
  if (!first || server.ownerKey === null) throw new Error('The test database was not empty')
  return {
    url,
    metricsUrl,
    database,
    deps,
    logs,
    owner: actor(first.id, server.ownerKey),
    newWorkspace,
    as,
    async stop() {
      await server.stop()
      await database.drop()
    },
  }
}
