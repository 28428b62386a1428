import { createHash, createHmac, type KeyObject, timingSafeEqual } from 'node:crypto'
import { ApiError } from '../errors.ts'
import type { Sql } from './sql.ts'

/**
 * Lists by position instead of offset: page 10 000 costs what page 1 costs, and rows that come or go meanwhile
 * neither repeat nor hide others. A cursor holds the position of the last row and is bound by a MAC to the
 * workspace, the list, its filters and its order.
 */
export type SortKey = { field: string; descending: boolean }

export type Position = readonly (string | number)[]

export type Keyset = { sort: readonly SortKey[]; after: Position | null; limit: number }

export type ListQuery = {
  limit: number
  cursor?: string | undefined
  sort?: string | undefined
  fields?: string | undefined
}

export type Page<Row> = { object: 'list'; data: Row[]; has_more: boolean; next_cursor: string | null }

export type Cursors = {
  seal(scope: string, position: Position): string
  open(scope: string, cursor: string): Position
}

export const createCursors = (key: KeyObject): Cursors => {
  const mac = (scope: string, payload: string) =>
    createHmac('sha256', key).update(scope).update('\n').update(payload).digest().subarray(0, macBytes)
  return {
    seal(scope, position) {
      const payload = JSON.stringify(position)
      return Buffer.concat([mac(scope, payload), Buffer.from(payload)]).toString('base64url')
    },
    open(scope, cursor) {
      const bytes = Buffer.from(cursor, 'base64url')
      const payload = bytes.subarray(macBytes).toString('utf8')
      const isOurs =
        bytes.length > macBytes &&
        bytes.toString('base64url') === cursor &&
        timingSafeEqual(bytes.subarray(0, macBytes), mac(scope, payload))
      if (!isOurs) {
        throw new ApiError(
          'invalid_cursor',
          'Send the next_cursor of this list with the same filters and order',
        )
      }
      // Only `seal` makes a matching MAC, and it writes positions.
      return JSON.parse(payload) as Position
    },
  }
}

const macBytes = 16

/** Turns a query into one page: what to ask the database for, and how to answer. */
export const page = async <Row extends { id: string }>(
  cursors: Cursors,
  scope: { workspaceId: string; list: string },
  query: ListQuery,
  find: (keyset: Keyset) => Promise<Row[]>,
): Promise<Page<Row>> => {
  const { limit, cursor, fields: _fields, ...filters } = query
  const filter = createHash('sha256')
    .update(JSON.stringify(Object.entries(filters).sort()))
    .digest('base64url')
  const bound = `${scope.workspaceId}\n${scope.list}\n${filter}`
  const sort = sortKeys(query.sort)
  const after = cursor === undefined ? null : cursors.open(bound, cursor)
  const rows = await find({ sort, after, limit: limit + 1 })
  const data = rows.slice(0, limit)
  const last = data.at(-1)
  const has_more = rows.length > limit && last !== undefined
  return {
    object: 'list',
    data,
    has_more,
    next_cursor: has_more ? cursors.seal(bound, positionOf(last, sort)) : null,
  }
}

/** The last key is always the id, so that the order is total. Creation order is id order. */
const sortKeys = (sort = '-created_at'): SortKey[] => {
  const keys = sort
    .split(',')
    .map((name) => ({ field: name.replace(/^-/, ''), descending: name.startsWith('-') }))
  const created = keys.findIndex((key) => key.field === 'created_at')
  const given = created === -1 ? keys : keys.slice(0, created)
  const descending = keys.at(created)?.descending ?? true
  return [...given, { field: 'id', descending }]
}

const positionOf = (row: object, sort: readonly SortKey[]): Position =>
  sort.map(({ field }) => {
    const value: unknown = Reflect.get(row, field)
    if (typeof value === 'string' || typeof value === 'number') return value
    throw new Error(`A list cannot be sorted by ${field}: it may be empty`)
  })

/** `and <after the position>`, `order by …` and `limit …` for the end of a list query. */
export const keysetClauses = (sql: Sql, { sort, after, limit }: Keyset) => sql`
  ${after ? sql`and ${afterPosition(sql, sort, after)}` : sql``}
  order by ${sort
    .map(
      ({ field, descending }) =>
        sql`${sql(field)}${collation(sql, field)} ${descending ? sql`desc` : sql`asc`}`,
    )
    .reduce((left, right) => sql`${left}, ${right}`)}
  limit ${limit}`

/**
 * Row comparison where all keys run the same way: the planner uses the index for it. Mixed directions need
 * the long form, which reads the rows of the first key's range.
 */
const afterPosition = (sql: Sql, sort: readonly SortKey[], after: Position) => {
  const column = ({ field }: SortKey) => sql`${sql(field)}${collation(sql, field)}`
  const descending = sort[0]?.descending ?? true
  if (sort.every((key) => key.descending === descending)) {
    const columns = sort.map(column).reduce((left, right) => sql`${left}, ${right}`)
    const values = after.map((value) => sql`${value}`).reduce((left, right) => sql`${left}, ${right}`)
    return descending ? sql`(${columns}) < (${values})` : sql`(${columns}) > (${values})`
  }
  return sql`(${sort
    .map((key, index) => {
      const value = after[index] ?? null
      const beyond = key.descending ? sql`${column(key)} < ${value}` : sql`${column(key)} > ${value}`
      return sort
        .slice(0, index)
        .map((earlier, position) => sql`${column(earlier)} = ${after[position] ?? null}`)
        .reduceRight((right, left) => sql`${left} and ${right}`, beyond)
    })
    .map((part) => sql`(${part})`)
    .reduce((left, right) => sql`${left} or ${right}`)})`
}

/** Names sort by code point, so that the order is the same in every database. */
const collation = (sql: Sql, field: string) => (field === 'name' ? sql` collate "C"` : sql``)
