import type { InputField, InputSchema } from '@narrowapi/contract'
import { canonicalText } from '../canonical-json.ts'
import type { ErrorDetail } from '../errors.ts'
import { compileWithAjv } from './schema-ajv.ts'
import { isSchemaObject, type JsonSchema, mapSubschemas, referable, sameValue } from './schema-keywords.ts'
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

/** Whatever speaks of the whole input may name its properties: branches of it, and what they refer to. */
const withoutFixed = (root: JsonSchema, isFixed: (name: string) => boolean): JsonSchema => {
  const ofInput = sameValue(root, referable(root))
  const strip = (schema: JsonSchema, speaksOfInput: boolean): JsonSchema =>
    mapSubschemas(speaksOfInput ? withoutMembers(schema, isFixed) : schema, (inner, keyword) =>
      isSchemaObject(inner)
        ? strip(inner, ofInput.has(inner) || (speaksOfInput && (keyword === 'not' || keyword === 'if')))
        : inner,
    )
  return strip(root, true)
}

const withoutMembers = (schema: JsonSchema, isFixed: (name: string) => boolean): JsonSchema => {
  const strip = (map: unknown): unknown =>
    isSchemaObject(map) ? Object.fromEntries(Object.entries(map).filter(([name]) => !isFixed(name))) : map
  const stripList = (names: unknown): unknown =>
    Array.isArray(names) ? names.filter((name) => !isFixed(String(name))) : names
  return Object.fromEntries(
    Object.entries(schema).map(([keyword, value]) => {
      switch (keyword) {
        case 'properties':
        case 'dependentSchemas':
        case 'default':
        case 'const':
          return [keyword, strip(value)]
        case 'examples':
        case 'enum':
          return [keyword, Array.isArray(value) ? value.map(strip) : value]
        case 'required':
          return [keyword, stripList(value)]
        case 'dependentRequired': {
          const left = strip(value)
          return [keyword, isSchemaObject(left) ? mapValues(left, stripList) : left]
        }
        default:
          return [keyword, value]
      }
    }),
  )
}

const mapValues = (map: JsonSchema, change: (value: unknown) => unknown): JsonSchema =>
  Object.fromEntries(Object.entries(map).map(([name, value]) => [name, change(value)]))

const withoutPrivateKeys = (schema: JsonSchema): JsonSchema => {
  const shown = Object.entries(schema).filter(([keyword]) => !keyword.startsWith('x-'))
  return mapSubschemas(Object.fromEntries(shown), (inner) =>
    isSchemaObject(inner) ? withoutPrivateKeys(inner) : inner,
  )
}
