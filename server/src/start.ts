import type { AddressInfo } from 'node:net'
import type { Clock } from './clock.ts'
import type { Config } from './config.ts'
import { createDeps, type Deps } from './deps.ts'
import { createListener } from './http/app.ts'
import { createHttpServer } from './http/server.ts'
import type { Log } from './log.ts'
import { startJobs } from './workers/jobs.ts'
import { startMaintenance } from './workers/maintenance.ts'

export type NarrowServer = {
  url: string
  deps: Deps
  /** The owner key, if this start made the installation. */
  ownerKey: string | null
  stop(): Promise<void>
}

const drainMs = 25_000
const sweepMs = 100

/** Everything from a config to a server that answers. Used by `main.ts` and, with their own config, by tests. */
export const startServer = async (config: Config, log: Log, clock?: Clock): Promise<NarrowServer> => {
  const running = await createDeps(config, log, clock)
  const { deps } = running
  const server = createHttpServer(deps)
  const maintenance = startMaintenance(deps)
  try {
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject)
      server.listen(config.port, config.host, resolve)
    })
    // A server that listens on a port has an AddressInfo.
    const { address, port } = server.address() as AddressInfo
    running.setAddress({ address, port })
    server.on('request', (_req, res) => {
      if (deps.isStopping()) res.shouldKeepAlive = false
    })
    server.on('request', createListener(deps))
  } catch (error) {
    server.close()
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
    await jobs.stop()
    await maintenance.stop()
    await running.close()
  }
  return { url: deps.publicUrl(), deps, ownerKey: running.ownerKey, stop }
}
