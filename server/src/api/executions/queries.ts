import type { Execution } from '@narrowapi/contract'
import { commonFilters } from '../../db/filters.ts'
import { type Keyset, keysetClauses } from '../../db/keyset.ts'
import type { Sql } from '../../db/sql.ts'
import { ApiError } from '../../errors.ts'
import { exactly } from '../../proxy/answer-text.ts'

export type ExecutionFilters = {
  action_id?: string | undefined
  token_id?: string | undefined
  status?: string | undefined
  source?: string | undefined
  error?: string | undefined
  created_after?: string | undefined
  created_before?: string | undefined
}

const columns = (sql: Sql) => sql`
  id, 'execution' as object, workspace_id, 'action' as kind, status, source, action_id, version, token_id, input,
  output::text as output, error, upstream, decision, started_at, completed_at, duration_ms, created_at, updated_at`

/** The output as text: the driver would make doubles of all its numbers, and an id of 64 bits is none. */
type ExecutionRow = Omit<Execution, 'output'> & { output: string | null }

/** The row itself, which nobody else has: copies of a page cost as much as reading its outputs. */
const toExecution = (row: ExecutionRow): Execution =>
  Object.assign(row, { output: row.output === null ? null : exactly(row.output, JSON.parse(row.output)) })

export const listExecutions = async (
  sql: Sql,
  workspaceId: string,
  filters: ExecutionFilters,
  keyset: Keyset,
): Promise<Execution[]> => {
  const rows = await sql<ExecutionRow[]>`
    select ${columns(sql)}
    from executions
    where workspace_id = ${workspaceId}
      ${filters.action_id ? sql`and action_id = ${filters.action_id}` : sql``}
      ${filters.token_id ? sql`and token_id = ${filters.token_id}` : sql``}
      ${filters.status ? sql`and status = ${filters.status}` : sql``}
      ${filters.source ? sql`and source = ${filters.source}` : sql``}
      ${filters.error ? sql`and error->>'code' = ${filters.error}` : sql``}
      ${commonFilters(sql, { created_after: filters.created_after, created_before: filters.created_before })}
      ${keysetClauses(sql, keyset)}`
  return rows.map(toExecution)
}

export const getExecution = async (
  sql: Sql,
  workspaceId: string,
  id: string,
  owner: { action_id?: string; token_id?: string } = {},
): Promise<Execution> => {
  const [execution] = await sql<ExecutionRow[]>`
    select ${columns(sql)}
    from executions
    where workspace_id = ${workspaceId} and id = ${id}
      ${owner.action_id ? sql`and action_id = ${owner.action_id}` : sql``}
      ${owner.token_id ? sql`and token_id = ${owner.token_id}` : sql``}`
  if (!execution) throw new ApiError('not_found', 'There is no execution with this id')
  return toExecution(execution)
}

/** Whether an action, perhaps deleted by now, ever ran. */
export const hasExecutions = async (sql: Sql, workspaceId: string, actionId: string): Promise<boolean> => {
  const rows = await sql`
    select id from executions where workspace_id = ${workspaceId} and action_id = ${actionId} limit 1`
  return rows.length > 0
}
