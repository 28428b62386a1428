import { fileURLToPath } from 'node:url'
import { routes } from '../../../sdk/src/generated/routes.ts'
import { gzipSize } from './bundle.ts'
import type { Consumer } from './consumer.ts'
import { narrowClass, narrowFunctions, type Peer, peers } from './peers.ts'

/** Bytes of a minified and compressed bundle. */
export type Sizes = {
  /** What one list and one create need. */
  twoCalls: number
  /** All the peer has to offer its user, and what each operation adds to that; of ours only. */
  whole?: { size: number; perOperation: number }
}

export const bundleSizes = async ({ folder }: Consumer): Promise<Map<Peer, Sizes>> => {
  const sizes = new Map<Peer, Sizes>()
  for (const peer of peers) {
    sizes.set(peer, { twoCalls: await gzipSize(peer.imports.join('\n'), folder) })
  }
  const add = (peer: Peer, whole: Sizes['whole']) => Object.assign(sizes.get(peer) ?? {}, { whole })
  add(narrowFunctions, await functionsSize(folder))
  add(narrowClass, await classSize(folder))
  return sizes
}

const functionsSize = async (folder: string): Promise<Sizes['whole']> => {
  const sizeOf = (names: readonly string[]) =>
    gzipSize(`export { createClient, ${names.join(', ')} } from '@narrowapi/sdk/functions'`, folder)
  const names = operations.map(([noun, verb]) => `${noun}${verb.charAt(0).toUpperCase()}${verb.slice(1)}`)
  const two = await gzipSize(narrowFunctions.imports.join('\n'), folder)
  return {
    size: await gzipSize(`export * from '@narrowapi/sdk/functions'`, folder),
    perOperation: ((await sizeOf(names)) - two) / (names.length - 2),
  }
}

/** The class takes its operations from a table: every other line is taken out of it. */
const classSize = async (folder: string): Promise<Sizes['whole']> => {
  const code = `export * from ${JSON.stringify(sdkSource('index.ts'))}`
  const half = Object.fromEntries(
    Object.entries(routes).map(([noun, verbs]) => [
      noun,
      Object.fromEntries(Object.entries(verbs).filter((_, index) => index % 2 === 0)),
    ]),
  )
  const sizeWith = (table: Readonly<Record<string, object>>) =>
    gzipSize(code, folder, {
      [sdkSource('generated/routes.ts')]: `export const routes = ${JSON.stringify(table)}`,
    })
  const left = Object.values(half).flatMap((verbs) => Object.keys(verbs)).length
  return {
    size: await gzipSize(`export * from '@narrowapi/sdk'`, folder),
    perOperation: ((await sizeWith(routes)) - (await sizeWith(half))) / (operations.length - left),
  }
}

export const sdkSource = (file: string): string =>
  fileURLToPath(new URL(`../../../sdk/src/${file}`, import.meta.url))

const operations = Object.entries(routes).flatMap(([noun, verbs]) =>
  Object.keys(verbs).map((verb) => [noun, verb] as const),
)
