import { isExact } from './answer-text.ts'
import { type Header, redacted } from './redact.ts'
import type { JsonSchema } from './schema-keywords.ts'
import { isHeaderValue } from './template-headers.ts'
import { isRecord, ownValue } from './template-schema.ts'

export type OutputPolicy = {
  /** Dotted paths to keep; null keeps everything. Arrays are entered: `data.items.name`. */
  fields: readonly string[] | null
  /** Dotted paths whose values become `[redacted]`, also where a name of the answer has the dots in it. */
  redact: readonly string[] | null
}

/**
 * Applies a response policy to a parsed answer. Selection fails closed: with `fields` set, whatever is not an
 * object or array of objects along a path is dropped, and an answer that is a bare scalar becomes null.
 */
export const shapeOutput = (output: unknown, policy: OutputPolicy): unknown =>
  createOutputShaper(policy)(output)

/** The same, made once per action version. */
export const createOutputShaper = ({ fields, redact }: OutputPolicy): ((output: unknown) => unknown) => {
  const kept = fields && pathTree(fields)
  const hidden = redact && redact.length > 0 ? pathTree(redact) : null
  return (output) => {
    // Hidden first, so that a path to hide holds whatever is selected around it.
    const safe = hidden ? hide(output, hidden) : output
    return kept ? (select(safe, kept) ?? null) : safe
  }
}

/**
 * Picks the response headers that may reach a caller: those of the action's list, or a few harmless ones, and always
 * the content type and Retry-After, without which a caller comes back too soon. What would speak for our origin,
 * our limits or our connection is never passed on, even when it is listed, nor is what the upstream's own
 * `Connection` header names. Names come in lower case. Made once per action version.
 */
export const createHeaderPicker = (allowed: readonly string[] | null): HeaderPicker => {
  const listed = [
    'content-type',
    'retry-after',
    ...(allowed ?? defaultHeaders).map((name) => name.toLowerCase()),
  ]
  const wanted = new Set(listed.filter((name) => !isNeverPassed(name)))
  return (headers) => {
    const picked = headers.filter(([name, value]) => wanted.has(name) && isHeaderValue(value))
    const ofConnection = headers
      .filter(([name]) => name === 'connection')
      .flatMap(([, value]) => value.split(',').map((named) => named.trim().toLowerCase()))
    return ofConnection.length === 0 ? picked : picked.filter(([name]) => !ofConnection.includes(name))
  }
}

export type HeaderPicker = (headers: readonly Header[]) => readonly Header[]

const defaultHeaders = ['content-language', 'content-type', 'etag', 'last-modified', 'retry-after']

const neverPassed = new Set([
  'accept-ch',
  'age',
  'alt-svc',
  'authentication-info',
  'clear-site-data',
  'connection',
  'content-encoding',
  'content-length',
  'date',
  'deprecation',
  'document-policy',
  'expect-ct',
  'host',
  'idempotent-replayed',
  'keep-alive',
  'location',
  'nel',
  'origin-agent-cluster',
  'permissions-policy',
  'public-key-pins',
  'refresh',
  'report-to',
  'reporting-endpoints',
  'server',
  'service-worker-allowed',
  'set-cookie',
  'set-cookie2',
  'sourcemap',
  'strict-transport-security',
  'sunset',
  'te',
  'timing-allow-origin',
  'trailer',
  'transfer-encoding',
  'upgrade',
  'via',
  'www-authenticate',
  'x-content-type-options',
  'x-execution-id',
  'x-frame-options',
  'x-powered-by',
  'x-request-id',
  'x-sourcemap',
  'x-upstream-status',
  'x-xss-protection',
])
const neverPassedPrefixes = [
  'access-control-',
  'content-security-policy',
  'cross-origin-',
  'proxy-',
  'ratelimit',
  'x-narrowapi-',
  'x-ratelimit-',
]

const isNeverPassed = (name: string): boolean =>
  neverPassed.has(name) || neverPassedPrefixes.some((prefix) => name.startsWith(prefix))

/**
 * The schema of what a policy leaves of answers that fit `schema`, for callers: nothing is promised that is cut or
 * hidden. Where a path leads through more than plain objects and arrays, anything is possible.
 */
export const shapeOutputSchema = (schema: JsonSchema, { fields, redact }: OutputPolicy): JsonSchema => {
  const hidden = redact && redact.length > 0 ? hideInSchema(schema, pathTree(redact)) : schema
  const shaped = fields ? selectInSchema(hidden, pathTree(fields)) : hidden
  const { $defs, definitions } = schema
  return { ...shaped, ...($defs ? { $defs } : {}), ...(definitions ? { definitions } : {}) }
}

