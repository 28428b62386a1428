import { json, type Sql } from './sql.ts'

/** The filters that many lists share, as predicates to stand behind `where workspace_id = …`. */
export type CommonFilters = {
  created_after?: string | undefined
  created_before?: string | undefined
  updated_after?: string | undefined
  updated_before?: string | undefined
  search?: string | undefined
  metadata?: Record<string, string> | undefined
}

export const commonFilters = (sql: Sql, filters: CommonFilters) => sql`
  ${filters.created_after ? sql`and created_at >= ${filters.created_after}::timestamptz` : sql``}
  ${filters.created_before ? sql`and created_at < ${filters.created_before}::timestamptz` : sql``}
  ${filters.updated_after ? sql`and updated_at >= ${filters.updated_after}::timestamptz` : sql``}
  ${filters.updated_before ? sql`and updated_at < ${filters.updated_before}::timestamptz` : sql``}
  ${filters.search ? sql`and name ilike ${contains(filters.search)}` : sql``}
  ${filters.metadata ? sql`and metadata @> ${json(sql, filters.metadata)}::jsonb` : sql``}`

/** The pattern of `ilike` for what contains a text as it is. */
export const contains = (text: string): string => `%${text.replaceAll(/[\\%_]/g, '\\$&')}%`
