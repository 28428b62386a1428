import { execFile } from 'node:child_process'
import { access, constants, glob, mkdir, readdir, rename, rm } from 'node:fs/promises'
import { delimiter, dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { inject } from 'vitest'
import { once } from './once.ts'

const run = promisify(execFile)
const cache = fileURLToPath(new URL('../../node_modules/.cache/narrowapi/debian', import.meta.url))

/** What to start, and the environment it needs to find its libraries. */
export type DebianProgram = { path: string; environment: Record<string, string> }

/**
 * A program of Debian's: the one on PATH or, on a machine without it, one that is downloaded and unpacked into a
 * folder of this repository when it is first needed. That takes no rights, changes nothing on the machine and starts
 * no service, so it is the same for root and for others.
 */
export const debianProgram = async ({
  command,
  packageName = command,
  program = `usr/bin/${command}`,
}: {
  command: string
  packageName?: string
  /** Where the package has it, if the command is only a script with paths of an installed package. */
  program?: string
}): Promise<DebianProgram> => {
  const installed = await onPath(command)
  if (installed !== undefined) return { path: installed, environment: {} }
  const folder = await once(inject('runFolder'), `debian-${packageName}`, () => unpacked(packageName))
  return {
    path: join(folder, program),
    environment: {
      LD_LIBRARY_PATH: (await librariesIn(folder)).join(delimiter),
      FONTCONFIG_PATH: join(folder, 'etc/fonts'),
    },
  }
}

export const onPath = async (command: string): Promise<string | undefined> => {
  for (const folder of (process.env.PATH ?? '').split(delimiter)) {
    const path = join(folder, command)
    const runs = await access(path, constants.X_OK).then(
      () => true,
      () => false,
    )
    if (runs) return path
  }
  return undefined
}

/** The package with everything that the machine lacks for it, in one folder; kept for later runs. */
export const unpacked = async (packageName: string, home = join(cache, packageName)): Promise<string> => {
  const root = join(home, 'root')
  const isKept = await access(root).then(
    () => true,
    () => false,
  )
  if (isKept) return root
  await rm(home, { recursive: true, force: true })
  const [lists, archives, part] = [
    join(home, 'state/lists'),
    join(home, 'cache/archives'),
    join(home, 'part'),
  ]
  for (const folder of [join(lists, 'partial'), join(archives, 'partial'), part])
    await mkdir(folder, { recursive: true })
  // apt knows what is installed from dpkg's status, and keeps everything of its own in our folder.
  const options = Object.entries({
    'Dir::State': join(home, 'state'),
    'Dir::State::status': '/var/lib/dpkg/status',
    'Dir::Cache': join(home, 'cache'),
    'Debug::NoLocking': 'true',
    'APT::Sandbox::User': 'root',
  }).map(([name, value]) => `--option=${name}=${value}`)
  await run('apt-get', ['update', ...options])
  await run('apt-get', [
    'install',
    '--download-only',
    '--no-install-recommends',
    '--yes',
    ...options,
    packageName,
  ])
  for (const archive of await readdir(archives))
    if (archive.endsWith('.deb')) await run('dpkg-deb', ['--extract', join(archives, archive), part])
  await rename(part, root)
  await Promise.all([lists, archives].map((folder) => rm(dirname(folder), { recursive: true })))
  return root
}

const librariesIn = async (root: string): Promise<string[]> => {
  const folders = new Set<string>()
  for await (const library of glob('{lib,usr/lib}/**/lib*.so*', { cwd: root }))
    folders.add(join(root, dirname(library)))
  return [...folders]
}
