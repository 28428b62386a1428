import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { type Prism, startPrismMock } from '../support/prism.ts'
import { type Program, startProgram } from '../support/program.ts'

export type Stage = {
  /** The published Train Travel API, played by Prism: it refuses what does not fit its description. */
  trains: Prism
  narrow: Program & { url: string; ownerKey: string; dataDir: string }
  /** Ends every part and removes what they stored. */
  clear(): Promise<void>
}

/** What the upstream wants to see: the text that must never be printed or stored. */
export const upstreamSecret = 'train-travel-secret-Vw3kR8sZqY5nB1xJ'

const trainTravel = fileURLToPath(import.meta.resolve('@readme/oas-examples/3.1/json/train-travel.json'))
const serverMain = fileURLToPath(new URL('../../server/src/main.ts', import.meta.url))

/** Starts the parts, each a process of its own, with a data directory that lives as long as the stage. */
export const setStage = async (): Promise<Stage> => {
  const folder = await mkdtemp(join(tmpdir(), 'narrowapi-demo-'))
  const parts: Program[] = []
  const clear = async (): Promise<void> => {
    await Promise.all(parts.map((part) => part.stop()))
    await rm(folder, { recursive: true, force: true })
  }
  try {
    const trains = await startPrismMock(trainTravel)
    parts.push(trains)
    const narrow = await startNarrow(join(folder, 'data'), new URL(trains.url).host)
    parts.push(narrow)
    return { trains, narrow, clear }
  } catch (error) {
    await clear()
    throw error
  }
}

/** Logs everything there is to log, so that a secret has every chance to show up. */
const startNarrow = async (dataDir: string, egressAllow: string): Promise<Stage['narrow']> => {
  const running = await startProgram([serverMain], {
    announces: /Your owner key.*?(sk_\w+).*?curl/s,
    environment: {
      PORT: '0',
      NARROWAPI_DATA_DIR: dataDir,
      NARROWAPI_EGRESS_ALLOW: egressAllow,
      LOG_LEVEL: 'trace',
    },
  })
  const url = /NarrowAPI answers at (\S+)/.exec(running.output())?.[1]
  if (url === undefined) throw new Error(`The server did not say where it answers:\n${running.output()}`)
  return { ...running, url, ownerKey: running.announced, dataDir }
}
