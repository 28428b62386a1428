import { type ChildProcess, spawn } from 'node:child_process'
import {
  copyFile,
  type FileHandle,
  mkdtemp,
  open,
  readFile,
  rm,
  stat,
  symlink,
  truncate,
} from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { accountFor, environment } from './embedded-account.ts'
import { prepareBinaries } from './embedded-binaries.ts'
import {
  type Cluster,
  complaintIn,
  dataArgument,
  databaseName,
  disownLockFile,
  findPostmaster,
  folderMark,
  openCluster,
  openDataDir,
  removeUnfinished,
  superuser,
} from './embedded-cluster.ts'
import { claimDatabase, type EmbeddedConnection } from './embedded-owner.ts'

export type EmbeddedDatabase = { connection: EmbeddedConnection; stop(): Promise<void> }

type Log = { info(fields: object, message: string): void; warn(fields: object, message: string): void }

type Options = { dataDir: string; log?: Log; meanwhile?: (() => void) | undefined }

/**
 * Starts the PostgreSQL that lives in `<dataDir>/postgres`, creating it on the first start, and answers when
 * it answers queries. `stop` must be called before the process ends. If the process is killed instead,
 * PostgreSQL stays behind, unharmed; the next start in the folder takes it over. `meanwhile` is called when the
 * process of PostgreSQL has begun, for what this one can do until it is ready.
 */
export const startEmbedded = async (options: Options): Promise<EmbeddedDatabase> => {
  const log = options.log ?? { info() {}, warn() {} }
  const dataDir = await openDataDir(options.dataDir)
  const folder = join(dataDir, 'postgres')
  const cluster: Cluster = { folder, account: await accountFor(folder) }
  const { initdb, postgres } = await prepareBinaries(cluster.account, dataDir)
  await openCluster(cluster, dataDir, initdb)

  const shortcut = await makeShortcut(folder)
  try {
    const connection: EmbeddedConnection = {
      path: join(shortcut.folder, `.s.PGSQL.${port}`),
      host: shortcut.folder,
      port,
      database: databaseName,
      username: superuser,
    }
    const logFile = join(dataDir, 'postgres.log')
    const start = { cluster, postgres, connection, logFile, log }
    const owned = await startAndClaim(start, options.meanwhile)
    const keeper = keepRunning(start)
    await removeUnfinished(dataDir).catch((error: unknown) =>
      log.warn({ error }, 'old files were left in place'),
    )
    log.info({ folder, user_id: cluster.account?.uid }, 'embedded PostgreSQL is ready')
    const trimming = setInterval(() => void trimLog(logFile).catch(() => {}), 3_600_000).unref()

    const end = async (): Promise<void> => {
      clearInterval(trimming)
      await keeper.stop()
      owned.expectEnd()
      // Our session, and with it the claim, ends with PostgreSQL, so no other server comes in between.
      await stopPostmaster(folder)
      await owned.release()
      await shortcut.remove()
    }
    let ending: Promise<void> | undefined
    return {
      connection,
      stop: () => {
        ending ??= end()
        return ending
      },
    }
  } catch (error) {
    await shortcut.remove()
    throw error
  }
}

type Start = { cluster: Cluster; postgres: string; connection: EmbeddedConnection; logFile: string; log: Log }

/**
 * Tries to claim a database that runs already, whoever started it, before it starts one. That order covers a
 * killed predecessor, one that is just stopping, and another server that starts at the same moment.
 */
const startAndClaim = async (
  { cluster, postgres, connection, logFile, log }: Start,
  meanwhile: () => void = () => {},
) => {
  const { folder } = cluster
  let started: Postmaster | undefined
  const abandon = async () => {
    if (started && !started.hasEnded()) await stopPostmaster(folder)
  }
  const onLost = () => log.warn({ folder }, 'another server has taken the embedded database over')

  for (const deadline = Date.now() + startTimeoutMs; Date.now() < deadline; await delay(15)) {
    const claim = await claimDatabase(connection, onLost).catch(async (cause: Error) => {
      await abandon()
      throw failed(folder, cause.message, logFile)
    })
    if (claim.outcome === 'owned') return claim
    if (claim.outcome === 'taken') throw inUse(folder)
    if (started && !started.hasEnded()) continue
    if (started) {
      const complaint = await started.complaint()
      if (!isAboutAnother.test(complaint)) throw failed(folder, complaint, logFile)
    }
    // A PostgreSQL that lives but does not answer is starting or stopping.
    if ((await findPostmaster(folder)) !== undefined) continue
    await disownLockFile(folder)
    started = await spawnPostmaster(cluster, postgres, logFile).catch((cause: Error) => {
      throw failed(folder, cause.message, logFile)
    })
    meanwhile()
  }
  await abandon()
  throw failed(folder, `no answer after ${startTimeoutMs / 1000} seconds`, logFile)
}

const startTimeoutMs = 60_000

/**
 * PostgreSQL ends when it can no longer write its log, as on a full disk, and whoever ends it by hand may not know
 * whose it is. Nobody but us would start it again; our claim is made anew by itself. Until it runs, callers are told
 * that the database is away.
 */
const keepRunning = ({ cluster, postgres, logFile, log }: Start): { stop(): Promise<void> } => {
  const { folder } = cluster
  const stopping = new AbortController()
  const pause = () => delay(lookEveryMs, null, { signal: stopping.signal, ref: false }).catch(() => {})
  const startAgain = async (): Promise<void> => {
    if ((await findPostmaster(folder)) !== undefined) return
    log.warn({ folder, log: logFile }, 'embedded PostgreSQL ended unexpectedly; it is started again')
    await disownLockFile(folder)
    await spawnPostmaster(cluster, postgres, logFile)
  }
  const run = async (): Promise<void> => {
    for (await pause(); !stopping.signal.aborted; await pause()) {
      await startAgain().catch((error: unknown) =>
        log.warn({ error, folder }, 'embedded PostgreSQL could not be started again'),
      )
    }
  }
  const running = run()
  return {
    async stop() {
      stopping.abort()
      await running
    },
  }
}

