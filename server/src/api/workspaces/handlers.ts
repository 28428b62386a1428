import { changesBetween } from '../../changes.ts'
import type { Ctx, HandlersOf } from '../../http/handlers.ts'
import { getPlan, getWorkspace, getWorkspaceForUpdate, listWorkspaces, updateWorkspace } from './queries.ts'
import { changed, checkTier } from './rules.ts'

export const workspaces: HandlersOf<'workspaces'> = {
  async list({ query }, { sql, actor, page }) {
    return {
      status: 200,
      body: await page(query, (keyset) => listWorkspaces(sql, actor.workspaceId, keyset)),
    }
  },

  async get({ params }, { sql, actor }) {
    return { status: 200, body: await getWorkspace(sql, actor.workspaceId, params.id) }
  },

  async update({ params, body }, ctx) {
    if (body.tier !== undefined) checkTier(await getPlan(ctx.sql, body.tier))
    return { status: 200, body: await change(ctx, params.id, body) }
  },

  async pause({ params }, ctx) {
    return { status: 200, body: await change(ctx, params.id, { status: 'paused' }) }
  },

  async resume({ params }, ctx) {
    return { status: 200, body: await change(ctx, params.id, { status: 'active' }) }
  },
}

const change = async (
  { sql, actor, clock, note }: Ctx,
  id: string,
  changes: Parameters<typeof changed>[1],
) => {
  const before = await getWorkspaceForUpdate(sql, actor.workspaceId, id)
  const after = await updateWorkspace(sql, actor.workspaceId, changed(before, changes, clock.now()))
  note(changesBetween(before, after))
  return after
}
