import type { Socket } from 'node:net'
import { setTimeout as delay } from 'node:timers/promises'
import { DatabaseAway } from '../errors.ts'
import type { Pool, Reserved } from './driver.ts'

/**
 * One pool of the driver's, from its first connection to the first one that is lost.
 *
 * The driver (postgres.js 3.4) does not come back whole from that: bytes that waited for the next turn stay in
 * front of the next connection's first message, a wait for a free connection that failed is given one all the
 * same, which nobody gives back, and a statement on a connection that was taken out of the pool and is gone throws
 * outside of any promise, which would end the process. So what comes after a loss gets a new pool, which has none
 * of this behind it. Revisit when the driver does better.
 */
export class PoolLife {
  readonly driver: Pool
  readonly #sockets: Socket[] = []
  readonly #watchers = new Set<() => void>()
  #isLost = false
  #isUnheard = false
  #lent = 0
  #onIdle: (() => void)[] = []

  constructor(open: (life: PoolLife) => Pool) {
    this.driver = open(this)
  }

  get isLost(): boolean {
    return this.#isLost
  }

  /** A connection was taken out of the pool. Gives what is called when it is back. */
  lend(): () => void {
    this.#lent += 1
    return () => {
      this.#lent -= 1
      if (this.#lent === 0) this.#tellIdle()
    }
  }

  /** Resolves when no connection is taken out, or none of them comes back any more. */
  async idle(): Promise<void> {
    if (this.#lent > 0 && !this.#isLost) await new Promise<void>((resolve) => this.#onIdle.push(resolve))
  }

  #tellIdle(): void {
    for (const tell of this.#onIdle.splice(0)) tell()
  }

  /** Tells of the loss, once; gives what ends the watch. */
  watch(onLost: () => void): () => void {
    if (this.#isLost) onLost()
    else this.#watchers.add(onLost)
    return () => this.#watchers.delete(onLost)
  }

  /** Keeps a connection's socket, so that it can be cut when PostgreSQL is not heard on it any more. */
  keep(socket: Socket): Socket {
    this.#sockets.push(socket)
    return socket
  }

  /**
   * Whether a connection was closed and no loss was told. The driver tells of none that ends in good order before
   * PostgreSQL has spoken, as behind a balancer without a database, with TLS or not: it would try again at once, for ever.
   */
  hasClosedUnheard(): boolean {
    this.#isUnheard ||= !this.#isLost && this.#sockets.some(({ closed }) => closed)
    return this.#isUnheard
  }

  /** A connection is gone. Idle ones are never closed here, so every close is a loss. */
  lose(): void {
    if (this.#isLost) return
    this.#isLost = true
    for (const tell of this.#watchers) tell()
    this.#watchers.clear()
    this.#tellIdle()
    void this.driver.end({ timeout: leaveSeconds })
  }

  cut(): void {
    this.lose()
    for (const socket of this.#sockets) socket.destroy()
  }
}

/** How long what still runs on the connections that are left may take to end. */
const leaveSeconds = 5

type Renewed = { life: PoolLife; answerWithinMs: number | null }

const renewed = new WeakMap<Pool, Renewed>()

/** A pool that begins anew whenever it has lost a connection. `answerWithinMs`: see `answered`. */
export const renewing = (open: (life: PoolLife) => Pool, answerWithinMs: number | null): Pool => {
  let isEnding = false
  const begin = (): PoolLife => {
    const life = new PoolLife(open)
    life.watch(() => {
      if (!isEnding) state.life = begin()
    })
    return life
  }
  const state: Renewed = { life: begin(), answerWithinMs }
  // The driver never closes a connection that comes back to it only after the end was asked for.
  const end: Pool['end'] = async (options) => {
    isEnding = true
    const { life } = state
    const seconds = options?.timeout
    const idle = life.idle()
    await (seconds == null ? idle : Promise.race([idle, delay(seconds * 1000, null, { ref: false })]))
    await life.driver.end(options)
  }
  // Called like the driver's own pool, whose methods need no `this`.
  const pool = new Proxy(state.life.driver, {
    apply: (_target, _this, args) => Reflect.apply(state.life.driver, undefined, args),
    get: (_target, name) => (name === 'end' ? end : Reflect.get(state.life.driver, name)),
  })
  renewed.set(pool, state)
  return pool
}

const stateOf = (pool: Pool): Renewed => {
  const state = renewed.get(pool)
  if (!state) throw new Error('This pool was not made by connect')
  return state
}

/** The connections that the pool has now; others once one of them is lost. */
export const lifeOf = (pool: Pool): PoolLife => stateOf(pool).life

/**
 * Waits for an answer of the database, but not for ever. PostgreSQL ends statements by its own limit; when not
 * even that is heard, whoever should say it is behind a broken network. Then the connections are cut, so that
 * nothing waits on them any more, and the pool begins anew.
 */
export const answered = <T>(pool: Pool, answer: PromiseLike<T>): Promise<T> => {
  const { life, answerWithinMs } = stateOf(pool)
  if (answerWithinMs === null) return Promise.resolve(answer)
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => {
      life.cut()
      reject(new DatabaseAway('The database does not answer; try again'))
    }, answerWithinMs)
    answer.then(resolve, reject).then(() => clearTimeout(timer))
  })
}

/** A connection taken out of a pool, on which nothing is said any more once the pool has lost one. */
export type Taken = { connection: Reserved; isLost(): boolean }

/**
 * Takes a connection, and does not wait longer for one than a caller is likely to. Whoever waits while the pool
 * begins anew waits on in the new one.
 */
export const take = async (pool: Pool): Promise<Taken> => {
  const startedAt = performance.now()
  for (;;) {
    const { life } = stateOf(pool)
    const waitMs = takeWithinMs - (performance.now() - startedAt)
    const taken = await takeFrom(life, waitMs)
    if (taken === 'late') throw new DatabaseAway('The database is busy; try again')
    if (taken !== 'lost') return { connection: guarded(taken, life), isLost: () => life.isLost }
  }
}

const takeFrom = (life: PoolLife, waitMs: number): Promise<Reserved | 'lost' | 'late'> =>
  new Promise((resolve, reject) => {
    let isOver = false
    const settle = (outcome: 'lost' | 'late'): void => {
      end()
      resolve(outcome)
    }
    const unwatch = life.watch(() => settle('lost'))
    const timer = setTimeout(settle, waitMs, 'late')
    const end = (): void => {
      isOver = true
      clearTimeout(timer)
      unwatch()
    }
    life.driver.reserve().then(
      (connection) => {
        // Nobody waits for it any more.
        if (isOver) connection.release()
        end()
        resolve(connection)
      },
      (error: unknown) => {
        end()
        reject(error)
      },
    )
  })

const takeWithinMs = 5_000

const guarded = (connection: Reserved, life: PoolLife): Reserved => {
  const giveBack = life.lend()
  const release = (): void => {
    connection.release()
    giveBack()
  }
  return new Proxy(connection, {
    get: (_target, name) => (name === 'release' ? release : Reflect.get(connection, name)),
    apply(_target, _this, args) {
      if (life.isLost) throw new DatabaseAway('The connection to the database was lost; try again')
      return Reflect.apply(connection, undefined, args)
    },
  })
}
