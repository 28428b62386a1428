import { isSchemaObject, type JsonSchema, referable, referenceName, sameValue } from './schema-keywords.ts'
import { compilePattern } from './schema-pattern.ts'

/** One place in the values a checked schema describes, as the schemas that may apply there. */
export type Location = {
  readonly schemas: readonly unknown[]
  readonly references: ReadonlyMap<string, unknown>
}

export const rootLocation = (schema: JsonSchema): Location => ({
  schemas: [schema],
  references: referable(schema),
})

/** Null where the schema does not speak of such a member: a name that only an open object lets through. */
export const locationOf = (from: Location, keys: readonly string[]): Location | null => {
  let at: Location | null = from
  for (const key of keys) at = at && within(at, (schema) => memberSchemas(schema, key))
  return at
}

export const itemsLocation = (from: Location): Location | null =>
  within(from, (schema) => [...prefixItems(schema), ...('items' in schema ? [schema.items] : [])])

export type JsonType = 'string' | 'number' | 'boolean' | 'array' | 'object' | 'null'

/** The types a value there may have; `integer` counts as number. Schemas that leave the type open do not count. */
export const typesAt = ({ schemas, references }: Location): Set<JsonType> => {
  const telling = schemas
    .map((schema) => typesOf(schema, references))
    .filter((types) => types.size < allTypes.length)
  return telling.length === 0 ? new Set(allTypes) : new Set(telling.flatMap((types) => [...types]))
}

export const formatsAt = ({ schemas, references }: Location): Set<unknown> =>
  new Set(
    schemas
      .flatMap((schema) => [...sameValue(schema, references)])
      .flatMap((schema) => (isSchemaObject(schema) ? [schema.format] : [])),
  )

export const typeOf = (value: unknown): JsonType | undefined => {
  if (value === null) return 'null'
  if (Array.isArray(value)) return 'array'
  return allTypes.find((type) => type === typeof value)
}

const allTypes: readonly JsonType[] = ['string', 'number', 'boolean', 'array', 'object', 'null']

const within = (from: Location, inner: (schema: JsonSchema) => readonly unknown[]): Location | null => {
  const schemas = from.schemas
    .flatMap((schema) => [...sameValue(schema, from.references)])
    .flatMap((schema) => (isSchemaObject(schema) ? inner(schema) : []))
    .filter((schema) => schema !== false)
  return schemas.length === 0 ? null : { schemas: [...new Set(schemas)], references: from.references }
}

const memberSchemas = (schema: JsonSchema, key: string): readonly unknown[] => {
  const { properties, patternProperties, additionalProperties, items } = schema
  const found: unknown[] = []
  if (isSchemaObject(properties) && Object.hasOwn(properties, key)) found.push(properties[key])
  for (const [pattern, inner] of Object.entries(isSchemaObject(patternProperties) ? patternProperties : {})) {
    if (compilePattern(pattern).test(key)) found.push(inner)
  }
  // `true` lets any name through and so names none: a misspelt path would never meet a value.
  if (found.length === 0 && isSchemaObject(additionalProperties)) found.push(additionalProperties)
  if (/^(?:0|[1-9]\d{0,8})$/.test(key)) {
    const prefix = prefixItems(schema)
    const index = Number(key)
    if (index < prefix.length) found.push(prefix[index])
    else if (items !== undefined) found.push(items)
  }
  return found
}

const prefixItems = (schema: JsonSchema): readonly unknown[] =>
  Array.isArray(schema.prefixItems) ? schema.prefixItems : []

/** `checkSchema` has made sure that this ends: no schema refers to itself for the same value. */
const typesOf = (schema: unknown, references: ReadonlyMap<string, unknown>): Set<JsonType> => {
  if (schema === false) return new Set()
  let types = new Set(allTypes)
  if (!isSchemaObject(schema)) return types
  const { type, enum: accepted, const: only, $ref } = schema
  if (type !== undefined) types = common(types, namedTypes(type))
  if (Array.isArray(accepted)) types = common(types, typesOfValues(accepted))
  if (only !== undefined) types = common(types, typesOfValues([only]))
  if (typeof $ref === 'string')
    types = common(types, typesOf(references.get(referenceName($ref)), references))
  for (const inner of listOf(schema.allOf)) types = common(types, typesOf(inner, references))
  for (const choice of [schema.anyOf, schema.oneOf]) {
    const branches = listOf(choice).flatMap((branch) => [...typesOf(branch, references)])
    if (Array.isArray(choice)) types = common(types, new Set(branches))
  }
  return types
}

export const common = <T>(a: ReadonlySet<T>, b: ReadonlySet<T>): Set<T> =>
  new Set([...a].filter((one) => b.has(one)))

const namedTypes = (type: unknown) =>
  new Set(
    allTypes.filter((one) => [type].flat().some((name) => (name === 'integer' ? 'number' : name) === one)),
  )

const typesOfValues = (values: readonly unknown[]) => new Set(values.flatMap((value) => typeOf(value) ?? []))

const listOf = (value: unknown): readonly unknown[] => (Array.isArray(value) ? value : [])
