import { spawn } from 'node:child_process'
import { readFile, stat } from 'node:fs/promises'

/**
 * PostgreSQL refuses to run as root. When we are root, its programs run as this account instead; the
 * node process keeps root. For any other user there is no account: everything runs as that user.
 */
export type Account = { uid: number; gid: number }

/**
 * An existing cluster keeps the account that owns it, so a folder that was first used by an ordinary user,
 * or before another of the accounts was installed, stays usable when root starts the server.
 */
export const accountFor = async (clusterFolder: string): Promise<Account | undefined> => {
  if (process.getuid?.() !== 0) return undefined
  const owner = await stat(clusterFolder).catch(() => undefined)
  if (owner && owner.uid !== 0) return { uid: owner.uid, gid: owner.gid }
  const accounts = await readFile('/etc/passwd', 'utf8').catch(() => '')
  const account = firstUnprivileged(accounts)
  if (account) return account
  throw new Error(
    'PostgreSQL refuses to run as root, and none of the accounts postgres, node and nobody exists. ' +
      'Start the server as an ordinary user, or set DATABASE_URL.',
  )
}

/** `postgres` and `node` are preferred because less else runs as them than as `nobody`. */
export const firstUnprivileged = (passwd: string): Account | undefined => {
  const entries = passwd.split('\n').map((line) => line.split(':'))
  for (const wanted of ['postgres', 'node', 'nobody']) {
    const entry = entries.find(([name]) => name === wanted)
    const [uid, gid] = [Number(entry?.[2]), Number(entry?.[3])]
    if (uid > 0 && gid > 0) return { uid, gid }
  }
  return undefined
}

/**
 * The whole environment of PostgreSQL's programs. Ours is not passed on: it may hold the master key, and
 * variables such as PGDATA or PGOPTIONS would change what they do.
 */
export const environment = { LC_ALL: 'C' }

/** Runs a program to its end. Rejects only if it could not be started. */
export const run = (
  file: string,
  args: readonly string[],
  { account, cwd = '/' }: { account?: Account | undefined; cwd?: string } = {},
): Promise<{ code: number | null; output: string }> =>
  new Promise((resolve, reject) => {
    const child = spawn(file, args, { ...account, cwd, env: environment, stdio: ['ignore', 'pipe', 'pipe'] })
    let output = ''
    const collect = (chunk: Buffer) => {
      output += chunk.toString('utf8')
    }
    child.stdout.on('data', collect)
    child.stderr.on('data', collect)
    child.on('error', reject)
    child.on('close', (code) => resolve({ code, output }))
  })
