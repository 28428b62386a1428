/**
 * The keywords of JSON Schema 2020-12 that hold schemas, and where those schemas apply. Everything that walks
 * a schema (checks, bounds, constraint paths, what is shown to a token holder) walks it through this table.
 */
export type JsonSchema = { readonly [keyword: string]: unknown }

/** On the same value, on one member, on every member in turn, or nowhere until a `$ref` names it. */
export type Place = 'same' | 'member' | 'every' | 'definition'

type Holder = { readonly holds: 'one' | 'list' | 'map'; readonly place: Place }

export const holders: Readonly<Record<string, Holder>> = {
  allOf: { holds: 'list', place: 'same' },
  anyOf: { holds: 'list', place: 'same' },
  oneOf: { holds: 'list', place: 'same' },
  // biome-ignore lint/suspicious/noThenProperty: a keyword of JSON Schema, never awaited
  then: { holds: 'one', place: 'same' },
  not: { holds: 'one', place: 'same' },
  if: { holds: 'one', place: 'same' },
  else: { holds: 'one', place: 'same' },
  dependentSchemas: { holds: 'map', place: 'same' },
  properties: { holds: 'map', place: 'member' },
  prefixItems: { holds: 'list', place: 'member' },
  items: { holds: 'one', place: 'every' },
  contains: { holds: 'one', place: 'every' },
  unevaluatedItems: { holds: 'one', place: 'every' },
  additionalProperties: { holds: 'one', place: 'every' },
  unevaluatedProperties: { holds: 'one', place: 'every' },
  propertyNames: { holds: 'one', place: 'every' },
  patternProperties: { holds: 'map', place: 'every' },
  $defs: { holds: 'map', place: 'definition' },
  definitions: { holds: 'map', place: 'definition' },
}

export type Subschema = {
  readonly keyword: string
  /** The keys that lead from the schema to the subschema. */
  readonly keys: readonly string[]
  readonly place: Place
  readonly schema: unknown
}

/** The schemas directly inside a schema. Those of a malformed keyword are left out. */
export const subschemas = (schema: JsonSchema): Subschema[] =>
  Object.entries(schema).flatMap(([keyword, held]) => {
    const holder = Object.hasOwn(holders, keyword) ? holders[keyword] : undefined
    if (holder === undefined) return []
    const { holds, place } = holder
    if (holds === 'one') return [{ keyword, keys: [keyword], place, schema: held }]
    if (Array.isArray(held) !== (holds === 'list') || !isObject(held)) return []
    return Object.entries(held).map(([key, schema]) => ({ keyword, keys: [keyword, key], place, schema }))
  })

/** The same schema with every schema directly inside it replaced, or dropped where `change` gives undefined. */
export const mapSubschemas = (
  schema: JsonSchema,
  change: (inner: unknown, keyword: string) => unknown,
): JsonSchema =>
  Object.fromEntries(
    Object.entries(schema).flatMap(([keyword, held]) => {
      const holds = Object.hasOwn(holders, keyword) ? holders[keyword]?.holds : undefined
      if (holds === undefined) return [[keyword, held]]
      if (holds === 'one') {
        const changed = change(held, keyword)
        return changed === undefined ? [] : [[keyword, changed]]
      }
      if (Array.isArray(held)) return [[keyword, held.map((inner) => change(inner, keyword))]]
      if (!isObject(held)) return [[keyword, held]]
      return [[keyword, Object.fromEntries(Object.entries(held).map(([k, v]) => [k, change(v, keyword)]))]]
    }),
  )

export const isObject = (value: unknown): value is JsonSchema => value !== null && typeof value === 'object'

export const isSchemaObject = (value: unknown): value is JsonSchema =>
  isObject(value) && !Array.isArray(value)

export const pointer = (keys: readonly string[]): string =>
  keys.map((key) => `/${key.replaceAll('~', '~0').replaceAll('/', '~1')}`).join('')

/**
 * Every schema a `$ref` may name, by the text of the reference: `#`, `#/$defs/address`, `#anchor`. A pointer to
 * something that is no schema, such as `#/required`, is not in it and so is never followed.
 */
export const referable = (root: JsonSchema): Map<string, unknown> => {
  const found = new Map<string, unknown>()
  const visit = (schema: unknown, keys: readonly string[]) => {
    found.set(`#${pointer(keys)}`, schema)
    if (!isSchemaObject(schema)) return
    if (typeof schema.$anchor === 'string') found.set(`#${schema.$anchor}`, schema)
    for (const inner of subschemas(schema)) visit(inner.schema, [...keys, ...inner.keys])
  }
  visit(root, [])
  return found
}

/** A reference as `referable` spells it: percent-encoding undone, as in a URI fragment. */
export const referenceName = (ref: string): string => {
  try {
    return decodeURIComponent(ref)
  } catch {
    return ref
  }
}

/**
 * The schemas that apply to the same value as `schema` does, itself included: through `$ref`, `allOf`, `anyOf`
 * and the like. Each is given once, so repeated branches cost nothing and cycles end.
 */
export const sameValue = (schema: unknown, references: ReadonlyMap<string, unknown>): Set<unknown> => {
  const found = new Set<unknown>()
  const visit = (next: unknown) => {
    if (found.has(next)) return
    found.add(next)
    if (!isSchemaObject(next)) return
    if (typeof next.$ref === 'string') visit(references.get(referenceName(next.$ref)))
    // What `not` and `if` describe is not what the value is.
    for (const inner of subschemas(next)) {
      if (inner.place === 'same' && inner.keyword !== 'not' && inner.keyword !== 'if') visit(inner.schema)
    }
  }
  visit(schema)
  return found
}
