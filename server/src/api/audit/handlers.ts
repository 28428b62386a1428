import type { HandlersOf } from '../../http/handlers.ts'
import { getAuditEvent, listAuditEvents } from './queries.ts'

export const audit: HandlersOf<'audit'> = {
  async list({ query }, { sql, actor, page }) {
    return {
      status: 200,
      body: await page(query, (keyset) => listAuditEvents(sql, actor.workspaceId, query, keyset)),
    }
  },

  async get({ params }, { sql, actor }) {
    return { status: 200, body: await getAuditEvent(sql, actor.workspaceId, params.id) }
  },
}
