import { setTimeout as delay } from 'node:timers/promises'
import type { Clock } from './clock.ts'
import type { Config } from './config.ts'
import { type Database, openDatabase } from './database.ts'
import { addressUrl, createDeps, type Deps } from './deps.ts'
import { type MetricsListener, openMetrics } from './edge/metrics.ts'
import { createListener } from './http/app.ts'
import { listen } from './http/listen.ts'
import { createHttpServer } from './http/server.ts'
import type { OnOwnerKey } from './installation.ts'
import type { Log } from './log.ts'
import { startJobs } from './workers/jobs.ts'
import { startMaintenance } from './workers/maintenance.ts'

export type NarrowServer = {
  url: string
  /** Where the figures are; null when they are served nowhere. */
  metricsUrl: string | null
  deps: Deps
  /** The owner key, if this start made the installation. */
  ownerKey: string | null
  /** Takes no new work from now on, and says so to whoever brings some or asks whether it is ready. */
  announceStop(): void
  /** Ends what has begun, by itself within the drain time and by force after it. */
  stop(): Promise<void>
}

const sweepMs = 100
/** For the answers that callers get when their upstream calls are cut. */
const lastWordsMs = 1_000

/** Everything from a config to a server that answers. Used by `run.ts` and, with their own config, by tests. */
export const startServer = async (
  config: Config,
  log: Log,
  { database, ...given }: { database?: Database; clock?: Clock | undefined; onOwnerKey?: OnOwnerKey } = {},
): Promise<NarrowServer> => {
  const running = await createDeps(config, log, database ?? (await openDatabase(config, log)), given)
  const { deps } = running
  const server = createHttpServer(deps)
  const maintenance = startMaintenance(deps)
  let metrics: MetricsListener | null = null
  try {
    metrics = await openMetrics(deps, server)
    const { address, port } = await listen(server, config, { host: 'HOST', port: 'PORT' })
    running.listensAt({ address, port })
    // So that no action can read them, whatever addresses the operator allows.
    for (const port of metrics ? [metrics.address.port, ...(config.metrics?.ofAll ?? [])] : []) {
      running.listensAt({ address: metrics?.address.address ?? '', port })
    }
    server.on('request', createListener(deps))
  } catch (error) {
    server.close()
    await metrics?.close()
    await maintenance.stop()
    await running.close()
    throw error
  }
  const jobs = startJobs(deps)
  const stop = async (): Promise<void> => {
    running.announceStop()
    const closed = new Promise<void>((resolve) => server.close(() => resolve()))
    // Again and again: a connection that was busy when the stop began is kept open for more when it has done.
    const sweep = setInterval(() => server.closeIdleConnections(), sweepMs)
    const patience = new AbortController()
    const insisted = insist(patience.signal).catch(() => {})
    await closed
    patience.abort()
    await insisted
    clearInterval(sweep)
    // So late that the stop can be watched.
    await metrics?.close()
    await jobs.stop()
    await maintenance.stop()
    await running.close()
  }
  /** What an upstream has not answered by now ends as unknown, recorded and told; then the connections go. */
  const insist = async (signal: AbortSignal): Promise<void> => {
    await delay(config.drainMs, null, { signal })
    log.warn('the drain time is over: calls that still wait for their upstream end with unknown outcome')
    await deps.egress.cut()
    await delay(lastWordsMs, null, { signal })
    server.closeAllConnections()
  }
  return {
    url: deps.publicUrl(),
    metricsUrl: metrics && `${addressUrl(metrics.address)}/metrics`,
    deps,
    ownerKey: running.ownerKey,
    announceStop: () => running.announceStop(),
    stop,
  }
}
