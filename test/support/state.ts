import type { TestServer } from './server.ts'

/** Every row of a workspace as text, table by table: two states are equal when nothing at all was changed. */
export type State = Record<string, string[]>

export const stateOf = async ({ database, deps }: TestServer, workspaceId: string): Promise<State> => {
  // Times of last use are written behind the requests; now they are no news any more.
  await deps.refusals.drain()
  await deps.usage.flush()
  const state: State = {}
  for (const { table, column } of await tenantTables(database.sql)) {
    const rows = await database.sql<{ text: string }[]>`
      select row_to_json(t)::text as text
      from ${database.sql(table)} t
      where ${database.sql(column)} = ${workspaceId}
      order by 1`
    state[table] = rows.map(({ text }) => text)
  }
  return state
}

/** Every table that belongs to workspaces, with the column that says to which. Partitions are parts of theirs. */
export const tenantTables = (sql: TestServer['database']['sql']) => sql<{ table: string; column: string }[]>`
  select table_name as table, case table_name when 'workspaces' then 'id' else 'workspace_id' end as column
  from information_schema.tables t
  where table_schema = 'narrowapi' and table_type = 'BASE TABLE'
    and not exists (select from pg_inherits where inhrelid = format('%I.%I', table_schema, table_name)::regclass)
    and (table_name = 'workspaces' or exists (
      select from information_schema.columns c
      where c.table_schema = t.table_schema and c.table_name = t.table_name and c.column_name = 'workspace_id'
    ))
  order by 1`
