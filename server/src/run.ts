import { type Config, readCommand } from './config.ts'
import { openDatabase } from './database.ts'
import { createLog, type Log } from './log.ts'
import { startPrimary } from './primary.ts'
import { lingerMs, type Stoppable, type Stopping, stopAndExit, stopAtFaults } from './stopping.ts'
import { showOwnerKey, welcome } from './welcome.ts'

/** `npm start`: the server in this process or in workers of it, until a signal. A second signal does not wait. */
const main = async (): Promise<void> => {
  const config = readCommand()
  if (config.worker !== null) {
    const { runWorker } = await import('./worker.ts')
    return runWorker(config, config.worker)
  }
  const log = createLog(config.logLevel)
  const starting = config.workers === 1 ? startAlone(config, log) : startPrimary(config, log, tellOwnerKey)
  const stopping = stopOnce(starting, log)
  // First, so that whoever reads that it runs can also stop it, and that a start cut short leaves no PostgreSQL behind.
  for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP'] as const) {
    const say = () => log.info({ signal }, 'stopping: finishing what has begun')
    // At a terminal nobody is to be told, and somebody waits.
    process.on(signal, () => stopping.stop({ code: 0, lingerMs: signal === 'SIGINT' ? 0 : lingerMs }, say))
  }
  const server = await starting
  if (stopping.hasBegun()) return
  stopAtFaults(log, stopping.stop)
  process.stdout.write(welcome(server.url, server.ownerKey))
  const database = config.databaseUrl ? 'external' : 'embedded'
  const { url, metricsUrl } = server
  log.info({ url, metrics: metricsUrl, database, workers: config.workers }, 'listening')
}

const tellOwnerKey = (ownerKey: string): void => void process.stdout.write(showOwnerKey(ownerKey))

/** While PostgreSQL starts, which is a process of its own, this one loads the greater part of the server. */
const startAlone = async (config: Config, log: Log) => {
  const load = () => import('./start.ts')
  const database = await openDatabase(config, log, load)
  const { startServer } = await load()
  return startServer(config, log, { database, onOwnerKey: tellOwnerKey })
}

/** How long a start that is to be stopped may take to come to its end: what it began is known only then. */
const startMs = 20_000

/** The first reason to stop stops in good order, the second at once. */
const stopOnce = (starting: Promise<Stoppable>, log: Log) => {
  let hasBegun = false
  let hasStarted = false
  const stopStarted = async (stopping: Stopping): Promise<void> => {
    // Nobody is served yet by a server that has not started.
    const now = hasStarted ? stopping : { ...stopping, lingerMs: 0 }
    const impatience = hasStarted ? undefined : setTimeout(() => process.exit(1), startMs)
    const server = await starting
    clearTimeout(impatience)
    await stopAndExit(server, log, now)
  }
  starting.then(
    () => {
      hasStarted = true
    },
    () => {},
  )
  return {
    hasBegun: () => hasBegun,
    stop(stopping: Stopping, say: () => void): void {
      say()
      if (hasBegun) process.exit(1)
      hasBegun = true
      // A start that fails says why by itself.
      stopStarted(stopping).catch(() => {})
    },
  }
}

main().catch((error: unknown) => {
  process.stderr.write(
    `NarrowAPI did not start: ${error instanceof Error ? reasons(error) : String(error)}\n`,
  )
  process.exit(1)
})

/** A start fails for reasons an operator can mend, so they read sentences and no stack. */
function reasons(error: Error): string {
  return error.cause instanceof Error ? `${error.message}\n  because: ${reasons(error.cause)}` : error.message
}
