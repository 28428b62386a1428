import net from 'node:net'
import postgres from 'postgres'

/** A pool, or a transaction of one: what queries are written with. */
export type Sql = postgres.Sql<Types> | postgres.TransactionSql<Types>
export type Pool = postgres.Sql<Types>
/** One connection of a pool, taken out of it. */
export type Reserved = postgres.ReservedSql<Types>
type Types = { int8: number; moment: string }

/** Where PostgreSQL is: a URL, or the socket of the embedded one. */
export type Connection = string | { path: string; database: string; username: string; password?: string }

/** `owner` makes and migrates the schema; the other two are explained in the first migration. */
export type Role = 'owner' | 'narrowapi_app' | 'narrowapi_system'

export const schema = 'narrowapi'

export const connect = (
  connection: Connection,
  role: Role,
  options: { max: number; onnotify?: (channel: string, payload: string) => void },
): Pool => {
  const settings: postgres.Options<{
    int8: postgres.PostgresType<number>
    moment: postgres.PostgresType<string>
  }> = {
    max: options.max,
    idle_timeout: 0,
    max_lifetime: null,
    connect_timeout: 5,
    onnotice: () => {},
    transform: { undefined: null },
    connection: {
      application_name: 'narrowapi',
      search_path: schema,
      TimeZone: 'UTC',
      statement_timeout: role === 'owner' ? 0 : 15_000,
      idle_in_transaction_session_timeout: role === 'owner' ? 0 : 30_000,
      ...(role === 'owner' ? {} : { role }),
    },
    types: { int8, moment },
  }
  const place = typeof connection === 'string' ? (socketOf(connection) ?? connection) : connection
  if (typeof place !== 'string') return postgres({ ...place, ...settings })
  return postgres(place, { ...settings, ...withoutDelay(place) })
}

/** As with libpq, `?host=/folder` in a URL names the folder of a Unix socket. */
const socketOf = (url: string): Exclude<Connection, string> | null => {
  const { searchParams, pathname, username, password, port } = new URL(url)
  const folder = searchParams.get('host')
  if (!folder?.startsWith('/')) return null
  return {
    path: `${folder}/.s.PGSQL.${port || searchParams.get('port') || 5432}`,
    database: decodeURIComponent(pathname.slice(1)),
    username: decodeURIComponent(username),
    ...(password === '' ? {} : { password: decodeURIComponent(password) }),
  }
}

/** The same place as a URL, for another process. */
export const urlOf = (connection: Connection): string => {
  if (typeof connection === 'string') return connection
  const { path, database, username, password = '' } = connection
  const url = new URL(`postgres://${encodeURIComponent(username)}@localhost/${encodeURIComponent(database)}`)
  const end = path.lastIndexOf('/.s.PGSQL.')
  url.port = path.slice(end + '/.s.PGSQL.'.length)
  url.password = password
  url.searchParams.set('host', path.slice(0, end))
  return url.href
}

/**
 * A parameter for a `json` column. The driver's own `sql.json` sends `jsonb`, which sorts the members of an
 * object; what a caller wrote keeps its order. Only for values that were parsed from JSON or are made of such.
 */
export const json = (sql: Sql, value: unknown) => sql.typed(value, jsonType)

const jsonType = 114

/** Counts here stay far below 2^53. */
const int8: postgres.PostgresType<number> = {
  to: 20,
  from: [20],
  serialize: String,
  parse: Number,
}

/** A moment stays text, in the form answers have: a Date for every field costs a fifth of a page of a list. */
const moment: postgres.PostgresType<string> = {
  to: 1184,
  from: [1184],
  serialize: (value: string) => value,
  parse: (value: string) => {
    // PostgreSQL leaves out trailing zeros: `2026-01-15 10:30:00.5+00`.
    const fraction = value[19] === '.' ? value.slice(20, value.indexOf('+', 20)) : ''
    return `${value.slice(0, 10)}T${value.slice(11, 19)}.${fraction.padEnd(3, '0')}Z`
  },
}

/**
 * postgres.js never sets TCP_NODELAY, which makes small statements wait for each other's acknowledgement.
 * It takes a connected socket instead; TLS is still its own business.
 */
const withoutDelay = (url: string): { socket?: () => Promise<net.Socket> } => {
  if (!URL.canParse(url)) return {}
  const { hostname, port } = new URL(url)
  if (hostname === '' || hostname.includes(',') || hostname.startsWith('%2F')) return {}
  return {
    socket: () =>
      new Promise((resolve, reject) => {
        const socket = net.connect({
          host: hostname.replace(/^\[|\]$/g, ''),
          port: Number(port || 5432),
          noDelay: true,
          keepAlive: true,
        })
        socket.once('connect', () => resolve(socket))
        socket.once('error', reject)
      }),
  }
}

/** The SQLSTATE of a database error, or null for anything else. */
export const sqlState = (error: unknown): string | null =>
  error instanceof postgres.PostgresError ? error.code : null

/** Whether the database could not be asked at all, so that the same request may succeed later. */
export const isUnavailable = (error: unknown): boolean => {
  const state = sqlState(error)
  // 28, 3D000 and 55000 refuse a connection: an operator is closing, moving or opening the database.
  if (state !== null) return /^(?:08|28|3D000|53|55000|57P0|57014|25006|40001|40P01|55P03)/.test(state)
  return /^(?:CONNECT|CONNECTION_|ECONN|ENOENT|EPIPE|ETIMEDOUT|EHOSTUNREACH|ENOTFOUND|EAI_AGAIN)/.test(
    systemCode(error),
  )
}

/** Whether the connection itself ended, so that nothing more can be said on it; also as the cause of an error. */
export const isConnectionLost = (error: unknown): boolean => {
  const state = sqlState(error)
  if (state !== null) return /^(?:08|57P0)/.test(state)
  return isUnavailable(error) || (error instanceof Error && isConnectionLost(error.cause))
}

const systemCode = (error: unknown): string =>
  error instanceof Error && 'code' in error ? String(error.code) : ''

/** The name of the constraint a write broke. */
export const brokenConstraint = (error: unknown): string | null =>
  error instanceof postgres.PostgresError ? (error.constraint_name ?? null) : null
