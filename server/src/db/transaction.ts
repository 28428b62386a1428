import { isConnectionLost, type Pool, type Reserved, type Sql } from './sql.ts'

/**
 * Does work in one transaction: all or nothing. The first statements go out behind `begin` without waiting for
 * it. Takes the place of the driver's own `begin`, which rolls back on a connection that PostgreSQL has ended
 * and then fails outside of any promise, which would end the process.
 */
export const inTransaction = async <T>(pool: Pool, work: (sql: Sql) => Promise<T>): Promise<T> => {
  const connection = await takeConnection(pool)
  const begun = connection`begin`.execute()
  begun.catch(() => {})
  try {
    const result = await work(connection)
    await begun
    await connection`commit`
    connection.release()
    return result
  } catch (error) {
    if (!isConnectionLost(error)) await giveBack(connection, connection`rollback`)
    throw error
  } finally {
    transactionsOf(pool).open -= 1
  }
}

/**
 * Runs reads on the rows of one workspace: row-level security shows nothing else. The setting is local to the
 * transaction, so the connection carries nothing to its next user.
 *
 * A read does not wait for `begin` and `commit`: the statements go out behind each other on one connection,
 * which makes a read one round trip. Should an early one fail, the setting is not there and nothing is shown.
 */
export const readWorkspace = async <T>(
  pool: Pool,
  workspaceId: string,
  work: (sql: Sql) => Promise<T>,
): Promise<T> => {
  const connection = await takeConnection(pool)
  const opened = Promise.all([connection`begin read only`.execute(), enter(connection, workspaceId)])
  opened.catch(() => {})
  try {
    const result = await work(connection)
    await opened
    void giveBack(connection, connection`commit`)
    return result
  } catch (error) {
    if (!isConnectionLost(error)) void giveBack(connection, connection`rollback`)
    throw error
  } finally {
    transactionsOf(pool).open -= 1
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
    const result = await work(sql)
    await entered
    return result
  })

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

const takeConnection = async (pool: Pool): Promise<Reserved> => {
  const counts = transactionsOf(pool)
  counts.waiting += 1
  try {
    const connection = await pool.reserve()
    counts.open += 1
    return connection
  } finally {
    counts.waiting -= 1
  }
}

/**
 * A connection is another's only once its last statement is through: the driver forgets what waits on one that
 * is released, and the next change would find itself in this transaction. A lost one the driver drops by itself.
 */
const giveBack = (connection: Reserved, last: PromiseLike<unknown>): Promise<void> =>
  Promise.resolve(last).then(
    () => connection.release(),
    () => {},
  )

const enter = (sql: Sql, workspaceId: string) =>
  sql`select set_config('narrowapi.workspace_id', ${workspaceId}, true)`.execute()
