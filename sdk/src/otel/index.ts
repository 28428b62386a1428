/**
 * OpenTelemetry for the calls of a client: `new NarrowAPI({ middleware: [openTelemetry(api)] })`, where `api` is
 * `import * as api from '@opentelemetry/api'`. It is handed in, so this package depends on nothing.
 */
import type { Middleware, NarrowRequest } from '../types.ts'

type Attributes = Record<string, string | number>

/** What is used of a span of `@opentelemetry/api`. */
export interface Span {
  /** Adds a fact. */
  setAttribute(name: string, value: string | number): unknown
  /** Says how it went. */
  setStatus(status: {
    /** 2 for a failure. */
    code: number
  }): unknown
  /** Tells what was thrown. */
  recordException(error: Error): void
  /** It is over. */
  end(): void
}

/** What is used of `@opentelemetry/api`, version 1; its namespace has this shape. */
export interface OpenTelemetryApi<Context, ApiSpan extends Span> {
  /** What belongs to the work that is under way. */
  readonly context: {
    /** The one of this moment. */
    active(): Context
    /** Runs something inside of one. */
    with<Result>(context: Context, run: () => Result): Result
  }
  /** How a trace goes on in another process. */
  readonly propagation: {
    /** Adds the headers that say so. */
    inject(context: Context, carrier: Record<string, string>): void
  }
  /** Where spans are made. */
  readonly trace: {
    /** The maker of spans for a package. */
    getTracer(name: string): {
      /** Begins one. */
      startSpan(
        name: string,
        options: {
          /** 2 for a client. */
          kind: number
          /** Facts that are known from the beginning. */
          attributes: Attributes
        },
        context: Context,
      ): ApiSpan
    }
    /** The context inside of a span. */
    setSpan(context: Context, span: ApiSpan): Context
  }
}

/**
 * A span for every attempt, named after the method and the operation, by the conventions for HTTP clients; a
 * repeated one counts in `http.request.resend_count`. The trace goes on in the server by the headers that your
 * propagator adds. Neither queries nor bodies nor any other headers are told.
 */
export const openTelemetry =
  <Context, ApiSpan extends Span>({
    context,
    propagation,
    trace,
  }: OpenTelemetryApi<Context, ApiSpan>): Middleware =>
  async (request, next, { operation, attempt }) => {
    const attributes = attributesOf(request, operation, attempt)
    const name = `${request.method} ${operation}`
    const span = trace
      .getTracer('@narrowapi/sdk')
      .startSpan(name, { kind: CLIENT, attributes }, context.active())
    const inside = trace.setSpan(context.active(), span)
    const headers = { ...request.headers }
    propagation.inject(inside, headers)
    try {
      const response = await context.with(inside, () => next({ ...request, headers }))
      span.setAttribute('http.response.status_code', response.status)
      const requestId = response.headers.get('x-request-id')
      if (requestId) span.setAttribute('narrowapi.request_id', requestId)
      if (response.status >= 400) fail(span, `${response.status}`)
      return response
    } catch (error) {
      if (error instanceof Error) span.recordException(error)
      fail(span, error instanceof Error ? error.name : 'unknown')
      throw error
    } finally {
      span.end()
    }
  }

const attributesOf = ({ url, method }: NarrowRequest, operation: string, attempt: number): Attributes => {
  const { hostname, port, protocol, origin, pathname } = new URL(url)
  return {
    'http.request.method': method,
    'server.address': hostname,
    'server.port': Number(port) || (protocol === 'https:' ? 443 : 80),
    'url.full': origin + pathname,
    'narrowapi.operation': operation,
    ...(attempt > 1 && { 'http.request.resend_count': attempt - 1 }),
  }
}

const fail = (span: Span, type: string): void => {
  span.setAttribute('error.type', type)
  span.setStatus({ code: ERROR })
}

/** `SpanKind.CLIENT` and `SpanStatusCode.ERROR`. */
const [CLIENT, ERROR] = [2, 2]
