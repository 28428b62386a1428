import type { Sql } from '../db/sql.ts'

/**
 * Where the kept executions of each workspace begin, as rows of `workspace_id` and `first_kept`. It is worked out
 * for each number of days once: there are few of them, and an id costs more than looking up a row.
 */
const terms = (sql: Sql, now: Date) => sql`(
  select id as workspace_id, first_kept
  from (
    select days, first_id('exec', ${now.toISOString()}::timestamptz - make_interval(hours => 24 * days)) as first_kept
    from (select distinct ${retentionDays(sql)} as days from workspaces) as chosen
  ) as bounds
  join workspaces on ${retentionDays(sql)} = days
) as terms`

const retentionDays = (sql: Sql) => sql`(settings->>'execution_retention_days')::integer`

/** The oldest execution that must stay, be it for its workspace or because it may still run; null if none must. */
export const findOldestKept = async (sql: Sql, now: Date): Promise<string | null> => {
  const [oldest] = await sql<{ id: string | null }[]>`
    select min(id) as id
    from (
      select (
        select id
        from executions
        where executions.workspace_id = terms.workspace_id and id >= first_kept
        order by id
        limit 1
      ) as id
      from ${terms(sql, now)}
      union all
      select id from executions where lease_expires_at is not null
    ) as kept`
  return oldest?.id ?? null
}

/** Whether anything before a border must stay. Looks only at workspaces whose time reaches that far back. */
export const hasKeptBefore = async (sql: Sql, border: Date, now: Date): Promise<boolean> => {
  const [found] = await sql<{ exists: boolean }[]>`
    with border as (select first_id('exec', ${border.toISOString()}) as id)
    select exists (
      select from ${terms(sql, now)}, border
      where first_kept < border.id and exists (
        select from executions
        where executions.workspace_id = terms.workspace_id and id >= first_kept and executions.id < border.id
      )
    ) or exists (
      select from executions, border where lease_expires_at is not null and executions.id < border.id
    ) as exists`
  return found?.exists ?? true
}

export type Expired = { workspace_id: string; first_kept: string }

/** The workspaces that have executions past their time, and from where on the others are kept. */
export const listExpired = (sql: Sql, now: Date) => sql<Expired[]>`
  select workspace_id, first_kept
  from ${terms(sql, now)}
  where exists (
    select from executions
    where executions.workspace_id = terms.workspace_id and id < first_kept and lease_expires_at is null
  )
  order by workspace_id`

/**
 * Deletes the oldest executions of a workspace and tells how many. What may still run has a lease, and stays until
 * its end is known. The rows are a range of ids, so that a partition none of them is in is not looked at.
 */
export const deleteExpired = async (
  sql: Sql,
  { workspace_id, first_kept }: Expired,
  limit: number,
): Promise<number> => {
  const deleted = await sql`
    delete from executions
    where workspace_id = ${workspace_id} and id < ${first_kept} and lease_expires_at is null and id <= (
      select max(id)
      from (
        select id
        from executions
        where workspace_id = ${workspace_id} and id < ${first_kept} and lease_expires_at is null
        order by id
        limit ${limit}
      ) as oldest
    )`
  return deleted.count
}