const lookEveryMs = 1_000

/** Another PostgreSQL of this folder was quicker, or what is left of a crashed one has not ended yet. */
const isAboutAnother = /lock file .* already exists|pre-existing shared memory block/

const inUse = (folder: string): Error =>
  new Error(
    `Another NarrowAPI server is using the embedded database in ${folder}. ` +
      'Stop it, choose another data folder, or set DATABASE_URL to a PostgreSQL that both may use.',
  )

const failed = (folder: string, complaint: string, logFile: string): Error =>
  new Error(
    `The embedded PostgreSQL in ${folder} does not start: ${complaint}. ` +
      `See ${logFile}, or set DATABASE_URL to another PostgreSQL.`,
  )

type Postmaster = { child: ChildProcess; hasEnded(): boolean; complaint(): Promise<string> }

const spawnPostmaster = async (cluster: Cluster, postgres: string, logFile: string): Promise<Postmaster> => {
  await trimLog(logFile)
  const log = await open(logFile, 'a', 0o600)
  try {
    const { size } = await log.stat()
    return await spawnWithLog(cluster, postgres, log, async () =>
      complaintIn((await readFile(logFile)).subarray(size).toString('utf8'), cluster.folder),
    )
  } finally {
    await log.close()
  }
}

const spawnWithLog = (
  cluster: Cluster,
  postgres: string,
  log: FileHandle,
  complaint: () => Promise<string>,
): Promise<Postmaster> =>
  new Promise((resolve, reject) => {
    const child = spawn(postgres, [...dataArgument(cluster), ...settings(cluster.folder)], {
      ...cluster.account,
      cwd: cluster.folder,
      env: environment,
      stdio: ['ignore', log.fd, log.fd],
      // A session of its own: Ctrl-C in the terminal must reach us only, or PostgreSQL would stop first.
      detached: true,
    })
    child.unref()
    child.once('error', reject)
    child.once('spawn', () => {
      const hasEnded = () => child.exitCode !== null || child.signalCode !== null
      resolve({ child, hasEnded, complaint })
    })
  })

const port = 5432

/** Given on the command line, so that they win over the files of the cluster and follow our releases. */
const settings = (folder: string): string[] => {
  const values = [
    folderMark(folder),
    // Only a socket in the data folder, which only its owner (and root) may enter. A relative name, so that its length
    // and the folders above do not matter to PostgreSQL.
    'listen_addresses=',
    'unix_socket_directories=.',
    'unix_socket_permissions=0700',
    `port=${port}`,
    // Six for each of sixteen workers, and a few for people.
    'max_connections=100',
    // An answered call must survive a crash of the machine.
    'fsync=on',
    'synchronous_commit=on',
    'full_page_writes=on',
    // A small footprint: no replication, no helper processes for reading.
    'shared_buffers=16MB',
    'wal_level=minimal',
    'max_wal_senders=0',
    'max_logical_replication_workers=0',
    'min_wal_size=32MB',
    'max_wal_size=512MB',
    'io_method=sync',
    'huge_pages=off',
    'jit=off',
    'timezone=UTC',
    'log_timezone=UTC',
    // Messages without the rows and statements that caused them: those may hold what callers sent.
    'log_min_messages=warning',
    'log_error_verbosity=terse',
    'log_min_error_statement=panic',
    'log_checkpoints=off',
    'logging_collector=off',
    'log_destination=stderr',
  ]
  return values.flatMap((value) => ['-c', value])
}

/** Keeps the log and its predecessor under this size each. PostgreSQL appends, so it goes on at the new end. */
const trimLog = async (logFile: string): Promise<void> => {
  const { size } = await stat(logFile).catch(() => ({ size: 0 }))
  if (size < 5_000_000) return
  await copyFile(logFile, `${logFile}.1`)
  await truncate(logFile)
}

/** SIGINT ends all sessions and writes everything down; SIGQUIT just ends, and the next start recovers. */
const stopPostmaster = async (folder: string): Promise<void> => {
  for (const [signal, patienceMs] of [
    ['SIGINT', 10_000],
    ['SIGQUIT', 5_000],
  ] as const) {
    const pid = await findPostmaster(folder)
    if (pid === undefined) return
    process.kill(pid, signal)
    for (const deadline = Date.now() + patienceMs; Date.now() < deadline; await delay(10)) {
      if ((await findPostmaster(folder)) === undefined) return
    }
  }
  throw new Error(`The embedded PostgreSQL in ${folder} does not stop. End it by hand; its data is safe.`)
}

/**
 * The path of a Unix socket may have about a hundred bytes (104 on macOS, 108 on Linux, with its end), and
 * drivers read `,` and `:` in it as separators. For other folders there is a link in a new folder that only
 * we can enter, so nobody can put something else there.
 */
const makeShortcut = async (folder: string): Promise<{ folder: string; remove(): Promise<void> }> => {
  if (Buffer.byteLength(folder) <= 85 && !/[,:]/.test(folder)) return { folder, remove: async () => {} }
  const parent = Buffer.byteLength(tmpdir()) <= 60 ? tmpdir() : '/tmp'
  const shortcut = await mkdtemp(join(parent, 'narrowapi-'))
  await symlink(folder, join(shortcut, 'db'))
  return { folder: join(shortcut, 'db'), remove: () => rm(shortcut, { recursive: true, force: true }) }
}