const selectInSchema = (schema: unknown, tree: PathTree): JsonSchema => {
  if (!isPlain(schema)) return {}
  if (schema.type === 'array') return { type: 'array', items: selectInSchema(schema.items, tree) }
  const { properties, required } = membersOf(schema)
  const kept = [...tree].map(([key, below]): [string, unknown] => {
    const member = ownValue(properties, key) ?? {}
    return [key, below.size === 0 ? member : selectInSchema(member, below)]
  })
  // What lies deeper is dropped when it is no object, so only whole members are certain.
  const certain = required.filter((key) => tree.get(key)?.size === 0)
  return {
    type: 'object',
    properties: Object.fromEntries(kept),
    required: certain,
    additionalProperties: false,
  }
}

const hideInSchema = (schema: unknown, tree: PathTree): JsonSchema => {
  if (!isPlain(schema)) return {}
  // What is hidden is alike everywhere.
  if (schema.type === 'array')
    return { ...schema, uniqueItems: false, items: hideInSchema(schema.items, tree) }
  const { properties } = membersOf(schema)
  const names = new Set([...tree.keys(), ...Object.keys(properties)])
  const changed = [...names].flatMap((name): [string, unknown][] => {
    const below = hiddenAt(tree, name)
    if (!below) return []
    const member = ownValue(properties, name) ?? {}
    return [[name, below.size === 0 ? { const: redacted } : hideInSchema(member, below)]]
  })
  const { additionalProperties } = schema
  return {
    ...schema,
    properties: { ...properties, ...Object.fromEntries(changed) },
    // Names with dots that are hidden among them cannot be listed.
    ...(isRecord(additionalProperties) && { additionalProperties: true }),
  }
}

/** An object or array and nothing else, described in its own place. */
const isPlain = (schema: unknown): schema is JsonSchema =>
  isRecord(schema) &&
  (schema.type === 'object' || schema.type === 'array') &&
  !Object.keys(schema).some((keyword) => elsewhere.has(keyword))

const elsewhere = new Set(
  `$ref allOf anyOf oneOf not if then else dependentSchemas dependentRequired patternProperties prefixItems
  contains unevaluatedProperties unevaluatedItems enum const`.split(/\s+/),
)

const membersOf = ({ properties, required }: JsonSchema) => ({
  properties: isRecord(properties) ? properties : {},
  required: Array.isArray(required) ? required.map(String) : [],
})

/** Paths as a tree: `['a.b', 'a.c']` becomes a → (b, c). An empty node is the end of a path. */
type PathTree = Map<string, PathTree>

const pathTree = (paths: readonly string[]): PathTree => {
  const root: PathTree = new Map()
  const ends = new Set<PathTree>()
  for (const path of paths) {
    let node = root
    for (const key of path.split('.')) {
      // A path that ends here already speaks for everything below it.
      if (ends.has(node)) break
      const next: PathTree = node.get(key) ?? new Map()
      node.set(key, next)
      node = next
    }
    node.clear()
    ends.add(node)
  }
  return root
}

/** Undefined where nothing of the value was selected by its kind. */
const select = (value: unknown, tree: PathTree): unknown => {
  if (Array.isArray(value)) {
    return value.map((item) => select(item, tree)).filter((item) => item !== undefined)
  }
  if (!isRecord(value) || isExact(value)) return undefined
  return Object.fromEntries(
    Object.entries(value).flatMap(([key, member]) => {
      const below = tree.get(key)
      if (!below) return []
      const kept = below.size === 0 ? member : select(member, below)
      return kept === undefined ? [] : [[key, kept]]
    }),
  )
}

const hide = (value: unknown, tree: PathTree): unknown => {
  if (Array.isArray(value)) return value.map((item) => hide(item, tree))
  if (!isRecord(value) || isExact(value)) return value
  return Object.fromEntries(
    Object.entries(value).map(([key, member]) => {
      const below = hiddenAt(tree, key)
      if (!below) return [key, member]
      return [key, below.size === 0 ? redacted : hide(member, below)]
    }),
  )
}

/**
 * What is hidden at a member: a name that has dots in it stands where a path of these names would lead, because
 * nothing else could name it, and what was meant must not be shown.
 */
const hiddenAt = (tree: PathTree, name: string): PathTree | undefined => {
  if (!name.includes('.')) return tree.get(name)
  let node = tree
  for (const key of name.split('.')) {
    const next = node.get(key)
    if (!next || next.size === 0) return next
    node = next
  }
  return node
}
