import { randomBytes } from 'node:crypto'
import { startOfMonth } from '../../server/src/db/months.ts'
import { createIds } from '../../server/src/ids.ts'
import type { TestServer } from '../support/server.ts'

type Recorded = { token_id?: string; lease_expires_at?: string }

/** Records an execution as the server would have at a time; one with a lease still runs. Answers its id. */
export const record = async (
  { deps }: TestServer,
  workspaceId: string,
  at: Date | string,
  more: Recorded = {},
): Promise<string> => {
  const time = new Date(at)
  const id = createIds(() => time.getTime(), randomBytes).next('exec')
  await deps.recorder.write({
    workspace_id: workspaceId,
    id,
    action_id: historicAction,
    version: 1,
    status: more.lease_expires_at === undefined ? 'completed' : 'running',
    source: 'proxy',
    created_at: time.toISOString(),
    ...more,
  })
  return id
}

const historicAction = `act_${'0'.repeat(22)}`

/** The executions of a workspace, or of all, oldest first. */
export const recorded = async ({ database }: TestServer, workspaceId: string | null = null) => {
  const rows = await database.sql<{ id: string }[]>`
    select id from executions where workspace_id = coalesce(${workspaceId}, workspace_id) order by id`
  return rows.map(({ id }) => id)
}

/** Where executions lie, from the oldest partition to the newest: its name, and the first id of each but the first. */
export const partitions = async ({ database }: Pick<TestServer, 'database'>) => {
  const rows = await database.sql<{ name: string; bound: string }[]>`
    select relname as name, pg_get_expr(relpartbound, pg_class.oid) as bound
    from pg_inherits join pg_class on pg_class.oid = inhrelid
    where inhparent = 'executions'::regclass`
  const start = (bound: string) => /FROM \('(\w+)'\)/.exec(bound)?.[1] ?? ''
  return rows
    .map(({ name, bound }) => ({ name, start: start(bound), end: /TO \('(\w+)'\)/.exec(bound)?.[1] ?? '~' }))
    .toSorted((left, right) => (left.start < right.start ? -1 : 1))
}

export const partitionOf = async (
  { database }: Pick<TestServer, 'database'>,
  id: string,
): Promise<string | undefined> => {
  const [row] = await database.sql<{ name: string }[]>`
    select tableoid::regclass::text as name from executions where id = ${id}`
  return row?.name
}

export const monthName = (date: Date): string =>
  `executions_${date.toISOString().slice(0, 7).replace('-', '_')}`

/**
 * Moves the border behind which months are made back to a month, as if the database were that old. The partition of
 * what lies behind must be empty.
 */
export const beginMonthsAt = async (
  { database }: Pick<TestServer, 'database'>,
  month: Date,
): Promise<void> => {
  const months = (await partitions({ database })).map(({ name }) => name)
  const border = `first_id('exec', '${startOfMonth(month).toISOString()}')`
  await database.sql.unsafe(`
    drop table ${months.join()};
    create table executions_earlier (like executions including all);
    create table executions_later (like executions including all);
    alter table executions attach partition executions_earlier for values from (minvalue) to (${border});
    alter table executions attach partition executions_later for values from (${border}) to (maxvalue)`)
}
