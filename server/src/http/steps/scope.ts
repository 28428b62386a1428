import type { Scope } from '@narrowapi/contract'
import type { Deps } from '../../deps.ts'
import { ApiError } from '../../errors.ts'
import { contextOf, headerValues, type Request } from '../context.ts'

/** Whether the key may do this, and in this workspace. */
export const checkScope = (deps: Deps, req: Request, scope: Scope | null): void => {
  const context = contextOf(req)
  const { key } = context
  if (!key) return
  const [workspace] = headerValues(req, 'x-workspace-id')
  if (workspace !== undefined && workspace !== key.workspaceId) {
    throw new ApiError('forbidden', 'This key belongs to another workspace than X-Workspace-ID names')
  }
  if (scope === null || key.scopes.has(scope)) return
  deps.refusals.note(key, `scope ${scope}`, context)
  throw new ApiError('forbidden', `This key lacks the scope ${scope}`, { required_scope: scope })
}
