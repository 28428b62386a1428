import cluster from 'node:cluster'
import type { Config } from './config.ts'
import { createWorkerLog } from './log.ts'
import { type NarrowServer, startServer } from './start.ts'
import { lingerMs, type Stopping, stopAndExit, stopAtFaults } from './stopping.ts'
import { type Ready, stopGraceMs, stopWord } from './worker-words.ts'

/**
 * One of several servers on a port. It stops when the first process says so or is gone, and not at a second signal:
 * a terminal and a service manager send theirs to every process at once, and only the first process counts them.
 */
export const runWorker = async (config: Config, number: number): Promise<void> => {
  const log = createWorkerLog(config.logLevel, number)
  let server: NarrowServer | null = null
  let isStopping = false
  const stop = (stopping: Stopping = { code: 0, lingerMs }): void => {
    if (isStopping) return
    isStopping = true
    // One that is still starting has begun nothing, and may wait for an answer of the first process for ever.
    if (server === null) process.exit(1)
    setTimeout(() => process.exit(1), config.drainMs + stopGraceMs).unref()
    void stopAndExit(server, log, stopping)
  }
  for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP'] as const) process.on(signal, () => stop())
  process.on('message', (word: unknown) => {
    if (word === stopWord) stop()
  })
  cluster.worker?.on('disconnect', () => {
    // Node would end a worker at once whose first process is gone; what it has begun can still be finished.
    if (cluster.worker) cluster.worker.exitedAfterDisconnect = true
    log.warn('the first process is gone: finishing what has begun')
    stop()
  })
  server = await startServer(config, log)
  stopAtFaults(log, (stopping, say) => {
    say()
    stop(stopping)
  })
  const { url, metricsUrl } = server
  process.send?.({ ready: true, url } satisfies Ready)
  log.info({ url, metrics: metricsUrl, pid: process.pid }, 'listening')
}
