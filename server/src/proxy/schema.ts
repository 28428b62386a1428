import type { InputField, InputSchema } from '@narrowapi/contract'
import { canonicalText } from '../canonical-json.ts'
import type { ErrorDetail } from '../errors.ts'
import { compileWithAjv } from './schema-ajv.ts'
import { isSchemaObject, type JsonSchema, mapSubschemas } from './schema-keywords.ts'
import { detailsOf } from './schema-messages.ts'
import { prepareSchema } from './schema-prepare.ts'

export { checkSchema } from './schema-check.ts'
export type { JsonSchema } from './schema-keywords.ts'

/** Null when the value is valid; otherwise what is wrong, by dotted path ('' is the value as a whole). */
export type Validate = (value: unknown) => readonly ErrorDetail[] | null

/** A list of fields as JSON Schema. A JSON Schema is given back as it is. */
export const toJsonSchema = (input: InputSchema): JsonSchema => {
  if (!Array.isArray(input)) return input
  return {
    type: 'object',
    properties: Object.fromEntries(input.map((field) => [field.name, toProperty(field)])),
    required: input.filter((field) => field.required).map((field) => field.name),
    additionalProperties: false,
  }
}

const toProperty = (field: InputField): JsonSchema => {
  const keywords = {
    type: field.type,
    description: field.description,
    enum: field.enum,
    format: field.format,
    pattern: field.pattern,
    minimum: field.minimum,
    maximum: field.maximum,
    minLength: field.min_length,
    maxLength: field.max_length,
    maxItems: field.max_items,
    'x-in': field.in,
    'x-sensitive': field.sensitive || undefined,
  }
  return Object.fromEntries(Object.entries(keywords).filter(([, value]) => value !== undefined))
}

/**
 * The validator of a schema that `checkSchema` has accepted. Compiling takes milliseconds, so it is kept by the
 * schema's text; which schema object it came from makes no difference. Values must have been parsed from JSON
 * of bounded depth.
 */
export const compileSchema = (schema: JsonSchema): Validate => {
  const known = byObject.get(schema)
  if (known !== undefined) return known
  const text = canonicalText(schema)
  const validate = recent.get(text) ?? compile(schema)
  recent.delete(text)
  recent.set(text, validate)
  if (recent.size > maxRecent) {
    for (const oldest of recent.keys()) {
      recent.delete(oldest)
      break
    }
  }
  byObject.set(schema, validate)
  return validate
}

// The most recently used stand last.
const recent = new Map<string, Validate>()
const maxRecent = 500
const byObject = new WeakMap<JsonSchema, Validate>()

/**
 * Most values are valid and most others are wrong in one place, so the first look stops at the first error.
 * Only a refused value is looked at again for all its errors, by a validator that is made when first needed.
 */
const compile = (schema: JsonSchema): Validate => {
  const prepared = prepareSchema(schema)
  const findFirst = compileWithAjv(prepared, 'first-error')
  let findAll: typeof findFirst | undefined
  return (value) => {
    const first = findFirst(value)
    if (first === null)
      return [{ field: '', message: 'is too large for this schema; send fewer or shorter values' }]
    if (first.length === 0) return null
    findAll ??= compileWithAjv(prepared, 'all-errors')
    return detailsOf(findAll(value) ?? first)
  }
}

/**
 * The schema as the holder of a token sees it: without the properties whose values are fixed, and without `x-`
 * keys. A help for callers, not a check: calls are validated against the whole schema.
 */
export const shownSchema = (schema: JsonSchema, fixedInput: Readonly<Record<string, unknown>>): JsonSchema =>
  withoutPrivateKeys(withoutFixed(schema, (name) => Object.hasOwn(fixedInput, name)))

const withoutFixed = (schema: JsonSchema, isFixed: (name: string) => boolean): JsonSchema =>
  Object.fromEntries(
    Object.entries(schema).map(([keyword, value]) => {
      if (keyword === 'properties' || keyword === 'dependentSchemas' || keyword === 'dependentRequired') {
        return [keyword, withoutNames(value, isFixed)]
      }
      if (keyword === 'required' && Array.isArray(value)) {
        return [keyword, value.filter((name) => !isFixed(String(name)))]
      }
      if (branches.has(keyword)) {
        // What stands in these describes the same object, so it may name the same properties.
        const strip = (inner: unknown) => (isSchemaObject(inner) ? withoutFixed(inner, isFixed) : inner)
        return [keyword, Array.isArray(value) ? value.map(strip) : strip(value)]
      }
      return [keyword, value]
    }),
  )

const branches = new Set(['allOf', 'anyOf', 'oneOf', 'not', 'if', 'then', 'else'])

const withoutNames = (map: unknown, isFixed: (name: string) => boolean): unknown =>
  isSchemaObject(map) ? Object.fromEntries(Object.entries(map).filter(([name]) => !isFixed(name))) : map

const withoutPrivateKeys = (schema: JsonSchema): JsonSchema => {
  const shown = Object.entries(schema).filter(([keyword]) => !keyword.startsWith('x-'))
  return mapSubschemas(Object.fromEntries(shown), (inner) =>
    isSchemaObject(inner) ? withoutPrivateKeys(inner) : inner,
  )
}
