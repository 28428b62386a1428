import { ApiError } from '../errors.ts'

/** Reference names of a parameter that this API calls otherwise. */
const aliases = new Map([
  ['per_page', 'limit'],
  ['from', 'created_after'],
  ['to', 'created_before'],
])

/**
 * Reads a query string strictly: each parameter once, well-formed UTF-8 without NUL, and `metadata[key]=value`
 * gathered into one record. The record has no prototype, so no name in it means anything.
 */
export const parseQuery = (text: string | null): Record<string, unknown> => {
  const query: Record<string, unknown> = Object.create(null)
  if (!text) return query
  for (const part of text.split('&')) {
    if (part === '') continue
    const equals = part.indexOf('=')
    const written = decode(equals === -1 ? part : part.slice(0, equals))
    const value = equals === -1 ? '' : decode(part.slice(equals + 1))
    const metadata = /^metadata\[(.{1,100})\]$/s.exec(written)?.[1]
    if (metadata !== undefined) {
      // Records leave this name out, so a filter by it would find everything. No object can have it either.
      if (metadata === '__proto__') refuse(written, 'is not a name that metadata can have')
      if (typeof query.metadata === 'string') refuse('metadata', 'must be sent once')
      const record: Record<string, unknown> = Object.assign(Object.create(null), query.metadata)
      if (Object.hasOwn(record, metadata)) refuse(written, 'must be sent once')
      Object.defineProperty(record, metadata, { value, enumerable: true })
      query.metadata = record
      continue
    }
    const name = aliases.get(written) ?? written
    if (Object.hasOwn(query, name)) refuse(name, 'must be sent once')
    Object.defineProperty(query, name, { value, enumerable: true })
  }
  return query
}

const decode = (text: string): string => {
  try {
    const decoded = decodeURIComponent(text.replaceAll('+', ' '))
    if (!decoded.includes('\0')) return decoded
  } catch {
    // Not UTF-8: told below, like NUL.
  }
  throw new ApiError('invalid_request', 'The query string must be percent-encoded UTF-8 without NUL')
}

const refuse = (field: string, message: string): never => {
  throw new ApiError('validation_failed', 'query parameters are invalid', {
    details: [{ field: field.slice(0, 100), message }],
  })
}
