import { mayBe } from './template-schema.ts'
import {
  type Compilation,
  cannotPlace,
  type Input,
  parseText,
  type Reference,
  readInput,
  stringForm,
  wholeReference,
} from './template-text.ts'

export type HeaderTemplate = {
  /** In lower case, as it is sent. */
  readonly name: string
  /** Undefined leaves the header out. */
  readonly value: string | ((input: Input) => string | undefined)
}

/**
 * Names that a template may not set: what frames the message or belongs to one hop (RFC 9110 section 7.6.1),
 * what only the proxy can say truthfully, the credential, and the codings of an answer, which must arrive
 * readable to be scrubbed. `Cookie` is allowed: an operator who writes it means it, and nothing is forwarded
 * from the caller.
 */
const forbidden = new Set([
  'accept-encoding',
  'authorization',
  'cdn-loop',
  'connection',
  'content-encoding',
  'content-length',
  'expect',
  'forwarded',
  'host',
  'http2-settings',
  'keep-alive',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
  'via',
])
const forbiddenPrefixes = ['proxy-', 'x-forwarded-']

/** RFC 9110 token, without the underscore: some servers read `x_key` and `x-key` as the same header. */
const isHeaderName = (name: string): boolean => /^[A-Za-z0-9!#$%&'*+.^`|~-]+$/.test(name)

/** Visible characters, spaces and tabs of Latin-1; no CR, LF, NUL or other control may reach the wire. */
export const isHeaderValue = (value: string): boolean => {
  for (let at = 0; at < value.length; at += 1) {
    const code = value.charCodeAt(at)
    if (code > 0xff || code === 0x7f || (code < 0x20 && code !== 0x09)) return false
  }
  return true
}

/** Says why a name cannot be set, or null when it can; authentication alone may set `Authorization`. */
export const headerNameProblem = (name: string, forAuth = false): string | null => {
  if (!isHeaderName(name)) return 'Use letters, digits and hyphens in a header name; underscores are refused'
  const lower = name.toLowerCase()
  if (lower === 'authorization') return forAuth ? null : 'Authorization is set through auth_type only'
  return forbidden.has(lower) || forbiddenPrefixes.some((prefix) => lower.startsWith(prefix))
    ? `The header ${lower} is set by the proxy or belongs to the connection; remove it`
    : null
}

export const compileHeader = (
  name: string,
  text: string,
  field: string,
  compilation: Compilation,
): HeaderTemplate => {
  const problem = headerNameProblem(name)
  if (problem) compilation.refuse(field, problem)
  if (!isHeaderValue(text)) {
    compilation.refuse(field, 'Remove control characters and characters outside Latin-1 from the value')
  }
  const parts = parseText(text, 'value', field, compilation)
  if (name.toLowerCase() === 'content-type') refuseOtherTypes(text, parts.length > 1, field, compilation)
  const reference = wholeReference(parts)
  if (reference) return referenceHeader(name, reference, field, compilation)
  for (const part of parts) {
    if (typeof part !== 'string') refuseStructure(part, field, compilation)
  }
  const lower = name.toLowerCase()
  if (parts.every((part) => typeof part === 'string')) return { name: lower, value: text }
  const value = (input: Input): string => {
    let written = ''
    for (const part of parts) {
      written +=
        typeof part === 'string'
          ? part
          : checkedValue(stringForm(readInput(input, part), part.name), part.name)
    }
    return written
  }
  return { name: lower, value }
}

/** A header that is left out when its input is absent or null. */
export const referenceHeader = (
  name: string,
  reference: Reference,
  field: string,
  compilation: Compilation,
): HeaderTemplate => {
  refuseStructure(reference, field, compilation)
  const value = (input: Input): string | undefined => {
    const given = readInput(input, reference)
    if (given === undefined || given === null) return undefined
    return checkedValue(stringForm(given, reference.name), reference.name)
  }
  return { name: name.toLowerCase(), value }
}

const checkedValue = (value: string, field: string): string => {
  if (isHeaderValue(value)) return value
  throw cannotPlace(
    field,
    'Remove line breaks, NUL and characters outside Latin-1; a header cannot carry them',
  )
}

const refuseStructure = (reference: Reference, field: string, compilation: Compilation): void => {
  if (mayBe(reference.schemas, 'object', 'array')) {
    compilation.refuse(field, `"${reference.name}" may be an object or array; a header value is a scalar`)
  }
}

/** The body is always JSON, so a content type may only say which JSON it is. */
const refuseOtherTypes = (
  text: string,
  isTemplated: boolean,
  field: string,
  compilation: Compilation,
): void => {
  if (isTemplated || !/^application\/(?:json|[\w.+-]+\+json)\s*(?:;.*)?$/i.test(text)) {
    compilation.refuse(field, 'Bodies are sent as JSON; use application/json or a type that ends in +json')
  }
}
