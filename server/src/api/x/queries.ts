import type { Sql } from '../../db/sql.ts'

/** How often a token has run, in all and for each action. */
export type Uses = { token: number; grants: ReadonlyMap<string, number> }

export const usesOf = async (sql: Sql, workspaceId: string, tokenId: string): Promise<Uses> => {
  const rows = await sql<{ token_uses: number; action_id: string; uses: number }[]>`
    select t.uses as token_uses, g.action_id, g.uses
    from tokens t join token_grants g on g.workspace_id = t.workspace_id and g.token_id = t.id
    where t.workspace_id = ${workspaceId} and t.id = ${tokenId}`
  return { token: rows[0]?.token_uses ?? 0, grants: new Map(rows.map((row) => [row.action_id, row.uses])) }
}

/** How many executions a workspace has had since the beginning of a month. */
export const executionsSince = async (sql: Sql, workspaceId: string, monthStart: string): Promise<number> => {
  const [row] = await sql<{ used: number }[]>`
    select used
    from counters
    where workspace_id = ${workspaceId} and subject_type = 'workspace' and subject_id = ${workspaceId}
      and feature = 'monthly_executions' and window_start = ${monthStart}::timestamptz`
  return row?.used ?? 0
}

/** What an action fixed in a version; undefined when there is no such action any more. */
export const fixedInputOf = async (
  sql: Sql,
  workspaceId: string,
  { action_id, version }: { action_id: string; version: number },
): Promise<Record<string, unknown> | null | undefined> => {
  const [row] = await sql<{ fixed_input: Record<string, unknown> | null }[]>`
    select definition->'fixed_input' as fixed_input
    from action_versions
    where workspace_id = ${workspaceId} and action_id = ${action_id} and version = ${version}`
  return row?.fixed_input
}
