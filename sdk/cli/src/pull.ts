import { randomUUID } from 'node:crypto'
import { readFile, realpath, rename, rm, stat, writeFile } from 'node:fs/promises'
import { dirname, resolve } from 'node:path'
import { fetchCallables, type Source } from './manifest.ts'
import { Problem } from './problem.ts'
import { functionsIn, isWritten, toSource } from './source.ts'

export interface PullOptions extends Source {
  /** A path, or `-` for the standard output. */
  readonly out: string
  readonly isCheck: boolean
  /** Names of functions by slug. */
  readonly names: ReadonlyMap<string, string>
}

export interface Pulled {
  readonly exitCode: 0 | 1
  readonly output: string
}

/** Writes the client of a token's actions, or with `isCheck` tells whether the written one is still right. */
export const pull = async (options: PullOptions): Promise<Pulled> => {
  const { out, isCheck, names, token } = options
  if (out !== '-') await checkPlace(out)
  const source = toSource(await fetchCallables(options), names)
  if (source.includes(token))
    throw new Problem("The server's answer repeats the token, so nothing is written")
  if (out === '-') return { exitCode: 0, output: source }
  const before = await read(out)
  const isSame = before?.replaceAll('\r\n', '\n') === source
  const functions = functionsIn(source)
  const many = functions.length === 1 ? '1 function' : `${functions.length} functions`
  if (isSame) return { exitCode: 0, output: `${out} is up to date: ${many}\n` }
  if (isCheck) return { exitCode: 1, output: `${describe(out, before, functions)}\n` }
  if (before !== null && !isWritten(before)) {
    throw new Problem(
      `${out} was not written by narrowapi pull, so it is left alone; remove it or choose another --out`,
    )
  }
  await replace(out, source)
  return { exitCode: 0, output: `Wrote ${out}: ${many}\n` }
}

/** Before anything is asked of the server, so that a typing error costs nothing. */
const checkPlace = async (out: string): Promise<void> => {
  const folder = dirname(resolve(out))
  const isFolder = await stat(folder).then((found) => found.isDirectory(), nothing)
  if (!isFolder) throw new Problem(`There is no folder ${folder}: create it first`)
  const isTaken = await stat(out).then((found) => !found.isFile(), nothing)
  if (isTaken) throw new Problem(`${out} is no file`)
}

const describe = (out: string, before: string | null, functions: readonly string[]): string => {
  if (before === null) return `${out} is missing: run narrowapi pull`
  const known = functionsIn(before)
  const gone = known.filter((name) => !functions.includes(name))
  const added = functions.filter((name) => !known.includes(name))
  const changes = [
    gone.length > 0 ? `gone: ${gone.join(', ')}` : '',
    added.length > 0 ? `new: ${added.join(', ')}` : '',
  ].filter((change) => change !== '')
  return `${out} is out of date (${changes.join('; ') || 'inputs, answers or descriptions changed'}): run narrowapi pull`
}

const read = (path: string): Promise<string | null> => readFile(path, 'utf8').catch(nothing)

/** A file that is not there is an ordinary answer; one that cannot be read is not. */
const nothing = (error: NodeJS.ErrnoException): null => {
  if (error.code === 'ENOENT' || error.code === 'ENOTDIR') return null
  throw new Problem(`${error.path ?? 'A file'} cannot be read (${error.code ?? error.message})`)
}

/** In one step, so that nobody compiles half a file. */
const replace = async (out: string, source: string): Promise<void> => {
  // A link stays, and so does what else leads to its file.
  const place = await realpath(out).catch(() => out)
  const part = `${place}.${randomUUID()}.part`
  try {
    await writeFile(part, source)
    await rename(part, place)
  } catch (error) {
    await rm(part, { force: true }).catch(() => undefined)
    throw new Problem(`${out} cannot be written (${(error as NodeJS.ErrnoException).code ?? String(error)})`)
  }
}
