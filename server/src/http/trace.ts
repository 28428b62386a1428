import type { Deps } from '../deps.ts'
import { readTraceparent, type Trace, traceOf } from '../trace.ts'
import { contextOf, type Request, type Response } from './context.ts'

type Parts = Pick<Deps, 'ids' | 'tracing'>

/** The trace of a request, read or begun when somebody first asks: most requests that are refused need none. */
export const requestTrace = ({ ids, tracing }: Parts, req: Request): Trace => {
  const context = contextOf(req)
  if (context.trace) return context.trace
  const traceparent = textOf(req.headers.traceparent)
  context.trace = tracing
    ? tracing.request({
        parent: readTraceparent(traceparent),
        tracestate: textOf(req.headers.tracestate),
        startedAt: context.startedAt,
      })
    : traceOf(ids, traceparent)
  return context.trace
}

/** Ends the span of a request that was answered, where spans are exported. */
export const endSpan = (parts: Parts, req: Request, res: Response, route: string | null): void => {
  if (parts.tracing === null) return
  const { head, requestId } = contextOf(req)
  // A call gives Node its headers all at once, and they cannot be asked for afterwards.
  const named = head.indexOf('X-Execution-ID')
  requestTrace(parts, req).span?.end({
    method: req.method ?? '',
    route,
    status: res.headersSent ? res.statusCode : null,
    requestId,
    executionId: named === -1 ? null : (head[named + 1] ?? null),
    error: textOf(res.getHeader('X-NarrowAPI-Error')) ?? null,
  })
}

/** Node joins what was sent twice. */
const textOf = (header: unknown): string | undefined => (typeof header === 'string' ? header : undefined)
