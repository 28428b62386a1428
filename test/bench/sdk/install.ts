import { readdir, readFile, realpath, stat } from 'node:fs/promises'
import { dirname, join } from 'node:path'

export type Installed = { bytes: number; packages: string[] }

/** What npm puts on the disk for these packages: their files, and all they depend on, once each. */
export const installed = async (names: readonly string[], folder: string): Promise<Installed> => {
  const found = new Map<string, string>()
  for (const name of names) await collect(name, folder, found)
  const sizes = await Promise.all([...found.keys()].map(bytesOf))
  return { bytes: sizes.reduce((sum, size) => sum + size, 0), packages: [...found.values()] }
}

/** Into `found`, by the folders they are in: two versions of one package are two. */
const collect = async (name: string, from: string, found: Map<string, string>): Promise<void> => {
  const folder = await find(name, from)
  if (found.has(folder)) return
  // Every installed package has one.
  const manifest = JSON.parse(await readFile(join(folder, 'package.json'), 'utf8')) as Manifest
  found.set(folder, name)
  const { dependencies = {}, peerDependencies = {}, peerDependenciesMeta = {} } = manifest
  const peers = Object.keys(peerDependencies).filter((peer) => !peerDependenciesMeta[peer]?.optional)
  for (const needed of [...Object.keys(dependencies), ...peers]) await collect(needed, folder, found)
}

type Manifest = {
  dependencies?: Record<string, string>
  peerDependencies?: Record<string, string>
  peerDependenciesMeta?: Record<string, { optional?: boolean }>
}

/** As Node does: in the nearest `node_modules` that has it. */
const find = async (name: string, from: string): Promise<string> => {
  const folder = await realpath(join(from, 'node_modules', name)).catch(() => null)
  if (folder !== null) return folder
  if (dirname(from) === from) throw new Error(`${name} is not installed`)
  return find(name, dirname(from))
}

const bytesOf = async (folder: string): Promise<number> => {
  const entries = await readdir(folder, { withFileTypes: true })
  const sizes = await Promise.all(
    entries.map(async (entry) => {
      const path = join(folder, entry.name)
      if (entry.isFile()) return (await stat(path)).size
      return entry.isDirectory() && entry.name !== 'node_modules' ? bytesOf(path) : 0
    }),
  )
  return sizes.reduce((sum, size) => sum + size, 0)
}
