import cluster from 'node:cluster'
import type { Config } from './config.ts'
import { createWorkerLog } from './log.ts'
import { startServer } from './start.ts'
import { type Ready, stopWord } from './worker-words.ts'

/**
 * One of several servers on a port. It stops when the first process says so or is gone, and not at a second signal:
 * a terminal and a service manager send theirs to every process at once, and only the first process counts them.
 */
export const runWorker = async (config: Config, number: number): Promise<void> => {
  const log = createWorkerLog(config.logLevel, number)
  const starting = startServer(config, log)
  let isStopping = false
  const stop = (): void => {
    if (isStopping) return
    isStopping = true
    starting
      .then((server) => server.stop())
      .then(
        () => process.exit(0),
        (error: unknown) => {
          log.error({ error }, 'the stop was not clean')
          process.exit(1)
        },
      )
  }
  process.on('SIGTERM', stop)
  process.on('SIGINT', stop)
  process.on('message', (word: unknown) => {
    if (word === stopWord) stop()
  })
  cluster.worker?.on('disconnect', () => {
    // Node would end a worker at once whose first process is gone; what it has begun can still be finished.
    if (cluster.worker) cluster.worker.exitedAfterDisconnect = true
    log.warn('the first process is gone: finishing what has begun')
    stop()
  })
  const { url, metricsUrl } = await starting
  process.send?.({ ready: true, url } satisfies Ready)
  log.info({ url, metrics: metricsUrl, pid: process.pid }, 'listening')
}
