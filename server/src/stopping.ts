import { setTimeout as delay } from 'node:timers/promises'
import { isConnectionLost } from './db/sql.ts'
import type { Log } from './log.ts'
import type { NarrowServer } from './start.ts'

/** How long new work is still told that the server stops, before connections are refused or closed. */
export const lingerMs = 1_000

export type Stopping = { code: number; lingerMs: number }
export type Stoppable = Pick<NarrowServer, 'announceStop' | 'stop'>

/** Stops in good order and ends the process. */
export const stopAndExit = async (server: Stoppable, log: Log, stopping: Stopping): Promise<void> => {
  try {
    server.announceStop()
    await delay(stopping.lingerMs)
    await server.stop()
    process.exit(stopping.code)
  } catch (error) {
    log.error({ error }, 'the stop was not clean')
    process.exit(1)
  }
}

/**
 * A fault that nobody caught (a throw outside of any promise, a rejection nobody awaits) ends the process, because
 * nobody knows what it left half done; what has begun elsewhere is finished first, as at a signal. The exit code
 * is then 1, and whoever watches the process starts it again.
 */
export const stopAtFaults = (log: Log, stop: (stopping: Stopping, say: () => void) => void): void => {
  const onFault = (error: unknown, origin: string) =>
    stop({ code: 1, lingerMs }, () => log.fatal({ error, origin }, 'stopping: a fault that nobody caught'))
  process.on('uncaughtException', onFault)
  process.on('unhandledRejection', (error) => {
    // The driver (postgres.js 3.4) asks each new connection for the types of arrays and awaits no answer. Whoever
    // wanted the connection is told by themselves that it was lost.
    if (isConnectionLost(error)) log.warn({ error }, 'a connection to the database was lost at its start')
    else onFault(error, 'unhandledRejection')
  })
}
