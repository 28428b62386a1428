import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { chmod, mkdtemp, open, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { accountFor, environment } from '../../server/src/db/embedded-account.ts'
import { prepareBinaries } from '../../server/src/db/embedded-binaries.ts'
import { dataArgument, openCluster, superuser } from '../../server/src/db/embedded-cluster.ts'
import { connect, type Pool } from '../../server/src/db/sql.ts'
import { freePort } from './port.ts'

/** A PostgreSQL of one test's own, which listens on TCP and may be stopped in every way without harm to others. */
export type TestCluster = {
  port: number
  /** A superuser's URL, through the given port when a proxy stands in front. */
  url(port?: number): string
  sql: Pool
  /** `immediate` is a crash: sessions end in the middle, and the next start recovers. */
  stop(how: 'fast' | 'immediate'): Promise<void>
  start(): Promise<void>
  /** Starts it unless it runs: what whoever supervises a PostgreSQL does. */
  revive(): Promise<void>
  remove(): Promise<void>
}

/** `dataDir` must be empty; without one the cluster lives in a new folder that goes with it. */
export const createCluster = async ({
  dataDir,
  settings = [],
}: {
  dataDir?: string
  settings?: readonly string[]
} = {}): Promise<TestCluster> => {
  const home = dataDir ?? (await mkdtemp(join(tmpdir(), 'narrowapi-cluster-')))
  await chmod(home, 0o755)
  const folder = join(home, 'postgres')
  const cluster = { folder, account: await accountFor(folder) }
  const { initdb, postgres } = await prepareBinaries(cluster.account, home)
  await openCluster(cluster, home, initdb)
  const port = await freePort()
  const values = [`port=${port}`, 'listen_addresses=127.0.0.1', 'unix_socket_directories=', ...common]
  const args = [...dataArgument(cluster), ...[...values, ...settings].flatMap((value) => ['-c', value])]
  const url = (through = port) => `postgres://${superuser}@127.0.0.1:${through}/postgres`
  const sql = connect(url(), 'owner', { max: 4 })
  let running: ChildProcess | undefined
  const hasEnded = () => running === undefined || running.exitCode !== null || running.signalCode !== null

  const start = async (): Promise<void> => {
    // Beside the data, which may lie on a disk that a test fills.
    const log = await open(join(tmpdir(), `narrowapi-cluster-${port}.log`), 'a', 0o600)
    running = spawn(postgres, args, {
      ...cluster.account,
      cwd: folder,
      env: environment,
      stdio: ['ignore', log.fd, log.fd],
    })
    await log.close()
    for (const deadline = Date.now() + 30_000; Date.now() < deadline; await sleep(20)) {
      if (running.exitCode !== null) throw new Error(`PostgreSQL ended with ${running.exitCode}`)
      const answered = await sql`select 1`.then(
        () => true,
        () => false,
      )
      if (answered) return
    }
    throw new Error('PostgreSQL did not start in time')
  }
  const stop = async (how: 'fast' | 'immediate'): Promise<void> => {
    if (running === undefined || hasEnded()) return
    const ended = once(running, 'close')
    running.kill(how === 'fast' ? 'SIGINT' : 'SIGQUIT')
    await ended
  }
  await start()
  return {
    port,
    url,
    sql,
    start,
    stop,
    async revive() {
      if (hasEnded()) await start()
    },
    async remove() {
      await sql.end({ timeout: 1 })
      await stop('immediate')
      await rm(dataDir === undefined ? home : folder, { recursive: true, force: true, maxRetries: 5 })
      await rm(join(tmpdir(), `narrowapi-cluster-${port}.log`), { force: true })
    },
  }
}

/** As the embedded one where it matters: an answered call survives a crash. */
const common = [
  'max_connections=60',
  'fsync=on',
  'synchronous_commit=on',
  'shared_buffers=16MB',
  'wal_level=minimal',
  'max_wal_senders=0',
  'min_wal_size=32MB',
  'jit=off',
  'timezone=UTC',
]
