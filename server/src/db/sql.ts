import net from 'node:net'
import postgres from 'postgres'
import { ApiError, DatabaseAway } from '../errors.ts'
import type { Pool, Sql } from './driver.ts'
import { type PoolLife, renewing } from './renewing-pool.ts'

export type { Pool, Reserved, Sql } from './driver.ts'

/** Where PostgreSQL is: a URL, or the socket of the embedded one. */
export type Connection = string | { path: string; database: string; username: string; password?: string }

/** `owner` makes and migrates the schema; the other two are explained in the first migration. */
export type Role = 'owner' | 'narrowapi_app' | 'narrowapi_system'

export const schema = 'narrowapi'

/** How long PostgreSQL may take for one statement, in milliseconds, unless the operator says otherwise. */
export const usualTimeoutMs = 15_000

export type ConnectOptions = {
  max: number
  /** 0 sets none. */
  statementTimeoutMs?: number
  onnotify?: (channel: string, payload: string) => void
}

export const connect = (
  connection: Connection,
  role: Role,
  // Whoever migrates may take as long as it takes.
  { max, statementTimeoutMs: limitMs = role === 'owner' ? 0 : usualTimeoutMs, onnotify }: ConnectOptions,
): Pool => {
  const open = (life: PoolLife): Pool => {
    const settings: postgres.Options<{
      int8: postgres.PostgresType<number>
      moment: postgres.PostgresType<string>
    }> = {
      max,
      idle_timeout: 0,
      max_lifetime: null,
      connect_timeout: 5,
      onnotice: () => {},
      onclose: () => life.lose(),
      ...(onnotify ? { onnotify } : {}),
      transform: { undefined: null },
      connection: {
        application_name: 'narrowapi',
        search_path: schema,
        TimeZone: 'UTC',
        statement_timeout: limitMs,
        idle_in_transaction_session_timeout: 2 * limitMs,
        ...(role === 'owner' ? {} : { role }),
      },
      types: { int8, moment },
    }
    const place = typeof connection === 'string' ? (socketOf(connection) ?? connection) : connection
    if (typeof place !== 'string')
      return postgres({ ...place, ...settings, ...opens({ path: place.path }, life) })
    const address = addressOf(place)
    return postgres(
      place,
      address ? { ...settings, ...databaseOf(place), ...opens(address, life) } : settings,
    )
  }
  return renewing(open, limitMs === 0 ? null : limitMs + graceMs)
}

/** What the way to PostgreSQL and back may take beside its own limit. */
const graceMs = 2_000

/**
 * The driver takes a socket instead of an address. It gets one that is still connecting: it would wait for a
 * promise without a limit, and lose the place of a connection in its pool when the promise fails. It also never
 * sets TCP_NODELAY, which makes small statements wait for each other's acknowledgement; TLS is its own business.
 */
const opens = (address: net.NetConnectOpts, life: PoolLife): { socket: () => Promise<net.Socket> } => ({
  socket: async () => {
    if (life.hasClosedUnheard()) return closedAtOnce()
    const socket = life.keep(net.connect(address))
    // Where the driver looks for the name that TLS asks for and checks.
    return 'host' in address ? Object.assign(socket, { host: address.host }) : socket
  },
})

/** A socket that fails as soon as the driver listens to it. */
const closedAtOnce = (): net.Socket => {
  const socket = new net.Socket()
  const error = new Error('The connection was closed before PostgreSQL said anything')
  setImmediate(() => socket.destroy(Object.assign(error, { code: 'ECONNRESET' })))
  return socket
}

/** A URL with several hosts is left to the driver, which tries them in turn. */
const addressOf = (url: string): net.TcpNetConnectOpts | null => {
  if (!URL.canParse(url)) return null
  const { hostname, port } = new URL(url)
  if (hostname === '' || hostname.includes(',') || hostname.startsWith('%2F')) return null
  const host = hostname.replace(/^\[|\]$/g, '')
  return { host, port: Number(port || 5432), noDelay: true, keepAlive: true }
}

/** The driver decodes the user and the password, and not this. */
const databaseOf = (url: string): { database?: string } => {
  const database = decodeURIComponent(new URL(url).pathname.slice(1))
  return database === '' ? {} : { database }
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

/** The SQLSTATE of a database error, or null for anything else. */
export const sqlState = (error: unknown): string | null =>
  error instanceof postgres.PostgresError ? error.code : null

/** Whether the work was undone for a reason that is over by now, a failed serialization or a deadlock; also as a cause. */
export const isTransient = (error: unknown): boolean =>
  /^(?:40001|40P01)$/.test(sqlState(error) ?? '') || (error instanceof Error && isTransient(error.cause))

/** Whether the database could not be asked at all, so that the same request may succeed later. */
export const isUnavailable = (error: unknown): boolean => {
  const state = sqlState(error)
  // 28, 3D000 and 55000 refuse a connection: an operator is closing, moving or opening the database. 25P03 and 25P04
  // end one whose transaction took too long, as it does where this process stood still.
  if (state !== null)
    return /^(?:08|28|3D000|53|55000|57P0|57014|25006|25P0[34]|40001|40P01|55P03)/.test(state)
  return error instanceof ApiError ? error.code === 'unavailable' : isUnreachable(error)
}

/** Whether an operator of the database must look: others are unavailable as well, such as a server that stops. */
export const isDatabaseAway = (error: unknown): boolean => {
  if (error instanceof DatabaseAway) return true
  if (error instanceof ApiError) return isDatabaseAway(error.cause)
  return isUnavailable(error) && !isTransient(error)
}

/** Whether the connection itself ended, so that nothing more can be said on it; also as the cause of an error. */
export const isConnectionLost = (error: unknown): boolean => {
  const state = sqlState(error)
  if (state !== null) return /^(?:08|57P0)/.test(state)
  return isUnreachable(error) || (error instanceof Error && isConnectionLost(error.cause))
}

const isUnreachable = (error: unknown): boolean =>
  /^(?:CONNECT|CONNECTION_|ECONN|ENOENT|EPIPE|ETIMEDOUT|EHOSTUNREACH|ENOTFOUND|EAI_AGAIN)/.test(
    systemCode(error),
  )

const systemCode = (error: unknown): string =>
  error instanceof Error && 'code' in error ? String(error.code) : ''

/** The name of the constraint a write broke. */
export const brokenConstraint = (error: unknown): string | null =>
  error instanceof postgres.PostgresError ? (error.constraint_name ?? null) : null
