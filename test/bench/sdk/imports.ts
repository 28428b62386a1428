import { execFile } from 'node:child_process'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { promisify } from 'node:util'
import { median } from '../report.ts'
import type { Consumer } from './consumer.ts'
import type { Peer } from './peers.ts'

/**
 * Milliseconds that importing a peer takes over importing an empty module, each in processes of its own. The
 * processes take turns, so that a slow moment of the machine hits all peers alike.
 */
export const importTimes = async (
  peers: readonly Peer[],
  { program, emptyProgram }: Consumer,
  rounds: number,
): Promise<Map<Peer, number>> => {
  const times = new Map<string, number[]>([emptyProgram, ...peers.map(program)].map((file) => [file, []]))
  // The first of all reads from the disk what the others find in memory.
  for (let round = -1; round < rounds; round += 1) {
    for (const [file, each] of times) {
      const time = await importOnce(file)
      if (round >= 0) each.push(time)
    }
  }
  const medianOf = (file: string) => median(times.get(file) ?? [])
  return new Map(peers.map((peer) => [peer, medianOf(program(peer)) - medianOf(emptyProgram)]))
}

const importOnce = async (file: string): Promise<number> => {
  const { stdout } = await run(process.execPath, [timer, pathToFileURL(file).href])
  return Number(stdout)
}

const run = promisify(execFile)
const timer = fileURLToPath(new URL('time-import.ts', import.meta.url))
