import { mayBe } from './template-schema.ts'
import {
  type Compilation,
  cannotPlace,
  type Input,
  type Part,
  parseText,
  type Reference,
  readInput,
  stringForm,
  wholeReference,
} from './template-text.ts'

/** A piece of a path or query: ready text, or what writes it from the input. */
export type Piece = string | ((input: Input) => string)
export type QueryParameter = { readonly name: string; readonly write: Piece }
export type UrlTemplate = {
  readonly origin: string
  readonly path: readonly Piece[]
  readonly query: readonly QueryParameter[]
}

/**
 * The origin and every static part of the path are fixed here, when the action is saved: an input value only
 * ever becomes the inside of one segment or of one query value.
 */
export const compileUrl = (targetUrl: string, compilation: Compilation): UrlTemplate => {
  const refuse = (message: string) => compilation.refuse('target_url', message)
  const nothing: UrlTemplate = { origin: '', path: [], query: [] }

  const [, base, rest = ''] = /^(https?:\/\/[^/?#]*)(.*)$/is.exec(targetUrl) ?? []
  if (base === undefined) {
    refuse('Write an absolute URL that starts with https:// or http://')
    return nothing
  }
  if (base.includes('{') || base.includes('}')) {
    refuse('A placeholder may stand in the path or the query, never in the host, port or user name')
    return nothing
  }
  if (base.includes('@')) refuse('Remove the user name and password from the URL; use auth_type instead')
  if (rest.includes('#')) refuse('Remove the fragment (#…); it is never sent')

  const parts = parseText(rest, 'url', 'target_url', compilation)
  const [pathParts, queryParts] = splitAt(parts, '?')
  const written = parts.map((part) => (typeof part === 'string' ? part : 'x')).join('')
  const url = URL.canParse(base + written) ? new URL(base + written) : null
  if (!url) {
    refuse('Write a valid URL')
    return nothing
  }
  // What a URL parser would rewrite (dot segments, backslashes, spaces, tabs) would not be what was reviewed.
  const sent = url.pathname + url.search
  const expected = written.startsWith('/') ? written : `/${written}`
  if (hasBlankOrBackslash(targetUrl) || (sent !== expected && `${sent}?` !== expected)) {
    refuse(`The path and query would be sent as ${sent}; write them in that form`)
  }
  if (parts.some((part) => typeof part === 'string' && /%(?![0-9a-f]{2})/i.test(part))) {
    refuse('Write a percent sign in a URL as %25')
  }
  refuseStructures(parts, 'target_url', compilation)

  return {
    origin: url.origin,
    path: compilePath(pathParts, compilation),
    query: queryParts ? splitAll(queryParts, '&').flatMap((pair) => compilePair(pair, compilation)) : [],
  }
}

/** A query parameter of the `query` record: a list under a lone placeholder becomes a repeated parameter. */
export const compileParameter = (
  name: string,
  text: string,
  field: string,
  compilation: Compilation,
): QueryParameter => {
  const parts = parseText(text, 'value', field, compilation)
  const reference = wholeReference(parts)
  if (reference) return referenceParameter(name, reference, field, compilation)
  refuseStructures(parts, field, compilation)
  if (!name.isWellFormed() || !text.isWellFormed()) {
    compilation.refuse(field, 'Remove the half of a surrogate pair')
    return { name, write: '' }
  }
  const encoded = parts.map((part) => (typeof part === 'string' ? encode(part) : part))
  return { name, write: valueWriter(encode(name), encoded) }
}

/** A query parameter that is left out when its input is absent or null. */
export const referenceParameter = (
  name: string,
  reference: Reference,
  field: string,
  compilation: Compilation,
): QueryParameter => {
  if (mayBe(reference.schemas, 'object')) {
    compilation.refuse(field, `"${reference.name}" may be an object; a query value is a scalar or a list`)
  }
  const start = `${encode(name.toWellFormed())}=`
  const item = (value: unknown) => start + encodeValue(stringForm(value, reference.name), reference.name)
  const write = (input: Input): string => {
    const value = readInput(input, reference)
    if (value === undefined || value === null) return ''
    return Array.isArray(value) ? value.map(item).join('&') : item(value)
  }
  return { name, write }
}

export const buildPath = (path: readonly Piece[], query: readonly Piece[], input: Input): string => {
  let built = ''
  for (const piece of path) built += typeof piece === 'string' ? piece : piece(input)
  let separator = '?'
  for (const piece of query) {
    const text = typeof piece === 'string' ? piece : piece(input)
    if (text === '') continue
    built += separator + text
    separator = '&'
  }
  return built
}

/** Encodes everything but the unreserved characters of RFC 3986 section 2.3. */
export const encode = (text: string): string =>
  /^[\w.~-]*$/.test(text)
    ? text
    : encodeURIComponent(text).replace(
        /[!'()*]/g,
        (character) => `%${character.charCodeAt(0).toString(16).toUpperCase()}`,
      )

/**
 * CR, LF and NUL are refused although they could be encoded: upstreams that decode a URL into a log line, a
 * header or a C string are where they do harm, and no honest value needs them there.
 */
const encodeValue = (text: string, name: string): string => {
  if (!text.isWellFormed()) throw cannotPlace(name, 'Remove the half of a surrogate pair')
  if (hasLineBreakOrNul(text)) throw cannotPlace(name, 'Remove line breaks and NUL; a URL cannot carry them')
  return encode(text)
}

export const hasLineBreakOrNul = (text: string): boolean =>
  text.includes('\n') || text.includes('\r') || text.includes('\0')

const compilePath = (parts: readonly Part[], compilation: Compilation): Piece[] => {
  // Neighbouring ready texts become one, so that a path costs as many steps as it has placeholders.
  const pieces: Piece[] = []
  let ready = ''
  for (const [index, segment] of splitAll(parts, '/').entries()) {
    if (index > 0) ready += '/'
    const piece = compileSegment(segment, compilation)
    if (typeof piece === 'string') {
      ready += piece
      continue
    }
    pieces.push(ready, piece)
    ready = ''
  }
  pieces.push(ready)
  return pieces.length === 1 && ready === '' ? ['/'] : pieces
}

const compileSegment = (parts: readonly Part[], compilation: Compilation): Piece => {
  const references = parts.filter((part) => typeof part !== 'string')
  const [reference] = references
  if (!reference) return parts.join('')
  // `%2e` is a dot to a URL parser, so beside a placeholder it could become a dot segment.
  if (parts.some((part) => typeof part === 'string' && /%2e/i.test(part))) {
    compilation.refuse('target_url', 'Write a dot beside a placeholder as ".", not as %2e')
  }
  return (input) => {
    let segment = ''
    for (const part of parts) segment += typeof part === 'string' ? part : segmentText(part, input)
    if (segment === '.' || segment === '..') {
      throw cannotPlace(reference.name, 'A path segment cannot be "." or ".."')
    }
    return segment
  }
}

const segmentText = (reference: Reference, input: Input): string => {
  const text = stringForm(readInput(input, reference), reference.name)
  if (text === '') throw cannotPlace(reference.name, 'Send a value; a path segment cannot be empty')
  return encodeValue(text, reference.name)
}

/** `name=value` in the URL: the static parts stay as they were written, the name is never templated. */
const compilePair = (parts: readonly Part[], compilation: Compilation): QueryParameter[] => {
  if (parts.length === 0) return []
  const [nameParts, valueParts] = splitAt(parts, '=')
  if (nameParts.some((part) => typeof part !== 'string')) {
    compilation.refuse('target_url', 'A placeholder may be a query value, never a query name')
    return []
  }
  const written = nameParts.join('')
  const name = [...new URLSearchParams(written).keys()][0] ?? ''
  if (!valueParts) return [{ name, write: written }]
  const reference = wholeReference(valueParts)
  if (reference) {
    const write = (input: Input): string => {
      const value = readInput(input, reference)
      if (value === undefined || value === null) return ''
      return `${written}=${encodeValue(stringForm(value, reference.name), reference.name)}`
    }
    return [{ name, write }]
  }
  return [{ name, write: valueWriter(written, valueParts) }]
}

/** Writes `name=value` from literals that are encoded already and references that are not. */
const valueWriter = (name: string, parts: readonly Part[]): Piece => {
  if (parts.every((part) => typeof part === 'string')) return `${name}=${parts.join('')}`
  return (input) => {
    let value = ''
    for (const part of parts) {
      value +=
        typeof part === 'string'
          ? part
          : encodeValue(stringForm(readInput(input, part), part.name), part.name)
    }
    return `${name}=${value}`
  }
}

const refuseStructures = (parts: readonly Part[], field: string, compilation: Compilation): void => {
  for (const part of parts) {
    if (typeof part !== 'string' && mayBe(part.schemas, 'object', 'array')) {
      compilation.refuse(field, `"${part.name}" may be an object or array; only a scalar can stand here`)
    }
  }
}

const hasBlankOrBackslash = (text: string): boolean => /[\s\\]/.test(text)

/** Splits parts at the first separator in a literal; the second half is null when there is none. */
const splitAt = (parts: readonly Part[], separator: string): [Part[], Part[] | null] => {
  for (const [index, part] of parts.entries()) {
    if (typeof part !== 'string') continue
    const at = part.indexOf(separator)
    if (at === -1) continue
    return [
      [...parts.slice(0, index), part.slice(0, at)].filter((kept) => kept !== ''),
      [part.slice(at + separator.length), ...parts.slice(index + 1)].filter((kept) => kept !== ''),
    ]
  }
  return [[...parts], null]
}

const splitAll = (parts: readonly Part[], separator: string): Part[][] => {
  let group: Part[] = []
  const groups = [group]
  for (const part of parts) {
    if (typeof part !== 'string') {
      group.push(part)
      continue
    }
    for (const [index, piece] of part.split(separator).entries()) {
      if (index > 0) {
        group = []
        groups.push(group)
      }
      if (piece !== '') group.push(piece)
    }
  }
  return groups
}
