import { join } from 'node:path'
import type { Config } from './config.ts'
import { startEmbedded } from './db/embedded.ts'
import { migrate } from './db/migrate.ts'
import { type Connection, connect } from './db/sql.ts'
import type { Log } from './log.ts'
import { type Keyring, loadOrCreateMasterKey, parseMasterKeys } from './vault/keys.ts'

export type Database = {
  connection: Connection
  /** What it was sealed with. */
  keyring: Keyring
  /** Stops it, if it is ours to stop. */
  close(): Promise<void>
}

/**
 * The database with its schema up to date: the one that is named, or the embedded one, which is started.
 * `meanwhile` is called when its process has begun and is not ready yet.
 */
export const openDatabase = async (config: Config, log: Log, meanwhile?: () => void): Promise<Database> => {
  const { databaseUrl, dataDir } = config
  const embedded = databaseUrl === null ? await startEmbedded({ dataDir, log, meanwhile }) : null
  const close = async () => embedded?.stop()
  try {
    const connection = databaseUrl ?? embedded?.connection
    if (connection === undefined) throw new Error('There is no database to connect to')
    const keyring =
      config.masterKey === null
        ? await loadOrCreateMasterKey(join(dataDir, 'master.key'))
        : parseMasterKeys(config.masterKey)
    await bringUpToDate(connection, log)
    return { connection, keyring, close }
  } catch (error) {
    await close()
    throw error
  }
}

const bringUpToDate = async (connection: Connection, log: Log): Promise<void> => {
  const owner = connect(connection, 'owner', { max: 1 })
  try {
    const applied = await migrate(owner)
    if (applied.length > 0) log.info({ migrations: applied }, 'the schema was brought up to date')
  } finally {
    await owner.end({ timeout: 1 })
  }
}
