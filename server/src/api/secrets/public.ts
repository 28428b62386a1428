import { createHmac } from 'node:crypto'
import type { CreateSecret, Secret } from '@narrowapi/contract'
import type { Ctx } from '../../http/handlers.ts'
import { packSealed } from '../../vault/pack.ts'
import { seal } from '../../vault/seal.ts'
import { insertSecret, updateSecretValue } from './queries.ts'

/** Seals and stores a new secret. Actions store the `auth_value` they are given with this too. */
export const storeNewSecret = async (ctx: Ctx, secret: CreateSecret): Promise<Secret> => {
  const id = ctx.ids.next('sec')
  const { value, ...rest } = secret
  return insertSecret(ctx.sql, ctx.actor.workspaceId, {
    ...rest,
    id,
    ...sealed(ctx, id, 1, value),
    now: ctx.clock.now(),
  })
}

/** Stores another value of a secret, as its next version. */
export const storeSecretValue = async (
  ctx: Ctx,
  secret: Pick<Secret, 'id' | 'version'>,
  value: string,
): Promise<void> => {
  const version = secret.version + 1
  await updateSecretValue(ctx.sql, ctx.actor.workspaceId, secret.id, {
    version,
    ...sealed(ctx, secret.id, version, value),
    now: ctx.clock.now(),
  })
}

const sealed = ({ actor, deps }: Ctx, id: string, version: number, value: string) => {
  const context = { workspace_id: actor.workspaceId, kind: 'secret', id, version }
  const { key_id, ...parts } = seal(deps.keyring, context, value)
  return {
    key_id,
    sealed: packSealed({ key_id, ...parts }),
    // Keyed, so that a guess cannot be checked against it outside this installation.
    fingerprint: createHmac('sha256', deps.pepper)
      .update('fingerprint\n')
      .update(value)
      .digest('hex')
      .slice(0, 16),
  }
}
