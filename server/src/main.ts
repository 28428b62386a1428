#!/usr/bin/env node
import { setTimeout as delay } from 'node:timers/promises'
import { readConfig } from './config.ts'
import { isConnectionLost } from './db/sql.ts'
import { createLog, type Log } from './log.ts'
import { type NarrowServer, startServer } from './start.ts'
import { welcome } from './welcome.ts'

/**
 * `npm start`: the server in this process, until a signal. A second signal does not wait.
 *
 * A fault that nobody caught (a throw outside of any promise, a rejection nobody awaits) ends the process, because
 * nobody knows what it left half done; what has begun elsewhere is finished first, as at a signal. The exit code
 * is then 1, and whoever watches the process starts it again.
 */
const main = async (): Promise<void> => {
  const config = readConfig()
  const log = createLog(config.logLevel)
  const server = await startServer(config, log)
  const stop = stopOnce(server, log)
  // First, so that whoever reads that it runs can also stop it.
  for (const signal of ['SIGTERM', 'SIGINT'] as const) {
    const say = () => log.info({ signal }, 'stopping: finishing what has begun')
    // At a terminal nobody is to be told, and somebody waits.
    process.on(signal, () => stop({ code: 0, lingerMs: signal === 'SIGINT' ? 0 : lingerMs }, say))
  }
  const onFault = (error: unknown, origin: string) =>
    stop({ code: 1, lingerMs }, () => log.fatal({ error, origin }, 'stopping: a fault that nobody caught'))
  process.on('uncaughtException', onFault)
  process.on('unhandledRejection', (error) => {
    // The driver (postgres.js 3.4) asks each new connection for the types of arrays and awaits no answer. Whoever
    // wanted the connection is told by themselves that it was lost.
    if (isConnectionLost(error)) log.warn({ error }, 'a connection to the database was lost at its start')
    else onFault(error, 'unhandledRejection')
  })
  process.stdout.write(welcome(server.url, server.ownerKey))
  log.info({ url: server.url, database: config.databaseUrl ? 'external' : 'embedded' }, 'listening')
}

/** How long new work is still told that the server stops, before connections are refused or closed. */
const lingerMs = 1_000

type Stopping = { code: number; lingerMs: number }

/** The first reason to stop stops in good order, the second at once. */
const stopOnce = (server: NarrowServer, log: Log): ((stopping: Stopping, say: () => void) => void) => {
  let isStopping = false
  const stop = async ({ code, lingerMs }: Stopping): Promise<void> => {
    server.announceStop()
    await delay(lingerMs)
    await server.stop()
    process.exit(code)
  }
  return (stopping, say) => {
    say()
    if (isStopping) process.exit(1)
    isStopping = true
    stop(stopping).catch((error: unknown) => {
      log.error({ error }, 'the stop was not clean')
      process.exit(1)
    })
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
