import { blanks, operations } from './generated/operations.ts'
import type { Incoming } from './incoming.ts'
import type { Query } from './list.ts'
import { isObject, type OperationRow } from './schema.ts'

export interface Done {
  readonly query: Query
  readonly incoming: Incoming
  readonly headers: Headers
}

/** A success with the headers that follow from it. */
export const toResponse = (
  row: OperationRow,
  done: unknown,
  { query, incoming, headers }: Done,
): Response => {
  if (done === undefined || row.status === 204) return new Response(null, { status: 204, headers })
  headers.set('content-type', 'application/json; charset=utf-8')
  if (isObject(done)) {
    const { version, object, id, next_cursor } = done
    if (row.versioned && typeof version === 'number') headers.set('etag', `"${version}"`)
    const place = row.status === 201 ? places.get(String(object)) : undefined
    if (place !== undefined) headers.set('location', place.replace(/\{\w+\}/, String(id)))
    if (typeof next_cursor === 'string') {
      const next = new URLSearchParams(incoming.search)
      next.set('cursor', next_cursor)
      headers.set('link', `<${incoming.path}?${next}>; rel="next"`)
    }
  }
  return new Response(JSON.stringify(selected(done, query.fields)), { status: row.status ?? 200, headers })
}

/** Where an object of each type is read. */
const places = new Map(
  Object.entries<OperationRow>(operations).flatMap(([name, { answer = '', path }]) => {
    const { object } = (blanks[answer] ?? {}) as { object?: string }
    return name.endsWith('.get') && object !== undefined ? [[object, path] as const] : []
  }),
)

const selected = (done: unknown, fields: unknown): unknown => {
  if (!Array.isArray(fields) || !isObject(done)) return done
  if (Array.isArray(done.data)) return { ...done, data: done.data.map((item) => selected(item, fields)) }
  const kept = new Set(['id', 'object', ...fields])
  return Object.fromEntries(Object.entries(done).filter(([name]) => kept.has(name)))
}

/** What an override leaves out is as in an object of which nothing was said. */
export const completed = ({ answer = '', paged }: OperationRow, done: unknown): unknown => {
  const blank = blanks[answer]
  if (!blank || !isObject(done)) return done
  if (!paged) return { ...blank, ...done }
  const { data } = done
  return { ...done, data: Array.isArray(data) ? data.map((item) => ({ ...blank, ...item })) : data }
}

/** A whole response of an override, with the headers that every answer has. */
export const withHeaders = (response: Response, headers: Headers): Response => {
  for (const [name, value] of response.headers) headers.set(name, value)
  return new Response(response.body, { status: response.status, headers })
}
