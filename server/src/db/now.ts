import type { Clock } from '../clock.ts'
import type { Sql } from './sql.ts'

/** This server's time or the database's, whichever is earlier: a clock that is ahead must not end anything early. */
export const cautiousNow = async (sql: Sql, clock: Clock): Promise<Date> => {
  const [database] = await sql<{ now: string }[]>`select now()`
  const ours = clock.now()
  return database && new Date(database.now) < ours ? new Date(database.now) : ours
}
