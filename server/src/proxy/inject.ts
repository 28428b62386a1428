import { ApiError } from '../errors.ts'
import type { BuiltRequest, CompiledTemplate } from './template.ts'
import { headerNameProblem, isHeaderValue } from './template-headers.ts'
import { encode, hasLineBreakOrNul } from './template-url.ts'

export type Auth =
  | { type: 'none' }
  | { type: 'bearer' }
  /** Without a name the secret is `user:password`; with one, the name is the user and the secret the password. */
  | { type: 'basic'; name: string | null }
  | { type: 'header'; name: string }
  | { type: 'query'; name: string }

/**
 * For saving an action: the place of the secret is well formed and nothing else can be set there, by the
 * template or by a caller's input.
 */
export const checkAuth = (
  auth: Auth,
  template: Pick<CompiledTemplate, 'headerNames' | 'queryNames'>,
): void => {
  const problem = authProblem(auth, template)
  if (problem) {
    throw new ApiError('validation_failed', 'Correct the authentication of this action', {
      details: [{ field: 'auth_name', message: problem }],
    })
  }
}

/**
 * Puts the secret into a request. The injected value wins over anything already there under the same name,
 * in any case and with underscores for hyphens. A secret that the wire cannot carry is the operator's to
 * replace, not the caller's to correct, so it fails as a refused credential would, before anything is sent.
 */
export const inject = (request: BuiltRequest, auth: Auth, secret: string): BuiltRequest => {
  switch (auth.type) {
    case 'none':
      return request
    case 'bearer':
      return withHeader(request, 'authorization', `Bearer ${sendable(secret)}`)
    case 'basic':
      return withHeader(request, 'authorization', `Basic ${base64(basicPair(auth, secret))}`)
    case 'header':
      return withHeader(request, auth.name.toLowerCase(), sendable(secret))
    case 'query':
      return withQuery(request, auth.name, secret)
    default:
      return auth satisfies never
  }
}

/** What must never come back from the upstream when `secret` was sent by `auth`; for `createScrubber`. */
export const stringsToScrub = (auth: Auth, secret: string): string[] => {
  if (auth.type !== 'basic') return [secret]
  const pair = auth.name === null ? secret : `${auth.name}:${secret}`
  return [...new Set([secret, pair, base64(pair), pair.slice(pair.indexOf(':') + 1)])]
}

const authProblem = (
  auth: Auth,
  { headerNames, queryNames }: Pick<CompiledTemplate, 'headerNames' | 'queryNames'>,
): string | null => {
  switch (auth.type) {
    case 'none':
    case 'bearer':
      return null
    case 'basic':
      // RFC 7617 section 2: the user ends at the first colon, and neither part has control characters.
      if (auth.name === null) return null
      return auth.name.includes(':') || hasControl(auth.name)
        ? 'A user name cannot contain a colon or control characters'
        : null
    case 'header': {
      const taken = [...headerNames].some((name) => canonical(name) === canonical(auth.name))
      return headerNameProblem(auth.name, true) ?? (taken ? 'The request sets this header already' : null)
    }
    case 'query':
      if (auth.name === '' || !auth.name.isWellFormed() || hasControl(auth.name)) {
        return 'Give the query parameter a name'
      }
      return queryNames.has(auth.name) ? 'The request sets this query parameter already' : null
    default:
      return auth satisfies never
  }
}

const withHeader = (request: BuiltRequest, name: string, value: string): BuiltRequest => {
  const headers: string[] = []
  for (let at = 0; at + 1 < request.headers.length; at += 2) {
    const other = request.headers[at] ?? ''
    if (other.length !== name.length || canonical(other) !== canonical(name)) {
      headers.push(other, request.headers[at + 1] ?? '')
    }
  }
  headers.push(name, value)
  return { ...request, headers }
}

const withQuery = (request: BuiltRequest, name: string, secret: string): BuiltRequest => {
  if (secret === '' || !secret.isWellFormed() || hasLineBreakOrNul(secret)) throw unsendable('a URL')
  const mark = request.path.indexOf('?')
  const path = mark === -1 ? request.path : request.path.slice(0, mark)
  const query = mark === -1 ? '' : request.path.slice(mark + 1)
  const others = query.split('&').filter((pair) => pair !== '' && parameterName(pair) !== name)
  return { ...request, path: `${path}?${[...others, `${encode(name)}=${encode(secret)}`].join('&')}` }
}

const parameterName = (pair: string): string => [...new URLSearchParams(pair).keys()][0] ?? ''

const basicPair = (auth: { name: string | null }, secret: string): string => {
  if (hasControl(secret) || !secret.isWellFormed()) throw unsendable('Basic authentication')
  if (auth.name !== null) return `${auth.name}:${secret}`
  if (!secret.includes(':')) {
    throw new ApiError(
      'upstream_auth_failed',
      'The stored secret is not user:password; replace it, or set auth_name to the user',
    )
  }
  return secret
}

const sendable = (secret: string): string => {
  if (secret === '' || !isHeaderValue(secret)) throw unsendable('a header')
  return secret
}

/** Never names the secret's text or where in it the trouble lies. */
const unsendable = (place: string): ApiError =>
  new ApiError('upstream_auth_failed', `The stored secret cannot be sent in ${place}; replace it`)

const base64 = (text: string): string => Buffer.from(text, 'utf8').toString('base64')

const canonical = (name: string): string => name.toLowerCase().replaceAll('_', '-')

const hasControl = (text: string): boolean => {
  for (let at = 0; at < text.length; at += 1) {
    const code = text.charCodeAt(at)
    if (code < 0x20 || code === 0x7f) return true
  }
  return false
}
