import { changesBetween } from '../../changes.ts'
import { checkVersion } from '../../check-version.ts'
import type { HandlersOf } from '../../http/handlers.ts'
import { checkFuture } from '../../times.ts'
import { storeNewSecret, storeSecretValue } from './public.ts'
import { deleteSecret, getSecret, getSecretForUpdate, listSecrets, updateSecret } from './queries.ts'
import { checkUnused } from './rules.ts'

export const secrets: HandlersOf<'secrets'> = {
  async list({ query }, { sql, actor, clock, page }) {
    const find = (keyset: Parameters<typeof listSecrets>[4]) =>
      listSecrets(sql, actor.workspaceId, query, clock.now(), keyset)
    return { status: 200, body: await page(query, find) }
  },

  async create({ body }, ctx) {
    checkFuture('expires_at', body.expires_at, ctx.clock.now())
    return { status: 201, body: await storeNewSecret(ctx, body) }
  },

  async get({ params }, { sql, actor, clock }) {
    return { status: 200, body: await getSecret(sql, actor.workspaceId, params.id, clock.now()) }
  },

  async update({ params, body }, ctx) {
    const { sql, actor, clock, note, ifVersion } = ctx
    const now = clock.now()
    if (body.expires_at !== undefined) checkFuture('expires_at', body.expires_at, now)
    const before = await getSecretForUpdate(sql, actor.workspaceId, params.id, now)
    checkVersion(before, ifVersion, body.version)
    if (body.value !== undefined) await storeSecretValue(ctx, before, body.value)
    const after = await updateSecret(sql, actor.workspaceId, params.id, body, now)
    note(changesBetween(before, after, ['fingerprint']))
    return { status: 200, body: after }
  },

  async delete({ params }, { sql, actor, clock, ifVersion }) {
    const secret = await getSecretForUpdate(sql, actor.workspaceId, params.id, clock.now())
    checkVersion(secret, ifVersion)
    checkUnused(secret)
    await deleteSecret(sql, actor.workspaceId, secret.id)
    return { status: 204, body: undefined }
  },
}
