import { mkdir, mkdtemp, readFile, realpath, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { transform } from 'rolldown/utils'
import { stage } from '../../../sdk/release/stage.ts'
import { type Peer, peers } from './peers.ts'

/**
 * The folder of somebody who uses the peers. Our SDK in it is the package as it is published, not its sources,
 * which would be measured with their comments and types; all else is linked to where npm has installed it.
 */
export type Consumer = {
  folder: string
  /** What somebody writes for a peer: its file of the folder `peers`, in TypeScript. */
  source: (peer: Peer) => string
  /** The same as JavaScript, so that no run or import is measured with the removal of types. */
  program: (peer: Peer) => string
  emptyProgram: string
  remove: () => Promise<void>
}

export const makeConsumer = async (): Promise<Consumer> => {
  const folder = await realpath(await mkdtemp(join(tmpdir(), 'narrowapi-consumer-')))
  const consumer: Consumer = {
    folder,
    source: ({ file }) => join(folder, file),
    program: ({ file }) => join(folder, file.replace(/ts$/, 'js')),
    emptyProgram: join(folder, 'empty.js'),
    remove: () => rm(folder, { recursive: true }),
  }
  try {
    await write(consumer)
    await stage('sdk', join(folder, 'node_modules/@narrowapi/sdk'))
    return consumer
  } catch (error) {
    await consumer.remove()
    throw error
  }
}

const write = async ({ folder, source, program, emptyProgram }: Consumer): Promise<void> => {
  await writeFile(join(folder, 'package.json'), '{ "type": "module" }')
  await writeFile(emptyProgram, 'export {}')
  for (const peer of peers) {
    const code = await readFile(fileURLToPath(new URL(`peers/${peer.file}`, import.meta.url)), 'utf8')
    await writeFile(source(peer), code)
    await writeFile(program(peer), (await transform(peer.file, code)).code)
  }
  for (const name of linked) {
    const path = join(folder, 'node_modules', name)
    await mkdir(dirname(path), { recursive: true })
    await symlink(fileURLToPath(new URL(`../../../node_modules/${name}`, import.meta.url)), path)
  }
}

const linked = new Set(
  [...peers.flatMap(({ packages }) => packages), '@narrowapi/openapi', '@types/node'].filter(
    (name) => name !== '@narrowapi/sdk',
  ),
)
