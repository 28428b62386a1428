import { fileURLToPath } from 'node:url'
import { type Program, startProgram } from './program.ts'

/** A program of other people's that reads an OpenAPI description and holds everybody to it. */
export type Prism = Program & { url: string }

const program = fileURLToPath(import.meta.resolve('@stoplight/prism-cli/dist/index.js'))

/** Serves answers made up from a description, to requests that fit it. */
export const startPrismMock = (description: string): Promise<Prism> => startPrism(['mock', description])

/** Stands in front of a server and refuses requests, and answers, that do not fit the description. */
export const startPrismProxy = (description: string, upstreamUrl: string): Promise<Prism> =>
  startPrism(['proxy', description, upstreamUrl])

const startPrism = async (args: string[]): Promise<Prism> => {
  const running = await startProgram([program, ...args, '--errors', '--host', '127.0.0.1', '--port', '0'], {
    announces: /Prism is listening on (http:\S+)/,
  })
  return { ...running, url: running.announced }
}
