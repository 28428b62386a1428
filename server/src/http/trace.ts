import type { Deps } from '../deps.ts'
import { type Trace, traceOf } from '../trace.ts'
import { contextOf, type Request } from './context.ts'

/** The trace of a request, read or begun when somebody first asks: most requests that are refused need none. */
export const requestTrace = ({ ids }: Pick<Deps, 'ids'>, req: Request): Trace => {
  const context = contextOf(req)
  context.trace ??= traceOf(ids, textOf(req.headers.traceparent))
  return context.trace
}

/** Node joins what was sent twice. */
const textOf = (header: string | string[] | undefined): string | undefined =>
  typeof header === 'string' ? header : undefined
