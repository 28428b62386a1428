import { contract } from '@narrowapi/contract'
import type { Deps } from '../deps.ts'
import { callName } from './call-name.ts'
import { contextOf, type Request, type Response } from './context.ts'
import { endSpan } from './trace.ts'

/** What is counted and traced of a request that Express serves, when its answer is out or its caller has gone. */
export const countWhenEnded = (deps: Deps, req: Request, res: Response): void => {
  deps.metrics.requests.inFlight += 1
  res.once('close', () => {
    deps.metrics.requests.inFlight -= 1
    const route = routeOf(req)
    const duration = deps.clock.monotonic() - contextOf(req).startedAt
    deps.metrics.requests.observe(req.method ?? '', route, statusOf(res), duration)
    endSpan(deps, req, res, route)
  })
}

/** Null when the caller went away before it got one; Node would say 200. */
export const statusOf = (res: Response): number | null => (res.headersSent ? res.statusCode : null)

/** The same for a call, which is told when its answer is written, because a listener for each would cost more. */
export const countCall = (deps: Deps, req: Request, res: Response): void => {
  deps.metrics.requests.inFlight -= 1
  deps.metrics.requests.observeCall(res.statusCode, deps.clock.monotonic() - contextOf(req).startedAt)
  endSpan(deps, req, res, contract.x.execute.path)
}

/** Express puts the route it chose on the request, and nothing there when none fits; calls do not pass it. */
export const routeOf = (req: Request): string | null => {
  const route: unknown = Reflect.get(req, 'route')
  if (typeof route === 'object' && route !== null && 'path' in route) return String(route.path)
  return callName(req) === null ? null : contract.x.execute.path
}
