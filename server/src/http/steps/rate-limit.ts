import type { Limit } from '../../db/rate-limit.ts'
import type { Deps } from '../../deps.ts'
import { workspaceLimit } from '../../proxy/limits.ts'
import { limitHeaders, rateLimited } from '../../rate-headers.ts'
import { contextOf, type Request, type Response } from '../context.ts'
import { setHead } from '../head.ts'

const minute = 60_000

/** Requests with no valid credential, by address: the only thing known of them. */
const unknownPerMinute = 600

/**
 * Counts a request for its key and for its workspace, and says so in headers, which errors then carry too.
 * What a token holder asks beside running actions counts for the workspace; the runs have limits of their own.
 */
export const limitHolder = async (deps: Deps, req: Request, res: Response): Promise<void> => {
  const { key, token } = contextOf(req)
  if (key) {
    await count(deps, res, [
      { name: `default:${key.id}`, limit: key.requestsPerMinute, windowMs: minute },
      workspaceLimit(key.workspace),
    ])
  } else if (token) await count(deps, res, [workspaceLimit(token.workspace)])
}

export const limitUnknown = (deps: Deps, req: Request, res: Response): Promise<void> =>
  count(deps, res, [{ name: `unknown:${contextOf(req).ip}`, limit: unknownPerMinute, windowMs: minute }])

const count = async (deps: Deps, res: Response, limits: readonly Limit[]): Promise<void> => {
  const now = deps.clock.now().getTime()
  const { isRefused, state } = await deps.limiter.take(limits, now)
  const others = limits.filter(({ name }) => name !== state.name)
  setHead(res, limitHeaders(state, now, others))
  if (isRefused) throw rateLimited(state, now)
}
