import type { AuditEvent } from '@narrowapi/contract'
import { commonFilters, contains } from '../../db/filters.ts'
import { type Keyset, keysetClauses } from '../../db/keyset.ts'
import type { Sql } from '../../db/sql.ts'
import { ApiError } from '../../errors.ts'

export type AuditFilters = {
  action?: string | undefined
  actor_id?: string | undefined
  target_id?: string | undefined
  outcome?: string | undefined
  search?: string | undefined
  created_after?: string | undefined
  created_before?: string | undefined
}

const columns = (sql: Sql) => sql`
  id, 'audit_event' as object, workspace_id, action, occurred_at, outcome, actor, targets, changes, context, seq,
  prev_hash, hash, created_at`

export const listAuditEvents = (sql: Sql, workspaceId: string, filters: AuditFilters, keyset: Keyset) =>
  sql<AuditEvent[]>`
    select ${columns(sql)}
    from audit_events
    where workspace_id = ${workspaceId}
      ${filters.action ? sql`and action = ${filters.action}` : sql``}
      ${filters.actor_id ? sql`and actor_id = ${filters.actor_id}` : sql``}
      ${filters.target_id ? sql`and ${filters.target_id} = any (target_ids)` : sql``}
      ${filters.outcome ? sql`and outcome = ${filters.outcome}` : sql``}
      ${filters.search ? sql`and ${searched(sql)} ilike ${contains(filters.search)}` : sql``}
      ${commonFilters(sql, { created_after: filters.created_after, created_before: filters.created_before })}
      ${keysetClauses(sql, keyset)}`

/** What happened, who did it and what it was done to; no text that is searched for can reach over two of them. */
const searched = (sql: Sql) => sql`
  concat_ws(E'\\n', action, actor->>'name', actor_id, array_to_string(target_ids, E'\\n'))`

export const getAuditEvent = async (sql: Sql, workspaceId: string, id: string): Promise<AuditEvent> => {
  const [event] = await sql<AuditEvent[]>`
    select ${columns(sql)}
    from audit_events
    where workspace_id = ${workspaceId} and id = ${id}`
  if (!event) throw new ApiError('not_found', 'There is no audit event with this id')
  return event
}
