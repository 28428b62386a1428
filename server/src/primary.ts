import cluster, { type Worker } from 'node:cluster'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { systemClock } from './clock.ts'
import type { Config } from './config.ts'
import { type Database, openDatabase } from './database.ts'
import { connect, urlOf } from './db/sql.ts'
import { createIds } from './ids.ts'
import { type OnOwnerKey, openInstallation } from './installation.ts'
import type { Log } from './log.ts'
import type { NarrowServer } from './start.ts'
import { isReady, stopGraceMs, stopWord } from './worker-words.ts'

/** A worker that lived for so long was in order; one that ends sooner is waited for longer each time. */
const steadyMs = 30_000
const firstDelayMs = 100
const lastDelayMs = 10_000

/**
 * The first process of several. It owns the database, its migrations and the first start, and serves nothing. Its
 * workers accept connections from one queue (node:cluster without its scheduling): when one is killed, the others
 * take what waits there. Handed out in turn by the first process, a connection on its way to a worker that is
 * killed would stay open for ever and unanswered.
 */
export const startPrimary = async (
  config: Config,
  log: Log,
  onOwnerKey: OnOwnerKey,
): Promise<Omit<NarrowServer, 'deps'>> => {
  const database = await openDatabase(config, log)
  const workers = new Workers(log, { DATABASE_URL: urlOf(database.connection) }, config.drainMs + stopGraceMs)
  const stop = async (): Promise<void> => {
    await workers.stop()
    await database.close()
  }
  try {
    const ownerKey = await setUp(database, onOwnerKey)
    const url = await workers.start(config.workers)
    // The workers serve figures, each its own.
    return { url, metricsUrl: null, ownerKey, announceStop: () => workers.announceStop(), stop }
  } catch (error) {
    await stop()
    throw error
  }
}

/** Makes the installation if there is none, before workers could do so, whose output nobody reads. */
const setUp = async ({ connection, keyring }: Database, onOwnerKey: OnOwnerKey): Promise<string | null> => {
  const system = connect(connection, 'narrowapi_system', { max: 1 })
  try {
    const clock = systemClock
    const ids = createIds(() => clock.now().getTime(), randomBytes)
    const { ownerKey } = await openInstallation({ system, keyring, clock, ids }, onOwnerKey)
    return ownerKey
  } finally {
    await system.end({ timeout: 1 })
  }
}

class Workers {
  readonly #log: Log
  readonly #environment: Record<string, string>
  readonly #stopMs: number
  readonly #running = new Set<Worker>()
  readonly #replacing = new Set<NodeJS.Timeout>()
  #isStopping = false

  constructor(log: Log, environment: Record<string, string>, stopMs: number) {
    this.#stopMs = stopMs
    this.#log = log
    this.#environment = environment
    cluster.schedulingPolicy = cluster.SCHED_NONE
    // However this process ends, nothing of it is left that serves.
    process.once('exit', () => {
      for (const worker of this.#running) worker.process.kill('SIGKILL')
    })
  }

  /** Starts them all, and tells where they answer when all do. One that cannot start stops the start. */
  async start(count: number): Promise<string> {
    const numbers = Array.from({ length: count }, (_, index) => index + 1)
    const [url] = await Promise.all(numbers.map((number) => this.#firstReady(number)))
    if (url === undefined) throw new Error('There are no workers to start')
    return url
  }

  /** Tells every worker to take nothing new and to finish what it has begun. */
  announceStop(): void {
    if (this.#isStopping) return
    this.#isStopping = true
    for (const timer of this.#replacing) clearTimeout(timer)
    for (const worker of this.#running) if (worker.isConnected()) worker.send(stopWord)
  }

  /** Waits for every worker, and ends those that do not come to an end. */
  async stop(): Promise<void> {
    this.announceStop()
    await Promise.all(
      [...this.#running].map(async (worker) => {
        const ended = once(worker, 'exit')
        const timer = setTimeout(() => worker.process.kill('SIGKILL'), this.#stopMs)
        await ended
        clearTimeout(timer)
      }),
    )
  }

  #firstReady(number: number): Promise<string> {
    return new Promise((resolve, reject) => {
      const worker = this.#fork(number)
      const onExit = () =>
        reject(new Error(`Worker ${number} ended before it listened: see its own words above`))
      worker.once('exit', onExit)
      worker.on('message', (word: unknown) => {
        if (!isReady(word)) return
        worker.off('exit', onExit)
        worker.once('exit', this.#replacerOf(number, 0))
        resolve(word.url)
      })
    })
  }

  #fork(number: number): Worker {
    const worker = cluster.fork({ ...this.#environment, NARROWAPI_WORKER: String(number) })
    this.#running.add(worker)
    worker.once('exit', () => this.#running.delete(worker))
    return worker
  }

  /** What to do when a worker ends that was not told to: another takes its number, later each time it fails. */
  #replacerOf(number: number, failures: number): (code: number | null, signal: string | null) => void {
    const startedAt = performance.now()
    return (code, signal) => {
      if (this.#isStopping) return
      const failed = performance.now() - startedAt < steadyMs ? failures + 1 : 0
      const delayMs = Math.min(lastDelayMs, firstDelayMs * 2 ** Math.max(0, failed - 1))
      this.#log.warn({ worker: number, code, signal, delay_ms: delayMs }, 'a worker ended and is replaced')
      const timer = setTimeout(() => {
        this.#replacing.delete(timer)
        this.#fork(number).once('exit', this.#replacerOf(number, failed))
      }, delayMs)
      this.#replacing.add(timer)
    }
  }
}
