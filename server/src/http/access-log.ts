import type { Deps } from '../deps.ts'
import { contextOf, type Request, type Response } from './context.ts'
import { routeOf, statusOf } from './ended.ts'
import { requestTrace } from './trace.ts'

/**
 * One line for every request that ended, also one whose caller went away. The route stands for the path, and
 * of what a caller wrote only the method and a well-formed request id are repeated, so a credential that
 * somebody puts into a URL cannot come here. Calls through `/x` are many, and each is in its execution:
 * their lines come at `debug` only.
 */
export const logAccess = (deps: Deps, req: Request, res: Response): void => {
  const level = req.url?.startsWith('/x/') ? 'debug' : 'info'
  if (!deps.log.isLevelEnabled(level)) return
  res.once('close', () => deps.log[level](lineOf(deps, req, res), 'request'))
}

const lineOf = (deps: Deps, req: Request, res: Response) => {
  const { requestId, ip, startedAt, key, token } = contextOf(req)
  const holder = key ?? token
  const route = routeOf(req)
  return {
    request_id: requestId,
    trace_id: requestTrace(deps, req).traceId,
    method: req.method,
    route,
    status: statusOf(res),
    duration_ms: Math.round((deps.clock.monotonic() - startedAt) * 1000) / 1000,
    ip,
    workspace_id: holder?.workspaceId ?? null,
    credential_id: holder?.id ?? null,
    ...(res.writableFinished ? {} : { aborted: true }),
  }
}
