import type { HandlersOf } from '../../http/handlers.ts'
import { createToken, rotateToken } from './issue.ts'
import { getToken, getTokenForUpdate, listTokens, revokeToken } from './queries.ts'
import { grantsOf } from './rules.ts'

export const tokens: HandlersOf<'tokens'> = {
  async list({ query }, { sql, actor, clock, page }) {
    const find = (keyset: Parameters<typeof listTokens>[4]) =>
      listTokens(sql, actor.workspaceId, query, clock.now().toISOString(), keyset)
    return { status: 200, body: await page(query, find) }
  },

  async create({ body }, ctx) {
    const { action_ids, ...rest } = body
    const given = action_ids ? 'action_ids' : 'grants'
    return { status: 201, body: await createToken(ctx, { ...rest, grants: grantsOf(body) }, given) }
  },

  async get({ params }, { sql, actor, clock }) {
    return { status: 200, body: await getToken(sql, actor.workspaceId, params.id, clock.now().toISOString()) }
  },

  async delete({ params }, { sql, actor, clock, skipRecord }) {
    const now = clock.now().toISOString()
    const token = await getTokenForUpdate(sql, actor.workspaceId, params.id, now)
    if (token.status === 'revoked') skipRecord()
    else await revokeToken(sql, actor.workspaceId, token.id, now)
    return { status: 204, body: undefined }
  },

  async rotate({ params, body }, ctx) {
    return { status: 200, body: await rotateToken(ctx, params.id, body.grace_period_hours) }
  },
}
