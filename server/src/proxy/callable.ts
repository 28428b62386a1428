import { ApiError } from '../errors.ts'
import type { HeldGrant, Holder } from './authority.ts'
import type { LoadedAction } from './catalogue.ts'
import type { ProxyParts } from './parts.ts'

type Granted = { action: LoadedAction; grant: HeldGrant }

type Callable = { granted: Granted; refusal: ApiError | null } | { granted: null; refusal: ApiError }

/**
 * What the token may run under this name, and why it may not right now. Anything that is not granted does not
 * exist for the token, so that a paused action of others cannot be told from none. What is remembered is known
 * at once; only others are worth a promise.
 */
export const findCallable = (
  parts: Pick<ProxyParts, 'catalogue'>,
  holder: Holder,
  name: string,
  now: Date,
): Callable | Promise<Callable> => {
  const action = parts.catalogue.action(holder.workspaceId, name)
  if (!(action instanceof Promise)) return judgeCallable(holder, action, now)
  return action.then((loaded) => judgeCallable(holder, loaded, now))
}

const judgeCallable = (holder: Holder, action: LoadedAction | null, now: Date): Callable => {
  const grant = action && holder.grants.get(action.id)
  const isKnown = action !== null && (action.status === 'active' || action.status === 'paused')
  const isWorkspacePaused = holder.workspace.status === 'paused'
  if (!grant || !isKnown) {
    return { granted: null, refusal: isWorkspacePaused ? paused('workspace') : notCallable() }
  }
  const refusal = isWorkspacePaused ? paused('workspace') : closedReason(action, now)
  return { granted: { action, grant }, refusal }
}

const closedReason = (action: LoadedAction, now: Date): ApiError | null => {
  if (action.status === 'paused') return paused('action')
  if (isSunset(action, now)) return new ApiError('sunset', 'This action is no longer served')
  return null
}

export const isSunset = (action: LoadedAction, now: Date): boolean =>
  action.sunset_at !== null && action.sunset_at <= now.toISOString()

export const paused = (what: 'workspace' | 'action') => new ApiError('paused', `The ${what} is paused`)

const notCallable = () => new ApiError('not_found', 'This token may run no action of this name')
