import { setTimeout as sleep } from 'node:timers/promises'
import { dropMonths, endOfMonths, makeMonths, startOfMonth } from '../db/months.ts'
import { cautiousNow } from '../db/now.ts'
import { answered } from '../db/renewing-pool.ts'
import type { Pool } from '../db/sql.ts'
import type { Deps } from '../deps.ts'
import { idTime } from '../ids.ts'
import { deleteExpired, findOldestKept, hasKeptBefore, listExpired } from './retention-queries.ts'

/** How gently executions are deleted: so many, then a pause. */
export type Pace = { batchRows: number; pauseMs: number }

const gentle: Pace = { batchRows: 1_000, pauseMs: 100 }

export type Retained = { made: string[]; dropped: string[]; deleted: number }

/**
 * Keeps executions as long as their workspaces say. Months are dropped whole as soon as nobody keeps any of their
 * executions; the others are deleted. Idempotency keys need nothing: a key lives for a day and holds its own
 * reply, and no workspace keeps its executions for less than a day.
 *
 * Several servers may do it at once: months are made and dropped under a lock, and who finds rows gone goes on.
 */
export const retain = async (
  { owner, system, clock, log }: Pick<Deps, 'owner' | 'system' | 'clock' | 'log'>,
  signal: AbortSignal,
  pace: Pace = gentle,
): Promise<Retained> => {
  const now = await answered(system, cautiousNow(system, clock))
  const made = await makeMonths(owner, log, now)
  const dropped = await dropUnkept(owner, system, now)
  const deleted = await deleteAll(system, now, signal, pace)
  const retained = { made, dropped, deleted }
  log.info(retained, 'executions are kept as long as their workspaces say')
  return retained
}

/** The month that runs is never dropped, though it may be empty, nor what has no month yet. */
const dropUnkept = async (owner: Pool, system: Pool, now: Date): Promise<string[]> => {
  const oldest = await answered(system, findOldestKept(system, now))
  const borders = [startOfMonth(now), await answered(owner, endOfMonths(owner))]
  if (oldest !== null) borders.push(startOfMonth(idTime(oldest)))
  const border = borders.reduce((first, other) => (other < first ? other : first))
  return dropMonths(owner, border, (sql) => hasKeptBefore(sql, border, now))
}

const deleteAll = async (system: Pool, now: Date, signal: AbortSignal, pace: Pace): Promise<number> => {
  let total = 0
  let pauseAt = pace.batchRows
  for (const expired of await answered(system, listExpired(system, now))) {
    for (let deleted = pace.batchRows; deleted === pace.batchRows; ) {
      if (signal.aborted) return total
      deleted = await answered(system, deleteExpired(system, expired, pace.batchRows))
      total += deleted
      if (total < pauseAt) continue
      pauseAt = total + pace.batchRows
      await sleep(pace.pauseMs)
    }
  }
  return total
}
