import type { ErrorDetail } from '../errors.ts'
import { apiError, invalidBody, type MockApiError } from './api-error.ts'
import { blanks, inputs, schemas } from './generated/operations.ts'
import type { Query } from './list.ts'
import { rowOf } from './operations.ts'
import { check, type Fields, type Schema, TWICE } from './schema.ts'

/** A request that arrived whole. */
export interface Incoming {
  readonly method: string
  /** As it was sent, still percent-encoded. */
  readonly path: string
  /** Without the question mark. */
  readonly search: string
  readonly headers: Headers
  readonly text: string
}

const resolve = (name: string): Schema | undefined => schemas[name]

/** The query as the operation declares it: numbers as numbers, lists as lists, unknown names refused. */
export const readQuery = (operation: string, { search }: Incoming): Query => {
  const schema = querySchemaOf(operation)
  const query = parseQuery(search, schema)
  const { value, details } = check(schema, query, { resolve, fill: true })
  // A list is one parameter, whichever of its entries is wrong.
  const wrong = details
    .filter(({ message }) => message !== TWICE)
    .map(({ field, message }) =>
      /\.\d+$/.test(field)
        ? {
            field: field.replace(/\.\d+$/, ''),
            message: message.replace('one of', 'a comma-separated list of'),
          }
        : { field, message },
    )
  const repeated = Object.keys(query)
    .filter((name) => isRepeated(query[name]))
    .map((field) => ({ field, message: 'must name each field once' }))
  if (wrong.length + repeated.length > 0) throw invalidQuery([...wrong, ...repeated])
  // The schema is that of an object.
  return value as Query
}

/** Also in both directions, which no schema says. */
const isRepeated = (names: unknown): boolean =>
  Array.isArray(names) && new Set(names.map((name) => `${name}`.replace(/^-/, ''))).size < names.length

const invalidQuery = (details: readonly ErrorDetail[]): MockApiError =>
  apiError('validation_failed', { message: 'query parameters are invalid', details })

const querySchemaOf = (operation: string): Schema => {
  const schema = inputs[operation]?.query ?? { type: 'object', additionalProperties: false }
  if (!schema.properties?.fields) return schema
  const names = Object.keys(blanks[rowOf(operation).answer ?? ''] ?? {})
  const fields: Schema = {
    type: 'array',
    items: { type: 'string', enum: names },
    minItems: 1,
    uniqueItems: true,
  }
  return { ...schema, properties: { ...schema.properties, fields } }
}

/** The same without a judgement, for the record. */
export const parseQuery = (search: string, { properties = {} }: Schema): Record<string, unknown> => {
  const query = new Map<string, unknown>()
  const metadata = new Map<string, string>()
  for (const [written, text] of new URLSearchParams(search)) {
    const [, key] = /^metadata\[(.+)\]$/s.exec(written) ?? []
    const name = aliases.get(written) ?? written
    if (key === undefined ? query.has(name) : metadata.has(key))
      throw invalidQuery([{ field: name, message: 'must be sent once' }])
    if (key === undefined) query.set(name, toValue(properties[name], text))
    else query.set('metadata', Object.fromEntries(metadata.set(key, text)))
  }
  return Object.fromEntries(query)
}

/** Reference names of a parameter that this API calls otherwise. */
const aliases = new Map([
  ['per_page', 'limit'],
  ['from', 'created_after'],
  ['to', 'created_before'],
])

const toValue = (schema: Schema | undefined, text: string): unknown => {
  if (schema?.type === 'integer') return /^-?\d{1,15}$/.test(text) ? Number(text) : text
  return schema?.type === 'array' ? text.split(',') : text
}

/** The body with its defaults. An absent one counts as `{}`. */
export const readBody = (operation: string, incoming: Incoming): Fields => {
  const schema = inputs[operation]?.body
  if (!schema || incoming.method === 'GET') return {}
  const { value, details } = check(schema, parseBody(incoming), { resolve, fill: true })
  if (details.length > 0) throw invalidBody(details)
  // Every body of the contract is an object.
  return value as Fields
}

const parseBody = ({ text, headers }: Incoming): unknown => {
  if (text === '') return {}
  if (
    !/^application\/json\s*(;\s*charset\s*=\s*"?utf-8"?\s*)?;?\s*$/i.test(headers.get('content-type') ?? '')
  )
    throw apiError('unsupported_media_type', { message: 'Send the body as application/json in UTF-8' })
  if (new TextEncoder().encode(text).length > MAX_BODY)
    throw apiError('payload_too_large', { message: `The body may have at most ${MAX_BODY} bytes` })
  const value = fromJson(text)
  refuseUnkeepable(value, [])
  return value
}

const fromJson = (text: string): unknown => {
  try {
    return JSON.parse(text)
  } catch {
    throw apiError('invalid_request', { message: 'The body is not JSON' })
  }
}

/** What the server takes from nobody, because not every part behind it could hold it as it was written. */
const refuseUnkeepable = (value: unknown, path: readonly string[]): void => {
  if (typeof value === 'string') refuseText(value, path)
  if (typeof value !== 'object' || value === null) return
  if (path.length === MAX_DEPTH) throw refusedJson(path, `at most ${MAX_DEPTH} levels of nesting are allowed`)
  for (const [name, member] of Object.entries(value)) {
    refuseText(name, path)
    if (name === '__proto__') throw refusedJson([...path, name], 'the name __proto__ is not allowed')
    refuseUnkeepable(member, [...path, name])
  }
}

const refuseText = (text: string, path: readonly string[]): void => {
  if (text.includes('\0')) throw refusedJson(path, 'the character NUL is not allowed')
  if (/\p{Surrogate}/u.test(text)) throw refusedJson(path, 'a surrogate is not part of a pair')
}

const refusedJson = (path: readonly string[], reason: string): MockApiError => {
  const field = path.map((step) => (/^[\w$-]{1,40}$/.test(step) ? step : '*')).join('.')
  return apiError('invalid_request', {
    message: `The JSON body is refused: ${reason}`,
    ...(field !== '' && { details: [{ field, message: reason }] }),
  })
}

const MAX_DEPTH = 64
const MAX_BODY = 1_048_576

/** For seeds: a body as the API would take it. */
export const completeBody = (operation: string, body: object): { body: Fields; problem: string } => {
  const { value, details } = check(inputs[operation]?.body ?? {}, body, { resolve, fill: true })
  return {
    body: value as Fields,
    problem: details.map(({ field, message }) => `${field} ${message}`).join(', '),
  }
}

/** The key, or null when none was sent. */
export const readIdempotencyKey = ({ headers }: Incoming): string | null => {
  const key = headers.get('idempotency-key')
  if (key === null || /^[\x21-\x7e]{1,255}$/.test(key)) return key
  throw apiError('invalid_request', {
    message: 'Idempotency-Key must be sent once, as 1 to 255 visible ASCII characters',
  })
}

/** The version a caller says it has read; `*` matches whatever there is. */
export const readIfMatch = ({ headers }: Incoming): number | null => {
  const text = headers.get('if-match')
  if (text === null || text === '*') return null
  const [, version] = /^(?:W\/)?"(\d{1,9})"$/.exec(text) ?? []
  if (version !== undefined) return Number(version)
  throw apiError('invalid_request', { message: 'If-Match must be an ETag of this object, such as "3"' })
}
