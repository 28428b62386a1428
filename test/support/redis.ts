import { type ChildProcess, spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { tmpdir } from 'node:os'
import { debianProgram } from './debian.ts'
import { freePort } from './port.ts'

export type RedisServer = {
  /** With a password, as everywhere that matters. */
  url: string
  port: number
  password: string
  /** It keeps its connections and answers nothing, until it is resumed. */
  pause(): void
  resume(): void
  /** Ends it without a word, and what it knew with it. */
  kill(): Promise<void>
  /** Starts it anew, empty, where it was. */
  start(): Promise<void>
}

/** A real Redis of its own, on loopback, that keeps nothing on disk: Debian's, or the one on PATH. */
export const startRedis = async (options: readonly string[] = []): Promise<RedisServer> => {
  const program = await debianProgram({ command: 'redis-server' })
  const password = randomBytes(12).toString('hex')
  const port = await freePort()
  const settings = ['--port', String(port), '--bind', '127.0.0.1', '--save', '', '--requirepass', password]
  const launch = async (): Promise<ChildProcess> => {
    const child = spawn(program.path, [...settings, ...options], {
      cwd: tmpdir(),
      env: { ...process.env, ...program.environment },
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    let output = ''
    child.stdout.setEncoding('utf8')
    for await (const chunk of child.stdout) {
      output += chunk
      if (output.includes('Ready to accept connections')) break
    }
    if (!output.includes('Ready to accept connections')) throw new Error(`Redis did not start: ${output}`)
    return child
  }
  let child = await launch()
  return {
    url: `redis://:${password}@127.0.0.1:${port}`,
    port,
    password,
    pause: () => child.kill('SIGSTOP'),
    resume: () => child.kill('SIGCONT'),
    async kill() {
      if (child.exitCode !== null || child.signalCode !== null) return
      child.kill('SIGKILL')
      await once(child, 'exit')
    },
    async start() {
      child = await launch()
    },
  }
}
