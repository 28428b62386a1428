import type { NarrowAPI } from '@narrowapi/sdk'
import { expect } from 'vitest'
import { createDatabase, type TestDatabase } from '../support/database.ts'
import { ownerOf, type ServerProcess, startProcess } from '../support/server-process.ts'

export type Servers = {
  all: ServerProcess[]
  database: TestDatabase
  /** A client of the first server with every right. */
  narrow: NarrowAPI
  workspaceId: string
  stop(): Promise<void>
}

/** So many servers on one database, which is new. */
export const startServers = async (
  count: number,
  environment: Record<string, string> = {},
  args: readonly string[] = [],
): Promise<Servers> => {
  const database = await createDatabase()
  const start = () => startProcess({ environment: { DATABASE_URL: database.url, ...environment }, args })
  // The first makes the installation, and prints the owner key.
  const first = await start()
  const others = await Promise.all(Array.from({ length: count - 1 }, start))
  const all = [first, ...others]
  const narrow = ownerOf(first)
  const [workspace] = (await narrow.workspaces.list()).data
  return {
    all,
    database,
    narrow,
    workspaceId: workspace?.id ?? '',
    async stop() {
      await Promise.all(all.map(endProcess))
      await database.drop()
    },
  }
}

const endProcess = async (server: ServerProcess): Promise<void> => {
  // A server that a test has broken must not keep the others.
  const insist = setTimeout(() => server.child.kill('SIGKILL'), 20_000)
  await server.stop()
  clearTimeout(insist)
}

/** Waits for something that comes by itself, but not for ever. */
export const eventually = (read: () => unknown, timeout = 28_000) =>
  expect.poll(read, { timeout, interval: 50 })
