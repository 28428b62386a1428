import { isConnectionLost, type Pool, type Sql } from './sql.ts'

/**
 * Runs work on the rows of one workspace: row-level security shows nothing else. The setting is local to the
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
  const connection = await pool.reserve()
  const opened = Promise.all([connection`begin read only`.execute(), enter(connection, workspaceId)])
  opened.catch(() => {})
  // The connection is another's only once the commit is through: the driver forgets what waits on a connection
  // that is released, and the next change would find itself in this read-only transaction.
  const giveBack = (): void => {
    connection`commit`.execute().then(
      () => connection.release(),
      () => {},
    )
  }
  try {
    const result = await work(connection)
    await opened
    giveBack()
    return result
  } catch (error) {
    // The driver has dropped a lost connection already, and fails outside of any promise when it is written to.
    if (!isConnectionLost(error)) giveBack()
    throw error
  }
}

/** Runs changes on the rows of one workspace, all or none. */
export const changeWorkspace = async <T>(
  pool: Pool,
  workspaceId: string,
  work: (sql: Sql) => Promise<T>,
): Promise<T> => {
  const committed = await pool.begin(async (sql) => {
    await enter(sql, workspaceId)
    // Wrapped, because the driver would await an array of queries it finds in a result.
    return { result: await work(sql) }
  })
  return committed.result
}

const enter = (sql: Sql, workspaceId: string) =>
  sql`select set_config('narrowapi.workspace_id', ${workspaceId}, true)`.execute()
