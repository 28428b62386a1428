import postgres from 'postgres'

/** What postgres.js needs to connect; `host` and `port` say the same as `path` for other programs. */
export type EmbeddedConnection = {
  path: string
  host: string
  port: number
  database: string
  username: string
}

export type Claim =
  | { outcome: 'owned'; expectEnd(): void; release(): Promise<void> }
  | { outcome: 'taken' | 'unreachable' }

/**
 * Says that this process is the one server of the embedded database, by an advisory lock that a
 * session of its own holds as long as the process lives. Unlike a file with a process id it cannot be left
 * behind, and it decides between two servers that start at once. Sees a database that answers queries, not
 * only a socket.
 */
export const claimDatabase = async (connection: EmbeddedConnection, onLost: () => void): Promise<Claim> => {
  let isHeld = false
  const sql = postgres({
    ...connection,
    ssl: false,
    max: 1,
    max_lifetime: null,
    idle_timeout: 0,
    connect_timeout: 5,
    fetch_types: false,
    onnotice: () => {},
    // The session of an owner that was just killed may need a moment to notice.
    connection: { application_name: 'narrowapi owner', lock_timeout: 1000 },
    onclose: () => {
      if (isHeld) reclaim()
    },
  })
  const lock = () => sql`select pg_advisory_lock(${lockClass}::int, 0)`
  // When PostgreSQL restarts its sessions the lock is gone with ours. Failing to reconnect ends in onclose
  // again, after a pause that the driver makes longer each time.
  const reclaim = () => {
    lock().catch((error: unknown) => {
      if (isHeld && codeOf(error) === lockNotAvailable) onLost()
    })
  }
  const expectEnd = () => {
    isHeld = false
  }
  const release = () => {
    expectEnd()
    return sql.end({ timeout: 0 })
  }

  try {
    await lock()
    isHeld = true
    return { outcome: 'owned', expectEnd, release }
  } catch (error) {
    await release()
    if (codeOf(error) === lockNotAvailable) return { outcome: 'taken' }
    if (notYet.has(codeOf(error))) return { outcome: 'unreachable' }
    throw error
  }
}

/** 'nApi'; any number does, as long as nothing else in this database locks under it. */
const lockClass = 0x6e417069
const lockNotAvailable = '55P03'

/** No socket, nobody behind it, starting up or shutting down, gone while we asked. */
const notYet = new Set([
  'ENOENT',
  'ECONNREFUSED',
  'ECONNRESET',
  'EPIPE',
  '57P01',
  '57P02',
  '57P03',
  'CONNECTION_CLOSED',
  'CONNECTION_ENDED',
  'CONNECTION_DESTROYED',
  'CONNECT_TIMEOUT',
])

const codeOf = (error: unknown): string =>
  error instanceof Error && 'code' in error ? String(error.code) : ''
