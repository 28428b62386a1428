import { constants } from 'node:fs'
import { chown, mkdir, mkdtemp, open, readdir, readFile, realpath, rename, rm, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { type Account, run } from './embedded-account.ts'

/** A PostgreSQL data folder and the account that owns it. */
export type Cluster = { folder: string; account: Account | undefined }

export const databaseName = 'postgres'
export const superuser = 'narrowapi'
const majorVersion = '18'
const unfinishedPrefix = 'postgres-init-'

/** Creates our data folder if it is missing and answers its real path. Only we may enter it: it holds every secret. */
export const openDataDir = async (dataDir: string): Promise<string> => {
  try {
    await mkdir(dataDir, { recursive: true, mode: 0o700 })
    const folder = await realpath(dataDir)
    await rm(await mkdtemp(join(folder, unfinishedPrefix)), { recursive: true, force: true })
    return folder
  } catch (cause) {
    throw new Error(
      `The data folder ${dataDir} cannot be written to (${reasonOf(cause)}). ` +
        'Make it writable for the user who starts the server and see that its disk has space, or set DATABASE_URL.',
      { cause },
    )
  }
}

/** Checks the cluster in place, or creates one if there is none. */
export const openCluster = async (cluster: Cluster, dataDir: string, initdb: string): Promise<void> => {
  if (!(await exists(cluster.folder))) await createCluster(cluster, dataDir, initdb)
  const owner = await stat(cluster.folder)
  const uid = cluster.account?.uid ?? process.getuid?.()
  if (owner.uid !== uid) {
    throw new Error(
      `The database in ${cluster.folder} belongs to the user with id ${owner.uid}, but would run as ${uid}. ` +
        `Start the server as its owner or as root, give the folder away (chown -R ${uid}), or set DATABASE_URL.`,
    )
  }
  const version = await readFile(join(cluster.folder, 'PG_VERSION'), 'utf8').catch(
    (error: NodeJS.ErrnoException) => {
      if (error.code === 'EACCES') throw wrongPermissions(cluster.folder)
      return 'none'
    },
  )
  if (version.trim() !== majorVersion) {
    throw new Error(
      `${cluster.folder} is not a database of PostgreSQL ${majorVersion} (its PG_VERSION: ${version.trim()}). ` +
        'Move the folder away to begin with an empty database, move its data with pg_dump of its own version, or set DATABASE_URL.',
    )
  }
  // PostgreSQL lets a group read at most.
  if ((owner.mode & 0o727) !== 0o700) throw wrongPermissions(cluster.folder)
}

/** As a restored backup or a careless `chmod -R` leaves it. */
const wrongPermissions = (folder: string): Error =>
  new Error(
    `The database in ${folder} has permissions with which PostgreSQL does not start. ` +
      `Give it to its owner alone (chmod 700 ${folder}), or set DATABASE_URL.`,
  )

/**
 * The cluster is made under another name and renamed when it is whole and on disk, so whatever ends us
 * halfway, `postgres` is either absent or complete.
 */
const createCluster = async (cluster: Cluster, dataDir: string, initdb: string): Promise<void> => {
  const unfinished = await mkdtemp(join(dataDir, unfinishedPrefix))
  try {
    if (cluster.account) await chown(unfinished, cluster.account.uid, cluster.account.gid)
    const args = [
      ...dataArgument({ ...cluster, folder: unfinished }),
      `--username=${superuser}`,
      // Sound because the socket is in this 0700 folder: who can reach it owns the files anyway.
      '--auth=trust',
      '--encoding=UTF8',
      // The same order of text on every machine and for every version of its C library.
      '--locale-provider=builtin',
      '--builtin-locale=C.UTF-8',
      '--locale=C',
      '--no-instructions',
    ]
    const { code, output } = await run(initdb, args, { account: cluster.account, cwd: unfinished })
    if (code !== 0) throw new Error(complaintIn(output, dataDir))
    await rename(unfinished, cluster.folder)
    await syncFolder(dataDir)
  } catch (cause) {
    // Another server that starts at this moment may have been quicker. The database decides who may stay.
    if (await exists(cluster.folder)) return
    throw new Error(
      `The embedded database could not be created in ${dataDir}: ${reasonOf(cause)}. ` +
        'Put that right and start again, or set DATABASE_URL.',
      { cause },
    )
  } finally {
    await rm(unfinished, { recursive: true, force: true })
  }
}

/** Removes what starters that were killed left behind. Only for the owner of the database. */
export const removeUnfinished = async (dataDir: string): Promise<void> => {
  for (const entry of await readdir(dataDir)) {
    if (entry.startsWith(unfinishedPrefix)) await rm(join(dataDir, entry), { recursive: true, force: true })
  }
}

/**
 * PostgreSQL changes into its data folder by name. An account that may not enter a folder above it, such
 * as /root, cannot do that. But a process keeps the working directory that root gave it before
 * it changed the account, and /proc/self/cwd leads there without passing the folders above.
 */
export const dataArgument = ({ folder, account }: Cluster): string[] => [
  '-D',
  account && process.platform === 'linux' ? workingDirectory : folder,
]

const workingDirectory = '/proc/self/cwd'

/** An argument that changes nothing; it lets us, and people who use ps, see which folder a process serves. */
export const folderMark = (folder: string): string => `narrowapi.folder=${folder}`

/**
 * The process id of the PostgreSQL that serves the folder. The number in postmaster.pid alone says
 * nothing: after a crash it may belong to any process by now.
 */
export const findPostmaster = async (folder: string): Promise<number | undefined> => {
  const lockFile = await readFile(join(folder, 'postmaster.pid'), 'utf8').catch(() => '')
  const pid = Number.parseInt(lockFile, 10)
  return pid > 0 && (await serves(pid, folder)) ? pid : undefined
}

const serves = async (pid: number, folder: string): Promise<boolean> => {
  if (process.platform === 'linux') {
    const commandLine = await readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '')
    return commandLine.split('\0').includes(folderMark(folder))
  }
  const { output } = await run('/bin/ps', ['-ww', '-o', 'command=', '-p', String(pid)])
  return output.includes(folderMark(folder))
}

