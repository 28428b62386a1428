import { type Config, readCommand } from './config.ts'
import { openDatabase } from './database.ts'
import { createLog, type Log } from './log.ts'
import { startPrimary } from './primary.ts'
import { lingerMs, type Stoppable, type Stopping, stopAndExit, stopAtFaults } from './stopping.ts'
import { welcome } from './welcome.ts'

/** `npm start`: the server in this process or in workers of it, until a signal. A second signal does not wait. */
const main = async (): Promise<void> => {
  const config = readCommand()
  if (config.worker !== null) {
    const { runWorker } = await import('./worker.ts')
    return runWorker(config, config.worker)
  }
  const log = createLog(config.logLevel)
  const server = config.workers === 1 ? await startAlone(config, log) : await startPrimary(config, log)
  const stop = stopOnce(server, log)
  // First, so that whoever reads that it runs can also stop it.
  for (const signal of ['SIGTERM', 'SIGINT'] as const) {
    const say = () => log.info({ signal }, 'stopping: finishing what has begun')
    // At a terminal nobody is to be told, and somebody waits.
    process.on(signal, () => stop({ code: 0, lingerMs: signal === 'SIGINT' ? 0 : lingerMs }, say))
  }
  stopAtFaults(log, stop)
  process.stdout.write(welcome(server.url, server.ownerKey))
  const database = config.databaseUrl ? 'external' : 'embedded'
  const { url, metricsUrl } = server
  log.info({ url, metrics: metricsUrl, database, workers: config.workers }, 'listening')
}

/** While PostgreSQL starts, which is a process of its own, this one loads the greater part of the server. */
const startAlone = async (config: Config, log: Log) => {
  const load = () => import('./start.ts')
  const database = await openDatabase(config, log, load)
  const { startServer } = await load()
  return startServer(config, log, { database })
}

/** The first reason to stop stops in good order, the second at once. */
const stopOnce = (server: Stoppable, log: Log): ((stopping: Stopping, say: () => void) => void) => {
  let isStopping = false
  return (stopping, say) => {
    say()
    if (isStopping) process.exit(1)
    isStopping = true
    void stopAndExit(server, log, stopping)
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
