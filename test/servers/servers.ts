import { type ChildProcess, spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { NarrowAPI } from '@narrowapi/sdk'
import { expect } from 'vitest'
import { createDatabase, type TestDatabase } from '../support/database.ts'

export const main = fileURLToPath(new URL('../../server/src/main.ts', import.meta.url))

/** The server as an operator runs it: a process of its own. */
export type ServerProcess = {
  url: string
  child: ChildProcess
  /** Everything it has written. */
  output(): string
  /** Its lines of log, parsed. */
  logged(message: string): Record<string, unknown>[]
  exited: Promise<number | null>
}

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
  const common = {
    PATH: process.env.PATH,
    PORT: '0',
    DATABASE_URL: database.url,
    NARROWAPI_MASTER_KEY: randomBytes(32).toString('base64'),
    NARROWAPI_EGRESS_ALLOW: '127.0.0.1',
    ...environment,
  }
  const first = await startProcess(common, args)
  const others = await Promise.all(Array.from({ length: count - 1 }, () => startProcess(common, args)))
  const all = [first, ...others]
  const apiKey = /sk_[0-9A-Za-z]{49}/.exec(first.output())?.[0] ?? ''
  const narrow = new NarrowAPI({ apiKey, baseUrl: first.url, retries: 0 })
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

const startProcess = async (
  environment: Record<string, string | undefined>,
  args: readonly string[],
): Promise<ServerProcess> => {
  const child = spawn(process.execPath, [main, ...args], {
    env: environment,
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  let output = ''
  const exited = once(child, 'close').then(() => child.exitCode)
  const url = await new Promise<string>((resolve, reject) => {
    for (const stream of [child.stdout, child.stderr]) {
      stream.setEncoding('utf8').on('data', (text: string) => {
        output += text
        const found = /answers at (http:\S+)/.exec(output)?.[1]
        if (found) resolve(found)
      })
    }
    exited.then(() => reject(new Error(`The server did not start: ${output}`)), reject)
  })
  const logged = (message: string) =>
    output
      .split('\n')
      .filter((line) => line.startsWith('{') && line.includes(message))
      .map((line): Record<string, unknown> => JSON.parse(line))
      .filter(({ msg }) => msg === message)
  return { url, child, output: () => output, logged, exited }
}

const endProcess = async ({ child, exited }: ServerProcess): Promise<void> => {
  if (child.exitCode === null && child.signalCode === null) {
    child.kill('SIGTERM')
    // A server that a test has broken must not keep the others.
    const insist = setTimeout(() => child.kill('SIGKILL'), 20_000)
    await exited
    clearTimeout(insist)
  }
}

/** Waits for something that comes by itself, but not for ever. */
export const eventually = (read: () => unknown, timeout = 28_000) =>
  expect.poll(read, { timeout, interval: 50 })
