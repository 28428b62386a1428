import type { HandlersOf } from '../../http/handlers.ts'
import { getExecution, listExecutions } from './queries.ts'

export const executions: HandlersOf<'executions'> = {
  async list({ query }, { sql, actor, page }) {
    return {
      status: 200,
      body: await page(query, (keyset) => listExecutions(sql, actor.workspaceId, query, keyset)),
    }
  },

  async get({ params }, { sql, actor }) {
    return { status: 200, body: await getExecution(sql, actor.workspaceId, params.id) }
  },
}
