import type { Action, DryRun } from '../../generated/client.ts'
import { type Fields, isObject } from '../schema.ts'
import type { Judgement } from './judge.ts'

/** What a call would send, with the secret and sensitive inputs masked. */
export const previewOf = (action: Action, { input, decision }: Judgement): DryRun => {
  const head = { object: 'dry_run', action_id: action.id, version: action.version, decision } as const
  if (!decision.allowed) return { ...head, allowed: false, request: null }
  return { ...head, allowed: true, request: requestOf(action, masked(action, input)) }
}

/** The input as an execution keeps it and a dry run shows it. */
export const masked = (action: Action, input: Fields): Fields =>
  Object.fromEntries(
    Object.entries(input).map(([name, value]) => [
      name,
      keywordOf(action, name, 'x-sensitive') === true ? redacted : value,
    ]),
  )

const keywordOf = ({ input_schema: { properties } }: Action, name: string, keyword: string): unknown => {
  const property = isObject(properties) ? properties[name] : undefined
  return isObject(property) ? property[keyword] : undefined
}

const redacted = '[redacted]'

type Sent = NonNullable<DryRun['request']>

/** Templates first; what none of them names goes where `x-in` says, or else where the method has room for it. */
const requestOf = (action: Action, input: Fields): Sent => {
  const { method, target_url, body_template } = action
  const filler = new Filler(input)
  const [place = '', search] = target_url.split('?', 2)
  const start = place.indexOf('/', place.indexOf('://') + 3)
  const path = new URL(place).origin + (start === -1 ? '/' : filler.inUrl(place.slice(start)))
  const pairs = search === undefined ? [] : search.split('&').flatMap((pair) => filler.pair(pair))
  const query = Object.entries(action.query ?? {}).flatMap(([name, text]) =>
    parameter(name, filler.value(text)),
  )
  const headers = Object.entries(action.headers ?? {}).flatMap(([name, text]) =>
    header(name, filler.value(text)),
  )
  const body = body_template === null ? undefined : filler.body(body_template)

  const takesBody = method === 'POST' || method === 'PUT' || method === 'PATCH'
  const placeOf = (name: string): unknown =>
    keywordOf(action, name, 'x-in') ?? (body_template !== null ? undefined : takesBody ? 'body' : 'query')
  const rest = Object.entries(input).filter(([name]) => !filler.used.has(name))
  const placed = (where: string) => rest.filter(([name]) => placeOf(name) === where)
  query.push(...placed('query').flatMap(([name, value]) => parameter(name, value)))
  headers.push(...placed('header').flatMap(([name, value]) => header(name, value)))
  const members = placed('body')
  const sentBody =
    members.length === 0
      ? (body ?? null)
      : { ...(isObject(body) ? body : {}), ...Object.fromEntries(members) }
  if (sentBody !== null && !headers.some(({ name }) => name === 'content-type'))
    headers.push(...header('content-type', 'application/json'))

  const secret = secretOf(action)
  const all = [...pairs, ...query, ...secret.query]
  const url = all.length === 0 ? path : `${path}?${all.join('&')}`
  const key = header(
    action.idempotency?.header ?? '',
    action.idempotency?.header ? '[execution id]' : undefined,
  )
  return { method, url, headers: [...headers, ...secret.headers, ...key], body: sentBody }
}

const secretOf = ({ auth_type, auth_name }: Action): { query: string[]; headers: Sent['headers'] } => {
  const name = auth_name ?? ''
  switch (auth_type) {
    case 'bearer':
      return { query: [], headers: header('authorization', `Bearer ${redacted}`) }
    case 'basic':
      return { query: [], headers: header('authorization', `Basic ${redacted}`) }
    case 'header':
      return { query: [], headers: header(name, redacted) }
    case 'query':
      return { query: parameter(name, redacted), headers: [] }
    default:
      return { query: [], headers: [] }
  }
}

/** Puts inputs into texts, and remembers which found a place. */
class Filler {
  readonly used = new Set<string>()
  readonly #input: Fields

  constructor(input: Fields) {
    this.#input = input
  }

  inUrl(text: string): string {
    return text.replaceAll(IN_URL, (_, name: string) => encodeURIComponent(plain(this.#read(name))))
  }

  /** A parameter that is nothing but an absent input is left out. */
  pair(text: string): string[] {
    const [name = '', value = ''] = text.split('=', 2)
    const lone = nameIn(value, IN_URL)
    return lone === undefined ? [this.inUrl(text)] : parameter(name, this.#read(lone))
  }

  /** The input itself where a text is nothing but its name. */
  value(text: string): unknown {
    const lone = nameIn(text, IN_VALUE)
    if (lone !== undefined) return this.#read(lone)
    return text.replaceAll(IN_VALUE, (_, name: string) => plain(this.#read(name)))
  }

  body(template: unknown): unknown {
    if (typeof template === 'string') return this.value(template)
    if (Array.isArray(template))
      return template.map((item) => this.body(item)).filter((item) => item !== undefined)
    if (!isObject(template)) return template
    const members = Object.entries(template).map(([name, inner]) => [name, this.body(inner)] as const)
    return Object.fromEntries(members.filter(([, value]) => value !== undefined))
  }

  /** By its name, or by a dotted path into an object. */
  #read(name: string): unknown {
    const path = Object.hasOwn(this.#input, name) ? [name] : name.split('.')
    this.used.add(path[0] ?? name)
    return path.reduce<unknown>(
      (value, key) => (isObject(value) && Object.hasOwn(value, key) ? value[key] : undefined),
      this.#input,
    )
  }
}

const IN_URL = /\{\s*([^{}]+?)\s*\}/g
const IN_VALUE = /\{\{\s*([^{}]+?)\s*\}\}/g

/** The name in a text that is one placeholder and nothing else. */
const nameIn = (text: string, placeholder: RegExp): string | undefined =>
  new RegExp(`^(?:${placeholder.source})$`).exec(text)?.[1]

const plain = (value: unknown): string => (value === undefined || value === null ? '' : String(value))

/** A list is a parameter that is repeated. */
const parameter = (name: string, value: unknown): string[] =>
  (value === undefined ? [] : [value].flat()).map(
    (one) => `${encodeURIComponent(name)}=${encodeURIComponent(plain(one))}`,
  )

const header = (name: string, value: unknown): Sent['headers'] =>
  value === undefined ? [] : [{ name: name.toLowerCase(), value: plain(value) }]
