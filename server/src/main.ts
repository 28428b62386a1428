#!/usr/bin/env node
import { readCommand } from './config.ts'
import { createLog } from './log.ts'
import { startPrimary } from './primary.ts'
import { type NarrowServer, startServer } from './start.ts'
import { welcome } from './welcome.ts'
import { runWorker } from './worker.ts'

/** `npm start`: the server in this process or in workers of it, until a signal. A second signal does not wait. */
const main = async (): Promise<void> => {
  const config = readCommand()
  if (config.worker !== null) return runWorker(config, config.worker)
  const log = createLog(config.logLevel)
  const server = config.workers === 1 ? await startServer(config, log) : await startPrimary(config, log)
  // First, so that whoever reads that it runs can also stop it.
  stopOnSignal(server, log)
  process.stdout.write(welcome(server.url, server.ownerKey))
  const database = config.databaseUrl ? 'external' : 'embedded'
  const { url, metricsUrl } = server
  log.info({ url, metrics: metricsUrl, database, workers: config.workers }, 'listening')
}

const stopOnSignal = (server: Pick<NarrowServer, 'stop'>, log: ReturnType<typeof createLog>): void => {
  let stopping = false
  const onSignal = (signal: NodeJS.Signals): void => {
    if (stopping) process.exit(1)
    stopping = true
    log.info({ signal }, 'stopping: finishing what has begun')
    server.stop().then(
      () => process.exit(0),
      (error: unknown) => {
        log.error({ error }, 'the stop was not clean')
        process.exit(1)
      },
    )
  }
  process.on('SIGTERM', onSignal)
  process.on('SIGINT', onSignal)
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
