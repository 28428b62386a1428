import { randomBytes } from 'node:crypto'
import { readFile, writeFile } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'
import { NarrowAPI } from '@narrowapi/sdk'
import { createDatabase, type TestDatabase } from '../support/database.ts'
import { startProgram } from '../support/program.ts'
import type { Actor } from '../support/server.ts'

const main = fileURLToPath(new URL('../../server/src/main.ts', import.meta.url))

export type ServerProcess = {
  url: string
  owner: Actor
  database: TestDatabase
  memory: Memory
  stop(): Promise<void>
}

/** The server as an operator runs it, so that its memory is its own; upstreams on this machine are allowed. */
export const startServerProcess = async (
  environment: Record<string, string> = {},
): Promise<ServerProcess> => {
  const database = await createDatabase()
  const program = await startProgram([main], {
    announces: /answers at (http:\S+)/,
    environment: {
      PORT: '0',
      DATABASE_URL: database.url,
      NARROWAPI_MASTER_KEY: randomBytes(32).toString('base64'),
      NARROWAPI_EGRESS_ALLOW: '127.0.0.1',
      ...environment,
    },
  })
  const url = program.announced
  const [key] = /sk_[0-9A-Za-z]+/.exec(program.output()) ?? []
  if (key === undefined) throw new Error(`The first start printed no key:\n${program.output()}`)
  const [workspace] = await database.sql<{ id: string }[]>`select id from workspaces`
  return {
    url,
    database,
    owner: {
      workspaceId: workspace?.id ?? '',
      key,
      narrow: new NarrowAPI({ apiKey: key, baseUrl: url, retries: 0 }),
    },
    memory: memoryOf(program.pid),
    async stop() {
      await program.stop()
      await database.drop()
    },
  }
}

export type Memory = {
  /** Resident megabytes now; what was the most so far is forgotten. */
  begin(): Promise<number>
  /** The most resident megabytes since then. */
  peak(): Promise<number>
}

/** By the proc file system of Linux: nothing that looks now and then would see a peak. */
const memoryOf = (pid: number): Memory => {
  const megabytes = async (field: string): Promise<number> => {
    const status = await readFile(`/proc/${pid}/status`, 'utf8')
    const [, kilobytes] = new RegExp(`^${field}:\\s+(\\d+) kB$`, 'm').exec(status) ?? []
    if (kilobytes === undefined) throw new Error(`The status of the process has no ${field}`)
    return Number(kilobytes) / 1024
  }
  return {
    async begin() {
      await writeFile(`/proc/${pid}/clear_refs`, '5')
      return megabytes('VmRSS')
    },
    peak: () => megabytes('VmHWM'),
  }
}
