import type { Clock } from '../clock.ts'
import type { Log } from '../log.ts'
import { answered } from './renewing-pool.ts'
import type { Pool } from './sql.ts'

/** How far a machine's own clock may be off before its operator is told. */
const tellMs = 1_000
const everyMs = 5_000
/** Of several measurements at the start the quickest is the best. */
const firstMeasurements = 3

type Measurement = {
  /** The database's time when the monotonic clock of this process stood at zero. */
  origin: number
  /** The origin is right to within this many milliseconds. */
  uncertainty: number
}

/**
 * The database's time, carried on by the monotonic clock of this process. Servers that share a database share
 * its clock, so what one writes (an expiry, a lease, the start of a month) another judges by the same time,
 * whatever their machines say, and a machine whose clock jumps is not noticed at all. They agree to within half
 * a round trip to the database. While it cannot be asked, time goes on.
 */
export class DatabaseClock implements Clock {
  readonly #system: Pool
  readonly #log: Log
  readonly #timer: NodeJS.Timeout
  #origin: number
  #isTold = false

  private constructor(system: Pool, log: Log, origin: number) {
    this.#system = system
    this.#log = log
    this.#origin = origin
    this.#timer = setInterval(() => void this.#adjust(), everyMs).unref()
    this.#tell()
  }

  static async start(system: Pool, log: Log): Promise<DatabaseClock> {
    let best = await measure(system)
    for (let count = 1; count < firstMeasurements; count += 1) {
      const next = await measure(system)
      if (next.uncertainty < best.uncertainty) best = next
    }
    return new DatabaseClock(system, log, best.origin)
  }

  now(): Date {
    return new Date(this.#origin + performance.now())
  }

  monotonic(): number {
    return performance.now()
  }

  stop(): void {
    clearInterval(this.#timer)
  }

  async #adjust(): Promise<void> {
    try {
      const { origin, uncertainty } = await measure(this.#system)
      // Within what a measurement cannot tell the old one is as good, and time does not tremble.
      if (Math.abs(origin - this.#origin) > uncertainty) this.#origin = origin
      this.#tell()
    } catch {
      // Whoever needs the database now says so; the clock needs it again in a while.
    }
  }

  #tell(): void {
    const behindMs = Math.round(this.now().getTime() - Date.now())
    const isOff = Math.abs(behindMs) > tellMs
    if (isOff && !this.#isTold) {
      this.#log.warn({ behind_ms: behindMs }, "this machine's clock is off; the database's is used")
    }
    this.#isTold = isOff
  }
}

const measure = async (system: Pool): Promise<Measurement> => {
  const askedAt = performance.now()
  const query = system<{ now: number }[]>`
    select (extract(epoch from clock_timestamp()) * 1000)::float8 as now`
  const [row] = await answered(system, query)
  const answeredAt = performance.now()
  if (!row) throw new Error('The database did not tell the time')
  return { origin: row.now - (askedAt + answeredAt) / 2, uncertainty: (answeredAt - askedAt) / 2 }
}
