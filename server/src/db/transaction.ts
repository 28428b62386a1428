import { setTimeout as delay } from 'node:timers/promises'
import { answered, type Taken, take } from './renewing-pool.ts'
import { isConnectionLost, isTransient, type Pool, type Sql } from './sql.ts'

/**
 * Does work in one transaction: all or nothing. The first statements go out behind `begin` without waiting for
 * it. Takes the place of the driver's own `begin`, which rolls back on a connection that PostgreSQL has ended
 * and then fails outside of any promise, which would end the process.
 *
 * The work may be done several times: it must do nothing but what its transaction undoes.
 */
export const inTransaction = <T>(pool: Pool, work: (sql: Sql) => Promise<T>): Promise<T> =>
  retried(pool, async (taken) => {
    const { connection } = taken
    const begun = connection`begin`.execute()
    begun.catch(() => {})
    try {
      const result = await behind(() => begun, work(connection))
      await connection`commit`
      connection.release()
      return result
    } catch (error) {
      await rollBack(taken, error)
      throw error
    }
  })

/**
 * Runs reads on the rows of one workspace: row-level security shows nothing else. The setting is local to the
 * transaction, so the connection carries nothing to its next user.
 */
export const readWorkspace = <T>(
  pool: Pool,
  workspaceId: string,
  work: (sql: Sql) => Promise<T>,
): Promise<T> =>
  retried(pool, async (taken) => {
    const reads = new Reads(taken.connection, workspaceId)
    try {
      return await behind(() => reads.begun(), work(reads.sql))
    } finally {
      void giveBack(taken, reads.end())
    }
  })

/**
 * What is asked in one turn of the event loop is a transaction, and goes out in one write with its `begin` and its
 * `commit`, none of which is waited for. What is asked later is another one; each statement sees what is committed
 * when it begins, so it is all the same to them. Should an early statement fail, or one be awaited in a later turn than
 * it was written in, the setting is not there and nothing is shown.
 */
class Reads {
  readonly sql: Sql
  readonly #connection: Taken['connection']
  readonly #workspaceId: string
  readonly #begun: Promise<unknown>[] = []
  #isOpen = false
  #last: Promise<unknown> = Promise.resolve()

  constructor(connection: Taken['connection'], workspaceId: string) {
    this.#connection = connection
    this.#workspaceId = workspaceId
    this.sql = new Proxy(connection, {
      apply: (target, _this, args) => {
        this.#begin()
        return Reflect.apply(target, undefined, args)
      },
    })
  }

  /** Rejects when a transaction could not be begun. */
  async begun(): Promise<void> {
    await Promise.all(this.#begun)
  }

  /** Settles when nothing more runs on the connection. */
  end(): Promise<unknown> {
    this.#commit()
    return this.#last
  }

  #begin(): void {
    if (this.#isOpen) return
    this.#isOpen = true
    // Asked for before the driver's own, which writes all that was said until then.
    setImmediate(() => this.#commit())
    const begun = Promise.all([
      this.#connection`begin read only`.execute(),
      enter(this.#connection, this.#workspaceId),
    ])
    begun.catch(() => {})
    this.#begun.push(begun)
  }

  #commit(): void {
    if (!this.#isOpen) return
    this.#isOpen = false
    // A connection that is lost meanwhile throws instead of answering.
    this.#last = (async () => this.#connection`commit`)()
    this.#last.catch(() => {})
  }
}

/** Runs changes on the rows of one workspace, all or none. */
export const changeWorkspace = <T>(
  pool: Pool,
  workspaceId: string,
  work: (sql: Sql) => Promise<T>,
): Promise<T> =>
  inTransaction(pool, async (sql) => {
    const entered = enter(sql, workspaceId)
    entered.catch(() => {})
    return behind(() => entered, work(sql))
  })

/** Work behind a statement that nobody waited for: had that failed, what follows it would only tell that it had. */
const behind = async <T>(first: () => Promise<unknown>, work: Promise<T>): Promise<T> => {
  try {
    return await work
  } finally {
    await first()
  }
}

/** Transactions that have a connection, and those that wait for one. The driver does not tell of its pool. */
export type Transactions = { open: number; waiting: number }

const transactions = new WeakMap<Pool, Transactions>()

export const transactionsOf = (pool: Pool): Transactions => {
  const known = transactions.get(pool)
  if (known) return known
  const none = { open: 0, waiting: 0 }
  transactions.set(pool, none)
  return none
}

const maxRetries = 3

/** A deadlock or a failed serialization is over when it is told, so the same work is likely to succeed now. */
const retried = async <T>(pool: Pool, run: (taken: Taken) => Promise<T>): Promise<T> => {
  for (let retries = 0; ; retries += 1) {
    const taken = await takeCounted(pool)
    try {
      return await answered(pool, run(taken))
    } catch (error) {
      if (!isTransient(error) || retries === maxRetries) throw error
    } finally {
      transactionsOf(pool).open -= 1
    }
    // Those who met each other are not to meet again.
    await delay(Math.random() * 20 * 2 ** retries)
  }
}

/** On a lost connection there is nothing to roll back, and nobody who could be told to. */
const rollBack = async (taken: Taken, reason: unknown): Promise<void> => {
  if (!taken.isLost() && !isConnectionLost(reason)) await giveBack(taken, taken.connection`rollback`)
}

const takeCounted = async (pool: Pool): Promise<Taken> => {
  const counts = transactionsOf(pool)
  counts.waiting += 1
  try {
    const taken = await take(pool)
    counts.open += 1
    return taken
  } finally {
    counts.waiting -= 1
  }
}

/**
 * A connection is another's only once its last statement is through: the driver forgets what waits on one that
 * is released, and the next change would find itself in this transaction. A lost one the driver drops by itself.
 */
const giveBack = ({ connection }: Taken, last: PromiseLike<unknown>): Promise<void> =>
  Promise.resolve(last).then(
    () => connection.release(),
    () => {},
  )

const enter = (sql: Sql, workspaceId: string) =>
  sql`select set_config('narrowapi.workspace_id', ${workspaceId}, true)`.execute()
