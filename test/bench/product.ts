import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { chmod, mkdtemp, open, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { databaseName, superuser } from '../../server/src/db/embedded-cluster.ts'
import { connect, type Pool } from '../../server/src/db/sql.ts'
import { familyOf, pidOf } from './processes.ts'

export type Product = {
  url: string
  /** Empty when this was not the first start. */
  ownerKey: string
  pid: number
  /** The server's process and its workers. */
  pids(): Promise<number[]>
  postgresPid: number
  database: { path: string; database: string; username: string }
  /** A superuser's pool, for counting what was recorded. */
  sql: Pool
  stop(): Promise<void>
}

/**
 * The server as an operator runs it: `main.ts` in production, with its own PostgreSQL, logging to a file. A folder
 * that is given is kept, for another start.
 */
export const startProduct = async ({
  args = [],
  folder: given,
}: {
  args?: readonly string[]
  folder?: string
} = {}): Promise<Product> => {
  const folder = given ?? (await mkdtemp(join(tmpdir(), 'narrowapi-bench-')))
  await chmod(folder, 0o755)
  const dataDir = join(folder, 'data')
  const logFile = join(folder, 'server.log')
  const log = await open(logFile, 'w')
  const main = fileURLToPath(new URL('../../server/src/main.ts', import.meta.url))
  const child = spawn(process.execPath, [...profiling(), main, ...args], {
    env: {
      ...process.env,
      NODE_ENV: 'production',
      LOG_LEVEL: 'info',
      PORT: '0',
      NARROWAPI_DATA_DIR: dataDir,
      NARROWAPI_EGRESS_ALLOW: '127.0.0.1',
    },
    stdio: ['ignore', log.fd, log.fd],
  })
  const ended = once(child, 'exit')
  // However the benchmark ends, its server ends with it, and takes its PostgreSQL along.
  const end = (): void => void child.kill('SIGTERM')
  process.once('exit', end)
  await log.close()
  const { url, ownerKey } = await readWelcome(logFile, () => child.exitCode === null)
  const database = placeOfDatabase(folder)
  const lockFile = join(dataDir, 'postgres', 'postmaster.pid')
  const postgresPid = Number.parseInt(await readFile(lockFile, 'utf8'), 10)
  const sql = connect(database, 'owner', { max: 1 })
  return {
    url,
    ownerKey,
    pid: pidOf(child),
    pids: async () => (await familyOf(pidOf(child))).filter((pid) => pid !== postgresPid),
    postgresPid,
    database,
    sql,
    async stop() {
      await sql.end()
      end()
      await ended
      process.off('exit', end)
      if (given === undefined) await rm(folder, { recursive: true, force: true })
    },
  }
}

/** Of a product that was given this folder. */
export const placeOfDatabase = (folder: string) => ({
  path: join(folder, 'data', 'postgres', '.s.PGSQL.5432'),
  database: databaseName,
  username: superuser,
})

/** `npm run bench -- --cpu-prof` leaves a profile of the server in the current folder. */
const profiling = (): string[] => (process.argv.includes('--cpu-prof') ? ['--cpu-prof'] : [])

const readWelcome = async (logFile: string, isRunning: () => boolean) => {
  while (isRunning()) {
    const text = await readFile(logFile, 'utf8')
    const url = /answers at (http\S+)/.exec(text)?.[1]
    if (url) return { url, ownerKey: /\bsk_[0-9A-Za-z]{49}/.exec(text)?.[0] ?? '' }
    await delay(20)
  }
  throw new Error(`The server did not start: ${await readFile(logFile, 'utf8')}`)
}
