import { execFile } from 'node:child_process'
import { writeFile } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { median } from '../report.ts'
import type { Consumer } from './consumer.ts'
import { type Peer, rawFetch } from './peers.ts'

export type Checked = { seconds: number; instantiations: number }

/**
 * What type-checking the five calls of each peer takes over those of raw fetch, by the compiler's own account. A
 * project per peer; they take turns.
 */
export const typeChecks = async (
  compiler: string,
  peers: readonly Peer[],
  { source }: Consumer,
  rounds: number,
): Promise<Map<Peer, Checked>> => {
  const each = new Map<Peer, Checked[]>(peers.map((peer) => [peer, []]))
  // The first of all reads from the disk what the others find in memory.
  for (let round = -1; round < rounds; round += 1) {
    const raw = await check(compiler, source(rawFetch))
    for (const peer of round < 0 ? [] : peers) {
      const { seconds, instantiations } = await check(compiler, source(peer))
      each.get(peer)?.push({
        seconds: seconds - raw.seconds,
        instantiations: instantiations - raw.instantiations,
      })
    }
  }
  return new Map([...each].map(([peer, found]) => [peer, medianOf(found)]))
}

/** What people have: the last TypeScript that is itself JavaScript, and the native one. */
export const compilers = {
  javascript: fileURLToPath(new URL('../../../openapi/node_modules/typescript/bin/tsc', import.meta.url)),
  native: fileURLToPath(new URL('../../../node_modules/typescript/bin/tsc', import.meta.url)),
} as const

const check = async (compiler: string, file: string): Promise<Checked> => {
  const project = file.replace(/[.]ts$/, '.json')
  await writeFile(project, JSON.stringify({ compilerOptions, files: [file] }))
  const { stdout } = await run(process.execPath, [compiler, '-p', project, '--extendedDiagnostics'])
  return { seconds: figure(stdout, 'Total time'), instantiations: figure(stdout, 'Instantiations') }
}

const compilerOptions = {
  target: 'es2024',
  lib: ['es2024', 'dom', 'dom.iterable'],
  module: 'nodenext',
  types: ['node'],
  strict: true,
  skipLibCheck: true,
  allowImportingTsExtensions: true,
  noEmit: true,
}

/** The compilers list names and figures in lines. */
const figure = (text: string, name: string): number => {
  const value = new RegExp(`^${name}:\\s+([\\d.]+)`, 'm').exec(text)?.[1]
  if (value === undefined) throw new Error(`The compiler told no ${name}: ${text}`)
  return Number(value)
}

const medianOf = (found: readonly Checked[]): Checked => ({
  seconds: median(found.map(({ seconds }) => seconds)),
  instantiations: median(found.map(({ instantiations }) => instantiations)),
})

const run = promisify(execFile)
