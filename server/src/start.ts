import type { AddressInfo } from 'node:net'
import type { Clock } from './clock.ts'
import type { Config } from './config.ts'
import { addressUrl, createDeps, type Deps } from './deps.ts'
import { type MetricsListener, openMetrics } from './edge/metrics.ts'
import { createListener } from './http/app.ts'
import { createHttpServer } from './http/server.ts'
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
  stop(): Promise<void>
}

/** How long what has begun may take to end when the server stops. */
export const drainMs = 25_000
const sweepMs = 100

/** Everything from a config to a server that answers. Used by `main.ts` and, with their own config, by tests. */
export const startServer = async (config: Config, log: Log, clock?: Clock): Promise<NarrowServer> => {
  const running = await createDeps(config, log, clock)
  const { deps } = running
  const server = createHttpServer(deps)
  const maintenance = startMaintenance(deps)
  let metrics: MetricsListener | null = null
  try {
    metrics = await openMetrics(deps, server)
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject)
      server.listen(config.port, config.host, resolve)
    })
    // A server that listens on a port has an AddressInfo.
    const { address, port } = server.address() as AddressInfo
    running.listensAt({ address, port })
    // So that no action can read them, whatever addresses the operator allows.
    for (const port of metrics ? [metrics.address.port, ...(config.metrics?.ofAll ?? [])] : []) {
      running.listensAt({ address: metrics?.address.address ?? '', port })
    }
    server.on('request', (_req, res) => {
      if (deps.isStopping()) res.shouldKeepAlive = false
    })
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
    const timer = setTimeout(() => server.closeAllConnections(), drainMs)
    await closed
    clearInterval(sweep)
    clearTimeout(timer)
    // So late that the stop can be watched.
    await metrics?.close()
    await jobs.stop()
    await maintenance.stop()
    await running.close()
  }
  const metricsUrl = metrics && `${addressUrl(metrics.address)}/metrics`
  return { url: deps.publicUrl(), metricsUrl, deps, ownerKey: running.ownerKey, stop }
}