/**
 * PostgreSQL refuses to start while the process named in postmaster.pid lives, whatever it is. If that is no
 * PostgreSQL of this folder, we put our own number there, which PostgreSQL ignores because it is its
 * parent's. The file stays, because PostgreSQL also learns from it which shared memory to check for
 * surviving processes of a crashed predecessor.
 */
export const disownLockFile = async (folder: string): Promise<void> => {
  // The folder belongs to an account with fewer rights than we may have: follow no link it might have put there.
  const flags = constants.O_RDWR | constants.O_NOFOLLOW
  const file = await open(join(folder, 'postmaster.pid'), flags).catch(() => undefined)
  if (!file) return
  try {
    // Read and written through one handle: if another PostgreSQL replaces the file now, we change the old one only.
    const [first = '', ...rest] = (await file.readFile('utf8')).split('\n')
    const pid = Number.parseInt(first, 10)
    if (!(pid > 0) || (await serves(pid, folder))) return
    const content = Buffer.from([process.pid, ...rest].join('\n'))
    await file.write(content, 0, content.length, 0)
    await file.truncate(content.length)
  } finally {
    await file.close()
  }
}

/** What went wrong, from the output of one of PostgreSQL's programs: its errors, or else its last words. */
export const complaintIn = (output: string, folder: string): string => {
  const lines = output.split('\n').filter((line) => line.trim() !== '')
  const errors = lines.flatMap((line) => /(?:error|fatal|panic):\s+(.*)/i.exec(line)?.[1] ?? [])
  return (errors.length > 0 ? errors : lines).slice(-3).join('; ').replaceAll(workingDirectory, folder)
}

const reasonOf = (cause: unknown): string => (cause instanceof Error ? cause.message : String(cause))

const exists = async (path: string): Promise<boolean> =>
  stat(path).then(
    () => true,
    () => false,
  )

const syncFolder = async (path: string): Promise<void> => {
  const folder = await open(path)
  await folder.sync().finally(() => folder.close())
}
