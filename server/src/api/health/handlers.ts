import { setTimeout as delay } from 'node:timers/promises'
import { answered } from '../../db/renewing-pool.ts'
import { ApiError } from '../../errors.ts'
import type { HandlersOf } from '../../http/handlers.ts'

const readyWithinMs = 2_000

export const health: HandlersOf<'health'> = {
  async live() {
    return { status: 200, body: { status: 'ok' } }
  },

  async ready(_, { deps }) {
    if (deps.isStopping()) throw notReady('The server is stopping')
    const late = delay(readyWithinMs, 'late' as const, { ref: false })
    const asked = answered(deps.system, deps.system`select 1`).then(() => 'ok' as const)
    // Who asks is told early; what they asked still finds out that a connection is dead.
    asked.catch(() => {})
    const answer = await Promise.race([asked, late])
    if (answer === 'late') throw notReady('The database does not answer')
    return { status: 200, body: { status: 'ok' } }
  },
}

const notReady = (message: string) => new ApiError('unavailable', message, { retry_after_seconds: 1 })
