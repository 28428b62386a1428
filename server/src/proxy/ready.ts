import { ApiError } from '../errors.ts'
import type { Holder } from './authority.ts'
import { type Catalogue, type LoadedAction, missingSecret, type OpenSecret } from './catalogue.ts'
import { inject } from './inject.ts'
import type { BuiltRequest } from './template.ts'

/** A request with its secret in place. */
export type Ready = { built: BuiltRequest; secret: OpenSecret | null }

type Workspace = Pick<Holder['workspace'], 'allowsHost'>

/** The secret of an action; `null` where it has need of none, or there is none. */
export const secretOf = (
  catalogue: Catalogue,
  workspaceId: string,
  { definition, compiled }: Pick<LoadedAction, 'definition' | 'compiled'>,
): OpenSecret | null | Promise<OpenSecret | null> =>
  compiled.auth.type === 'none' || definition.secret_id === null
    ? null
    : catalogue.secret(workspaceId, definition.secret_id)

/**
 * Puts the secret in its place. Throws what lies with the operator and not with the caller: a secret that is missing,
 * has expired at `now` or cannot be sent, and a host that was forbidden after the action was saved.
 */
export const readyOf = (
  { allowsHost }: Workspace,
  { auth, host }: LoadedAction['compiled'],
  built: BuiltRequest,
  secret: OpenSecret | null,
  now: string,
): Ready => {
  const isExpired = secret?.expiresAt != null && secret.expiresAt <= now
  if (auth.type !== 'none' && (secret === null || isExpired)) throw missingSecret()
  if (!allowsHost(host)) {
    throw new ApiError('upstream_blocked', 'The workspace does not allow the host of this action')
  }
  return secret === null ? { built, secret } : { built: inject(built, auth, secret.reveal()), secret }
}
