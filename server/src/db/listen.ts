import { setTimeout as delay } from 'node:timers/promises'
import type { Log } from '../log.ts'
import { answered, lifeOf, type PoolLife } from './renewing-pool.ts'
import type { Pool } from './sql.ts'

type Listening = {
  /** A pool of one connection, whose notifications come to whoever wants them. */
  pool: Pool
  channel: string
  log: Log
  /** Told when the channel is listened to, first or anew: something may have been missed before. */
  onListening: () => void
}

/** How often the connection is tried: it is silent by nature, so its loss would not be noticed otherwise. */
const pulseMs = 5_000
const retryMs = 200

/**
 * Listens to a channel as long as the server runs, whatever happens to the connection. `listen` is also the
 * pulse: repeated, it changes nothing; on a new connection it is what must be said first.
 */
export const keepListening = async (listening: Listening): Promise<{ stop(): Promise<void> }> => {
  const { pool, log, onListening } = listening
  const stopping = new AbortController()
  const listen = async (): Promise<PoolLife> => {
    const life = lifeOf(pool)
    await answered(pool, pool.unsafe(`listen ${listening.channel}`))
    return life
  }
  let heardOn: PoolLife | null = await listen().catch(async (error: unknown) => {
    await pool.end({ timeout: 0 })
    throw error
  })
  onListening()

  const pause = async (life: PoolLife | null): Promise<void> => {
    const waking = new AbortController()
    const unwatch = life?.watch(() => waking.abort())
    const signal = AbortSignal.any([stopping.signal, waking.signal])
    await delay(life ? pulseMs : retryMs, null, { signal }).catch(() => {})
    unwatch?.()
  }

  const run = async (): Promise<void> => {
    while (!stopping.signal.aborted) {
      await pause(heardOn)
      try {
        const heard = await listen()
        if (heard === heardOn) continue
        heardOn = heard
        log.info('changes made by other servers are heard again')
        onListening()
      } catch (error) {
        if (stopping.signal.aborted) return
        if (heardOn) log.warn({ error }, 'changes made by other servers are not heard for now')
        heardOn = null
      }
    }
  }
  const running = run()
  return {
    async stop() {
      stopping.abort()
      await pool.end({ timeout: 0 })
      await running
    },
  }
}
