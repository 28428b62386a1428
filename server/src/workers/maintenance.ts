import { answered } from '../db/renewing-pool.ts'
import { isDatabaseAway } from '../db/sql.ts'
import type { Deps } from '../deps.ts'
import { endAbandoned, forgetKeys } from '../proxy/record-queries.ts'

const everyMs = 5_000
const secretIdleMs = 60_000

/**
 * What must happen whether or not anyone asks: executions of dead servers get their outcome, old idempotency
 * keys go, unused secrets leave memory. Every server does it; doing it twice does nothing.
 */
export const startMaintenance = (deps: Deps): { stop(): Promise<void> } => {
  let running = maintain(deps)
  const timer = setInterval(() => {
    running = running.then(() => maintain(deps))
  }, everyMs).unref()
  return {
    async stop() {
      clearInterval(timer)
      await running
    },
  }
}

const maintain = async ({ system, clock, log, authority, catalogue, metrics }: Deps): Promise<void> => {
  authority.prune(secretIdleMs)
  catalogue.prune(secretIdleMs)
  const now = clock.now().toISOString()
  try {
    const ended = await answered(system, endAbandoned(system, now))
    if (ended > 0)
      log.warn({ executions: ended }, 'executions of a stopped server were ended with unknown outcome')
    await answered(system, forgetKeys(system, now))
  } catch (error) {
    // Seen also where nobody asks for anything.
    if (isDatabaseAway(error)) metrics.databaseAway.add()
    log.warn({ error }, 'maintenance was put off: the database did not answer')
  }
}
