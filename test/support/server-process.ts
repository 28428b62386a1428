import { type ChildProcess, spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { NarrowAPI } from '@narrowapi/sdk'

export const main = fileURLToPath(new URL('../../server/src/main.ts', import.meta.url))

/** The server as an operator runs it: `main.ts` in a process of its own. */
export type ServerProcess = {
  url: string
  pid: number
  child: ChildProcess
  /** Everything it wrote so far, on both streams. */
  output(): string
  /** Its lines of log so far, or those with a message. */
  logged(message?: string): Record<string, unknown>[]
  /** Sends SIGTERM, or the given signal, and waits for the end; gives the exit code, null after a kill. */
  stop(signal?: NodeJS.Signals): Promise<number | null>
  exited: Promise<number | null>
}

export type Launch = {
  environment: Record<string, string>
  args?: readonly string[]
  /** Arguments for Node ahead of the program. */
  nodeArgs?: readonly string[]
  /** Where output goes instead of being read. */
  stdout?: number
}

/** Every server of a test has the same master key, or the second would not open what the first has sealed. */
const masterKey = randomBytes(32).toString('base64')

export const startProcess = async ({
  environment,
  args = [],
  nodeArgs = [],
  stdout,
}: Launch): Promise<ServerProcess> => {
  const child = spawn(process.execPath, [...nodeArgs, main, ...args], {
    env: {
      PATH: process.env.PATH,
      PORT: '0',
      NARROWAPI_MASTER_KEY: masterKey,
      NARROWAPI_EGRESS_ALLOW: '127.0.0.1',
      LOG_LEVEL: 'info',
      ...environment,
    },
    stdio: ['ignore', stdout ?? 'pipe', 'pipe'],
  })
  // A test that failed before it stopped its server leaves none behind.
  const end = () => child.kill('SIGKILL')
  process.once('exit', end)
  let output = ''
  for (const stream of [child.stdout, child.stderr]) {
    stream?.setEncoding('utf8').on('data', (text: string) => {
      output += text
    })
  }
  const exited = once(child, 'close').then(() => {
    process.off('exit', end)
    return child.exitCode
  })
  const url = await new Promise<string>((resolve, reject) => {
    const look = () => {
      const found = /answers at (http:\S+)/.exec(output)?.[1]
      if (found) resolve(found)
    }
    if (child.stdout === null) resolve(`http://127.0.0.1:${environment.PORT}`)
    child.stdout?.on('data', look)
    exited.then((code) => reject(new Error(`The server ended with ${code}: ${output}`)), reject)
  })
  if (child.pid === undefined) throw new Error('The server has no process')
  return {
    url,
    pid: child.pid,
    child,
    exited,
    output: () => output,
    logged: (message) =>
      output
        .split('\n')
        .flatMap(parsedLine)
        .filter(({ msg }) => message === undefined || msg === message),
    stop(signal = 'SIGTERM') {
      child.kill(signal)
      return exited
    },
  }
}

/** The owner key that the first start on an empty database printed. */
export const ownerOf = (server: ServerProcess): NarrowAPI =>
  new NarrowAPI({ apiKey: ownerKeyOf(server), baseUrl: server.url, retries: 0 })

export const ownerKeyOf = (server: ServerProcess): string => {
  const key = /\bsk_[0-9A-Za-z]{49}/.exec(server.output())?.[0]
  if (key === undefined) throw new Error('This start printed no owner key')
  return key
}

const parsedLine = (line: string): Record<string, unknown>[] => {
  if (!line.startsWith('{')) return []
  try {
    return [JSON.parse(line)]
  } catch {
    return []
  }
}
