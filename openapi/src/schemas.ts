import { z } from 'zod'
import { mapValues } from './map-values.ts'
import { type Json, type Schema, schemaRef } from './openapi.ts'

/** Which side of a schema is meant: what a caller may send, or what the server answers. */
export type Io = 'input' | 'output'

export type Schemas = Record<string, Schema>

/**
 * Turns Zod schemas into JSON Schemas whose named parts are shared components. A name that means the same on
 * both sides is one component; where the sides differ (defaults make a field optional to send but sure to
 * come back) the sent one is `NameInput`. That is only known when every schema was seen, so references carry
 * their side until `settle` has given the names.
 */
export const createSchemas = () => {
  const seen: Record<Io, Map<string, Schema>> = { input: new Map(), output: new Map() }
  return {
    toSchema(schema: z.ZodType, io: Io): Schema {
      const { $schema: _, $defs = {}, ...root } = z.toJSONSchema(schema, { io, override: keepMeta })
      for (const [id, def] of Object.entries($defs)) seen[io].set(id, toOpenApi(def as Schema, io))
      return toOpenApi(root as Schema, io)
    },
    /** The components, and the same value with every reference by its final name. */
    settle<T>(value: T): { schemas: Schemas; value: T } {
      const differing = findDiffering(seen.input, seen.output)
      const rename = (text: string): string =>
        text.replaceAll(MARKED_REF, (_, id: string, io: string) =>
          schemaRef(io === 'input' && differing.has(id) ? `${id}Input` : id),
        )
      const renamed = <V>(from: V): V => JSON.parse(rename(JSON.stringify(from)))
      const all = [
        ...[...seen.output].map(([id, schema]) => [id, renamed(schema)] as const),
        ...[...seen.input]
          .filter(([id]) => differing.has(id) || !seen.output.has(id))
          .map(([id, schema]) => [differing.has(id) ? `${id}Input` : id, renamed(schema)] as const),
      ]
      all.sort(([a], [b]) => (a < b ? -1 : 1))
      return { schemas: Object.fromEntries(all), value: renamed(value) }
    },
  }
}

/**
 * Zod leaves examples and defaults out of the input side of whatever transforms, because it reads them as
 * values of the output side. In the contract both are written as a caller would send them.
 */
const keepMeta = ({ zodSchema, jsonSchema }: { zodSchema: z.core.$ZodTypes; jsonSchema: object }): void => {
  const examples = z.globalRegistry.get(zodSchema)?.examples
  const { def } = zodSchema._zod
  if (examples) Object.assign(jsonSchema, { examples })
  if (def.type === 'default') Object.assign(jsonSchema, { default: def.defaultValue })
}

const MARKED_REF = /#\/\$defs\/(\w+)@(input|output)/g

/** The ids whose two sides differ, by themselves or through what they refer to. */
const findDiffering = (input: Map<string, Schema>, output: Map<string, Schema>): Set<string> => {
  const text = (schema: Schema | undefined): string =>
    JSON.stringify(schema).replaceAll(MARKED_REF, '#/$defs/$1')
  const both = [...input].filter(([id]) => output.has(id))
  const differing = new Set(
    both.filter(([id, schema]) => text(schema) !== text(output.get(id))).map(([id]) => id),
  )
  for (let size = -1; size !== differing.size; ) {
    size = differing.size
    for (const [id, schema] of both) {
      const refs = [...JSON.stringify(schema).matchAll(MARKED_REF)]
      if (refs.some(([, ref = '']) => differing.has(ref))) differing.add(id)
    }
  }
  return differing
}

/** What Zod writes, without what it writes too much; recursively. */
const toOpenApi = (schema: Schema, io: Io): Schema => {
  const each = (part: Schema): Schema => toOpenApi(part, io)
  const { $ref, anyOf, oneOf, properties, items, propertyNames, additionalProperties, ...rest } = schema
  return tidy(
    {
      ...($ref && { $ref: `${$ref}@${io}` }),
      ...rest,
      ...(anyOf && { anyOf: anyOf.map(each) }),
      ...(oneOf && { oneOf: oneOf.map(each) }),
      ...(properties && { properties: mapValues(properties, each) }),
      ...(items && { items: each(items) }),
      // A key is always a string; saying only that says nothing.
      ...(propertyNames && Object.keys(propertyNames).length > 1 && { propertyNames: each(propertyNames) }),
      ...(additionalProperties !== undefined && {
        additionalProperties:
          typeof additionalProperties === 'boolean'
            ? additionalProperties
            : Object.keys(additionalProperties).length === 0 || each(additionalProperties),
      }),
    },
    io,
  )
}

const tidy = (schema: Schema, io: Io): Schema => {
  const tidied = flattenNull(schema)
  // Answers are open: a field added later must not break whoever validates today's answers.
  if (io === 'output' && tidied.additionalProperties === false) delete tidied.additionalProperties
  // The formats say the same, and a reader can read them.
  if (tidied.format && FORMATS_WITHOUT_PATTERN.has(tidied.format)) delete tidied.pattern
  // Zod's own names, which no reader of JSON Schema knows; the pattern stays.
  if (tidied.format?.startsWith('cidr')) delete tidied.format
  if (io === 'output') {
    if (tidied.minimum === Number.MIN_SAFE_INTEGER) delete tidied.minimum
    if (tidied.maximum === Number.MAX_SAFE_INTEGER) delete tidied.maximum
  }
  return tidied
}

const FORMATS_WITHOUT_PATTERN = new Set(['date-time', 'ipv4', 'ipv6'])

/** `anyOf: [a string, null]` is `type: [string, null]`, which every reader and generator shows better. */
const flattenNull = (schema: Schema): Schema => {
  const { anyOf, ...outer } = schema
  const [inner, none] = anyOf ?? []
  if (anyOf?.length !== 2 || none?.type !== 'null' || typeof inner?.type !== 'string') return schema
  // An example of the part says nothing of the whole, which is null as often as not.
  const { examples: _, ...part } = inner
  return {
    ...part,
    ...outer,
    type: [inner.type, 'null'],
    ...(inner.enum && { enum: [...inner.enum, null as Json] }),
  }
}
