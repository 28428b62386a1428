import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { Deps } from '../deps.ts'
import { listen } from '../http/listen.ts'
import type { MetricRegistry } from '../metrics/registry.ts'
import { watchParts } from '../metrics/watch.ts'

export type MetricsListener = { address: AddressInfo; close(): Promise<void> }

/** One scraper, which asks every few seconds and sends no body. */
export const patience = {
  headersTimeout: 5_000,
  requestTimeout: 5_000,
  connectionsCheckingInterval: 2_000,
  keepAliveTimeout: 65_000,
  maxHeaderSize: 8_192,
} as const

/**
 * `GET /metrics` for Prometheus, on a listener of its own: the figures are for the operator, and whoever reaches
 * the port of the callers must not find them. It asks for no credential, so who may reach it is decided by its
 * address, which is loopback unless the operator says otherwise. Figures of the process and of the listener of
 * the callers are gathered only where somebody can ask for them.
 */
export const openMetrics = async (deps: Deps, callers: Server): Promise<MetricsListener | null> => {
  if (deps.config.metrics === null) return null
  const { host, port } = deps.config.metrics
  const { registry } = deps.metrics
  watchParts(deps)
  registry.watchProcess()
  registry.gauge(
    { name: 'narrowapi_http_connections', help: 'Connections of callers that are open' },
    () => new Promise((resolve) => callers.getConnections((_error, count) => resolve(count ?? 0))),
  )
  const server = createMetricsServer(registry)
  const address = await listen(
    server,
    // Workers share what they listen on (node:cluster), even a free port, and each has figures of its own.
    { host, port, exclusive: true },
    { host: 'METRICS_HOST', port: 'METRICS_PORT' },
  )
  return {
    address,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve())
        server.closeAllConnections()
      }),
  }
}

const createMetricsServer = (registry: MetricRegistry): Server =>
  createServer(patience, (req, res) => {
    res.setHeader('Cache-Control', 'no-store')
    res.setHeader('X-Content-Type-Options', 'nosniff')
    if (req.url?.split('?', 1)[0] !== '/metrics') return void res.writeHead(404).end()
    if (req.method !== 'GET' && req.method !== 'HEAD') {
      return void res.writeHead(405, { Allow: 'GET, HEAD' }).end()
    }
    registry.text().then(
      (text) => res.writeHead(200, { 'Content-Type': registry.contentType }).end(text),
      () => res.writeHead(500).end(),
    )
  })
