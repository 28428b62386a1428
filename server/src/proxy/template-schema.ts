import { RE2JS } from 're2js'

/**
 * Reads an action's input schema (JSON Schema 2020-12) as far as templates and redaction need it: which
 * properties it declares, of which types, and which of its parts speak about one value. Composition is
 * read generously: a subschema under `anyOf` counts whether or not it is the one that matched, so that
 * nothing marked sensitive depends on how validation went.
 */
export type Schema = Readonly<Record<string, unknown>>

export const isRecord = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

/** Own properties only: a schema or an input may carry names such as `constructor` and mean them. */
export const ownValue = (record: unknown, key: string): unknown =>
  isRecord(record) && Object.hasOwn(record, key) ? record[key] : undefined

/** The schema and every subschema that speaks about the same value, each once, so that cycles end. */
export const applicableSchemas = (schemas: readonly unknown[], root: Schema): Schema[] => {
  const found = new Set<Schema>()
  const visit = (schema: unknown): void => {
    if (!isRecord(schema) || found.has(schema)) return
    found.add(schema)
    for (const keyword of ['$ref', '$dynamicRef']) {
      const reference = ownValue(schema, keyword)
      if (typeof reference === 'string') visit(followReference(reference, root))
    }
    for (const keyword of ['allOf', 'anyOf', 'oneOf']) {
      const branches = ownValue(schema, keyword)
      if (Array.isArray(branches)) branches.forEach(visit)
    }
    for (const keyword of ['if', 'then', 'else']) visit(ownValue(schema, keyword))
    const dependent = ownValue(schema, 'dependentSchemas')
    if (isRecord(dependent)) Object.values(dependent).forEach(visit)
  }
  schemas.forEach(visit)
  return [...found]
}

/** The subschemas that speak about the property `key` of a value that `schemas` speak about. */
export const propertySchemas = (schemas: readonly Schema[], key: string): unknown[] =>
  schemas.flatMap((schema) => {
    const properties = ownValue(schema, 'properties')
    const named = isRecord(properties) && Object.hasOwn(properties, key) ? [properties[key]] : []
    const matched = patternsOf(schema).flatMap(({ matches, subschema }) => (matches(key) ? [subschema] : []))
    const additional = named.length + matched.length === 0 ? [ownValue(schema, 'additionalProperties')] : []
    return [...named, ...matched, ...additional, ownValue(schema, 'unevaluatedProperties')]
  })

/** The subschemas that speak about the item at `index` of an array that `schemas` speak about. */
export const itemSchemas = (schemas: readonly Schema[], index: number): unknown[] =>
  schemas.flatMap((schema) => {
    const prefix = ownValue(schema, 'prefixItems')
    const listed = Array.isArray(prefix) && index < prefix.length
    return [
      listed ? prefix[index] : ownValue(schema, 'items'),
      ownValue(schema, 'contains'),
      ownValue(schema, 'unevaluatedItems'),
    ]
  })

/** The properties that a schema names, with what it says about each; open-ended ones are not declared. */
export const declaredProperties = (schemas: readonly unknown[], root: Schema): Map<string, Schema[]> => {
  const subschemas = new Map<string, unknown[]>()
  for (const schema of applicableSchemas(schemas, root)) {
    for (const [name, property] of Object.entries(ownValue(schema, 'properties') ?? {})) {
      subschemas.set(name, [...(subschemas.get(name) ?? []), property])
    }
  }
  return new Map([...subschemas].map(([name, found]) => [name, applicableSchemas(found, root)]))
}

/** True when the schemas name one of the types outright; an untyped value is judged when it arrives. */
export const mayBe = (schemas: readonly Schema[], ...types: readonly string[]): boolean =>
  schemas.some((schema) => [ownValue(schema, 'type')].flat().some((type) => types.includes(String(type))))

export const keywordOf = (schemas: readonly Schema[], keyword: string): unknown =>
  schemas.map((schema) => ownValue(schema, keyword)).find((value) => value !== undefined)

/**
 * Only references within the document are followed. What a reference that leads nowhere would have said is
 * unknown, so the value counts as sensitive: redaction fails closed.
 */
const followReference = (reference: string, root: Schema): unknown => {
  if (reference === '#') return root
  if (!reference.startsWith('#/')) return { 'x-sensitive': true }
  let at: unknown = root
  for (const step of reference.slice(2).split('/')) {
    const key = decodePointer(step)
    at = Array.isArray(at) ? at[Number(key)] : ownValue(at, key)
  }
  return at === undefined ? { 'x-sensitive': true } : at
}

const decodePointer = (step: string): string => {
  const pointer = step.replaceAll('~1', '/').replaceAll('~0', '~')
  try {
    return decodeURIComponent(pointer)
  } catch {
    return pointer
  }
}

type Pattern = { matches: (key: string) => boolean; subschema: unknown }

/** Compiling a pattern costs far more than using it, so it is kept as long as its schema. */
const compiledPatterns = new WeakMap<Schema, Pattern[]>()

const patternsOf = (schema: Schema): Pattern[] => {
  const known = compiledPatterns.get(schema)
  if (known) return known
  const patterns = Object.entries(ownValue(schema, 'patternProperties') ?? {}).map(
    ([pattern, subschema]): Pattern => ({ matches: matcher(pattern), subschema }),
  )
  compiledPatterns.set(schema, patterns)
  return patterns
}

/** The same linear-time engine as in validation. A pattern it cannot read counts as a match. */
const matcher = (pattern: string): ((text: string) => boolean) => {
  try {
    const compiled = RE2JS.compile(pattern)
    return (text) => compiled.test(text)
  } catch {
    return () => true
  }
}
