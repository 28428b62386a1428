import { apiError } from './api-error.ts'
import type { PageData } from './operations.ts'
import { canonical, isObject } from './schema.ts'

export type Query = Readonly<Record<string, unknown>>

/** Whether an object passes a filter of a list, for filters that do not just compare the field of their name. */
export type Filters<Row> = { readonly [filter: string]: (row: Row, wanted: unknown) => boolean }

/**
 * One page: the list's filters, its order, and what follows the cursor. A cursor is bound to the list, its
 * filters and its order, and holds a position, so objects that come or go meanwhile neither repeat nor hide
 * others.
 */
export const pageOf = <Row extends object>(
  rows: readonly Row[],
  { limit = 20, cursor, fields: _fields, ...rest }: Query,
  listName: string,
  filters: Filters<Row> = {},
): PageData<Row> => {
  const { sort = ['-created_at'], ...wanted } = rest
  const bound = canonical([listName, rest])
  const order = orderOf(sort as readonly string[])
  const position = (row: Row) => order.map(({ field }) => readField(row, field))
  const compare = (a: readonly unknown[], b: readonly unknown[]): number => {
    for (const [index, { descending }] of order.entries()) {
      const difference = compareValues(a[index], b[index])
      if (difference !== 0) return descending ? -difference : difference
    }
    return 0
  }
  const after = cursor === undefined ? null : openCursor(String(cursor), bound)
  const following = rows
    .filter((row) => Object.entries(wanted).every(([name, value]) => passes(row, name, value, filters)))
    .filter((row) => after === null || compare(position(row), after) > 0)
    .sort((a, b) => compare(position(a), position(b)))
  const data = following.slice(0, Number(limit))
  const last = data.at(-1)
  const has_more = following.length > data.length && last !== undefined
  return { object: 'list', data, has_more, next_cursor: has_more ? sealCursor(bound, position(last)) : null }
}

/** Creation order is id order, and the last key is always the id, so that the order is total. */
const orderOf = (sort: readonly string[]) => {
  const keys = sort.map((name) => ({ field: name.replace(/^-/, ''), descending: name.startsWith('-') }))
  const created = keys.findIndex(({ field }) => field === 'created_at')
  const given = created === -1 ? keys : keys.slice(0, created)
  return [...given, { field: 'id', descending: keys.at(created)?.descending ?? true }]
}

const passes = <Row extends object>(
  row: Row,
  name: string,
  wanted: unknown,
  filters: Filters<Row>,
): boolean => {
  const filter = filters[name] ?? common[name]
  return filter ? filter(row, wanted) : readField(row, name) === wanted
}

const common: Filters<object> = {
  created_after: (row, moment) => String(readField(row, 'created_at')) >= String(moment),
  created_before: (row, moment) => String(readField(row, 'created_at')) < String(moment),
  updated_after: (row, moment) => String(readField(row, 'updated_at')) >= String(moment),
  updated_before: (row, moment) => String(readField(row, 'updated_at')) < String(moment),
  search: (row, text) => String(readField(row, 'name')).toLowerCase().includes(String(text).toLowerCase()),
  metadata: (row, wanted) =>
    isObject(wanted) &&
    Object.entries(wanted).every(([key, value]) => {
      const metadata = readField(row, 'metadata')
      return isObject(metadata) && metadata[key] === value
    }),
}

const readField = (row: object, name: string): unknown =>
  // What has no id, such as a version of an action, is told apart by its number.
  Reflect.get(row, name) ?? (name === 'id' ? Reflect.get(row, 'version') : undefined)

const compareValues = (a: unknown, b: unknown): number => {
  if (typeof a === 'number' && typeof b === 'number') return a - b
  return String(a) < String(b) ? -1 : String(a) > String(b) ? 1 : 0
}

const sealCursor = (bound: string, position: readonly unknown[]): string =>
  toOpaque(canonical([bound, position]))

const openCursor = (cursor: string, bound: string): readonly unknown[] => {
  try {
    const text = fromOpaque(cursor)
    const [madeFor, position] = JSON.parse(text)
    if (madeFor === bound && toOpaque(text) === cursor) return position
  } catch {
    // Not one of ours: told below.
  }
  throw apiError('invalid_cursor', {
    message: 'Send the next_cursor of this list with the same filters and order',
  })
}

/** Base64url of the UTF-8 bytes. */
const toOpaque = (text: string): string =>
  btoa(String.fromCharCode(...new TextEncoder().encode(text)))
    .replaceAll('+', '-')
    .replaceAll('/', '_')
    .replaceAll('=', '')

const fromOpaque = (opaque: string): string =>
  new TextDecoder('utf-8', { fatal: true }).decode(
    Uint8Array.from(atob(opaque.replaceAll('-', '+').replaceAll('_', '/')), (character) =>
      character.charCodeAt(0),
    ),
  )
