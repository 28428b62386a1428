import { setTimeout as sleep } from 'node:timers/promises'
import { idTime } from '../ids.ts'
import type { Log } from '../log.ts'
import { answered } from './renewing-pool.ts'
import { type Pool, type Sql, sqlState } from './sql.ts'
import { inTransaction } from './transaction.ts'

/** Months that are made before they begin, so that making one late once or twice does no harm. */
const monthsAhead = 2
/** Each takes some milliseconds, during which calls wait. */
const maxMonths = 12
/** Executions that may have to be moved to their month, which takes about 20 µs for each. */
const maxMoved = 10_000

/**
 * Makes the partitions of this month and of the next ones, in front of `executions_later`, and moves what that
 * holds of them: executions of a server whose clock is ahead. Doing it twice does nothing.
 */
export const makeMonths = async (owner: Pool, log: Log, now: Date): Promise<string[]> => {
  const missing = await answered(owner, missingMonths(owner, now))
  const end = missing.at(-1)?.end
  if (end === undefined) return []
  if (await answered(owner, hasManyBefore(owner, end))) {
    log.warn(
      { more_than: maxMoved },
      'months are not made: the clock of a server was ahead and too many executions lie in them',
    )
    return []
  }
  return exclusively(owner, async (sql) => {
    // Another server may have made them while this one waited.
    const months = await missingMonths(sql, now)
    const last = months.at(-1)
    if (last === undefined) return []
    await sql.unsafe(`
      alter table executions detach partition executions_later;
      ${months.map(makeMonth).join('')}
      alter table executions attach partition executions_later for values from (${idAt(last.end)}) to (maxvalue)`)
    return months.map(({ name }) => name)
  })
}

/**
 * Drops the months before a border and makes `executions_earlier`, which is dropped with them, anew up to there.
 * `hasKept` has the last word, with the table locked: whether anything before the border must stay.
 */
export const dropMonths = async (
  owner: Pool,
  border: Date,
  hasKept: (sql: Sql) => Promise<boolean>,
): Promise<string[]> => {
  if ((await answered(owner, monthsBefore(owner, border))).length === 0) return []
  return exclusively(owner, async (sql) => {
    const names = await monthsBefore(sql, border)
    if (names.length === 0) return []
    // Row-level security is forced on the owner; this role sees the executions of every workspace.
    await sql.unsafe('set local role narrowapi_system')
    if (await hasKept(sql)) return []
    await sql.unsafe(`
      set local role none;
      drop table executions_earlier, ${names.join()};
      ${newPartition('executions_earlier')}
      alter table executions attach partition executions_earlier for values from (minvalue) to (${idAt(border)})`)
    return names
  })
}

/** Where `executions_later` begins. */
export const endOfMonths = async (sql: Sql): Promise<Date> => {
  const [later] = await sql<{ first_id: string }[]>`
    select substring(pg_get_expr(relpartbound, oid) from 'FROM [(]''([^'']+)''') as first_id
    from pg_class
    where oid = 'executions_later'::regclass`
  if (!later) throw new Error('The database has no partition for later executions')
  return idTime(later.first_id)
}

export const startOfMonth = (date: Date, later = 0): Date =>
  new Date(Date.UTC(date.getUTCFullYear(), date.getUTCMonth() + later))

type Month = { name: string; start: Date; end: Date }

const missingMonths = async (sql: Sql, now: Date): Promise<Month[]> => {
  const months: Month[] = []
  let start = await endOfMonths(sql)
  while (start <= startOfMonth(now, monthsAhead) && months.length < maxMonths) {
    const end = startOfMonth(start, 1)
    months.push({ name: monthName(start), start, end })
    start = end
  }
  return months
}

const monthsBefore = async (sql: Sql, border: Date): Promise<string[]> => {
  const months = await sql<{ name: string }[]>`
    select relname as name
    from pg_inherits join pg_class on pg_class.oid = inhrelid
    where inhparent = 'executions'::regclass and relname ~ '^executions_[0-9]{4}_[0-9]{2}$'
      and relname < ${monthName(border)}
    order by relname`
  return months.map(({ name }) => name)
}

const monthName = (start: Date): string => `executions_${start.toISOString().slice(0, 7).replace('-', '_')}`

const hasManyBefore = async (owner: Pool, border: Date): Promise<boolean> => {
  const [counted] = await owner<{ rows: number }[]>`
    select count(*)::int as rows
    from (select from executions_later where id < first_id('exec', ${border.toISOString()}) limit ${maxMoved + 1}) as ahead`
  return (counted?.rows ?? 0) > maxMoved
}

/** The table is filled before it is attached, by the owner, from one of the same columns in the same order. */
const makeMonth = ({ name, start, end }: Month): string => `
  ${newPartition(name)}
  with known as (delete from executions_later where id < ${idAt(end)} returning *)
  insert into ${name} select * from known;
  alter table executions attach partition ${name} for values from (${idAt(start)}) to (${idAt(end)});`

/** As the second migration explains: nobody but the owner may touch it or see a row of it. */
const newPartition = (name: string): string => `
  create table ${name} (like executions including all) with (fillfactor = 85);
  alter table ${name} enable row level security;`

const idAt = (date: Date): string => `first_id('exec', '${date.toISOString()}')`

/**
 * Works with the whole table locked. Whoever uses it meanwhile waits and fails in nothing, so the lock is kept for
 * milliseconds and waited for no longer: behind a waiting lock every call would queue up. One long list is
 * enough to hold it up, so it is tried again.
 */
const exclusively = async <T>(owner: Pool, work: (sql: Sql) => Promise<T>): Promise<T> => {
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await inTransaction(owner, async (sql) => {
        await sql.unsafe(`set local lock_timeout = '${lockWaitMs}ms'`)
        await sql.unsafe('lock table executions in access exclusive mode')
        return work(sql)
      })
    } catch (error) {
      if (sqlState(error) !== lockNotAvailable || attempt === lockAttempts) throw error
      await sleep(lockPauseMs)
    }
  }
}

const lockNotAvailable = '55P03'
const lockWaitMs = 50
const lockPauseMs = 500
const lockAttempts = 10
