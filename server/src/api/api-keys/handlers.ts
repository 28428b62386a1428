import { randomBytes } from 'node:crypto'
import { describeCredential, hashCredential, newCredential } from '../../credentials.ts'
import type { HandlersOf } from '../../http/handlers.ts'
import { checkFuture } from '../../times.ts'
import {
  getApiKey,
  getApiKeyForUpdate,
  insertApiKey,
  listApiKeys,
  listKeyMakers,
  revokeApiKey,
} from './queries.ts'
import { checkNotLastKeyMaker, grantedAddresses, grantedExpiry, grantedScopes } from './rules.ts'

export const apiKeys: HandlersOf<'apiKeys'> = {
  async list({ query }, { sql, actor, clock, page }) {
    const find = (keyset: Parameters<typeof listApiKeys>[4]) =>
      listApiKeys(sql, actor.workspaceId, query, clock.now().toISOString(), keyset)
    return { status: 200, body: await page(query, find) }
  },

  async create({ body }, { sql, actor, clock, ids, deps }) {
    const now = clock.now()
    checkFuture('expires_at', body.expires_at, now)
    const maker = await getApiKey(sql, actor.workspaceId, actor.id, now.toISOString())
    const key = newCredential('sk', randomBytes)
    const created = await insertApiKey(sql, actor.workspaceId, {
      ...body,
      ...describeCredential(key),
      id: ids.next('key'),
      hash: hashCredential(key, deps.pepper),
      scopes: grantedScopes(maker.scopes, body.scopes),
      expires_at: grantedExpiry(maker, body.expires_at),
      allowed_ips: grantedAddresses(maker, body.allowed_ips),
      created_by: actor.id,
      now: now.toISOString(),
    })
    return { status: 201, body: { ...created, key } }
  },

  async get({ params }, { sql, actor, clock }) {
    return {
      status: 200,
      body: await getApiKey(sql, actor.workspaceId, params.id, clock.now().toISOString()),
    }
  },

  async delete({ params }, { sql, actor, clock, skipRecord }) {
    const now = clock.now().toISOString()
    const key = await getApiKeyForUpdate(sql, actor.workspaceId, params.id, now)
    checkNotLastKeyMaker(key, await listKeyMakers(sql, actor.workspaceId, now))
    if (key.status === 'revoked') skipRecord()
    else await revokeApiKey(sql, actor.workspaceId, key.id, now)
    return { status: 204, body: undefined }
  },
}
