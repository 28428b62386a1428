import type { Context, Span, Tracer } from '@opentelemetry/api'
import type { Config } from './config.ts'
import type { Log } from './log.ts'
import {
  type RequestSpan,
  type Trace,
  type Traceparent,
  traceparentText,
  type UpstreamSpan,
} from './trace.ts'
import { version } from './version.ts'

/** Exports spans by OpenTelemetry. */
export type Tracing = {
  /** The trace of a request with the span of its own that will be exported. `startedAt` is of `performance.now()`. */
  request(said: { parent: Traceparent | null; tracestate: string | undefined; startedAt: number }): Trace
  /** Sends what is left, for a few seconds at most. */
  close(): Promise<void>
}

type Packages = Awaited<ReturnType<typeof loadPackages>>

/** How long a stop waits for a receiver that does not answer. */
const closeMs = 5_000

/**
 * OpenTelemetry comes with packages that the operator installs, and is loaded only where its usual variables ask
 * for it. The packages read the rest of these variables themselves (endpoint, headers, sampler, batches) and send
 * to the operator's own receiver, apart from the door that actions go through.
 */
export const startTracing = async ({ exportsTraces }: Config, log: Log): Promise<Tracing | null> => {
  if (!exportsTraces) return null
  try {
    return createTracing(await loadPackages(), log)
  } catch (error) {
    // The variables are often set for every service of a cluster: a server without the packages serves all the same.
    if (!isMissing(error)) throw error
    log.warn({ error }, `traces are not exported: run npm install ${packages.join(' ')}`)
    return null
  }
}

const packages = [
  '@opentelemetry/api',
  '@opentelemetry/resources',
  '@opentelemetry/sdk-trace-base',
  '@opentelemetry/exporter-trace-otlp-proto',
] as const

const loadPackages = async () => {
  const [api, resources, sdk, otlp] = await Promise.all([
    import('@opentelemetry/api'),
    import('@opentelemetry/resources'),
    import('@opentelemetry/sdk-trace-base'),
    import('@opentelemetry/exporter-trace-otlp-proto'),
  ])
  return { api, resources, sdk, otlp }
}

const isMissing = (error: unknown): boolean =>
  error instanceof Error && 'code' in error && error.code === 'ERR_MODULE_NOT_FOUND'

const createTracing = ({ api, resources, sdk, otlp }: Packages, log: Log): Tracing => {
  const tell = (problem: string) => log.warn({ problem }, 'OpenTelemetry has a problem')
  const silent = () => {}
  api.diag.setLogger(
    { error: tell, warn: tell, info: silent, debug: silent, verbose: silent },
    api.DiagLogLevel.WARN,
  )
  const own = { 'service.name': 'narrowapi', 'service.version': version }
  const provider = new sdk.BasicTracerProvider({
    resource: resources
      .defaultResource()
      .merge(resources.resourceFromAttributes(own))
      .merge(resources.detectResources({ detectors: [resources.envDetector] })),
    spanProcessors: [new sdk.BatchSpanProcessor(new otlp.OTLPTraceExporter())],
  })
  const tracer = provider.getTracer('narrowapi', version)
  return {
    request({ parent, tracestate, startedAt }) {
      const context = parent ? remoteContext(api, parent, tracestate) : api.ROOT_CONTEXT
      const span = tracer.startSpan('request', { kind: api.SpanKind.SERVER, startTime: startedAt }, context)
      const { traceId, traceFlags } = span.spanContext()
      // Whether the trace is recorded the sampler has decided; whether its id is random, who began it.
      const flags = traceFlags | ((parent?.flags ?? 0b10) & 0b10)
      return { traceId, flags, span: requestSpan(api, tracer, span, flags) }
    },
    async close() {
      let timer: NodeJS.Timeout | undefined
      const late = new Promise<void>((resolve) => {
        timer = setTimeout(resolve, closeMs)
      })
      await Promise.race([provider.shutdown().catch((error: unknown) => tell(String(error))), late])
      clearTimeout(timer)
    },
  }
}

type Api = Packages['api']

const remoteContext = (api: Api, { traceId, parentId, flags }: Traceparent, tracestate = ''): Context =>
  api.trace.setSpanContext(api.ROOT_CONTEXT, {
    traceId,
    spanId: parentId,
    traceFlags: flags & 0b01,
    traceState: api.createTraceState(tracestate),
    isRemote: true,
  })

/** Names by the semantic conventions for HTTP. No URL: paths and queries may hold what is secret. */
const requestSpan = (api: Api, tracer: Tracer, span: Span, flags: number): RequestSpan => ({
  upstream({ method, origin, actionId }) {
    const { hostname, port, protocol } = new URL(origin)
    const attributes = {
      'http.request.method': method,
      'server.address': hostname,
      'server.port': Number(port || (protocol === 'https:' ? 443 : 80)),
      'narrowapi.action_id': actionId,
    }
    const context = api.trace.setSpan(api.ROOT_CONTEXT, span)
    return upstreamSpan(
      api,
      tracer.startSpan(method, { kind: api.SpanKind.CLIENT, attributes }, context),
      flags,
    )
  },
  end({ method, route, status, requestId, executionId, error }) {
    span.updateName(route === null ? method : `${method} ${route}`)
    span.setAttributes({
      'http.request.method': method,
      'narrowapi.request_id': requestId,
      ...(status === null ? {} : { 'http.response.status_code': status }),
      ...(route === null ? {} : { 'http.route': route }),
      ...(executionId === null ? {} : { 'narrowapi.execution_id': executionId }),
      ...(error === null ? {} : { 'error.type': error }),
    })
    if (status !== null && status >= 500) span.setStatus({ code: api.SpanStatusCode.ERROR })
    span.end(performance.now())
  },
})

const upstreamSpan = (api: Api, span: Span, flags: number): UpstreamSpan => {
  const { traceId, spanId } = span.spanContext()
  return {
    traceparent: traceparentText(traceId, spanId, flags),
    end(status, failure) {
      if (status !== null) span.setAttribute('http.response.status_code', status)
      if (failure !== null) span.setAttribute('error.type', failure)
      if (status === null || status >= 400) span.setStatus({ code: api.SpanStatusCode.ERROR })
      span.end()
    },
  }
}
