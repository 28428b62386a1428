import { canonicalText } from '../canonical-json.ts'
import { ApiError } from '../errors.ts'
import { formats } from './schema-format.ts'
import {
  holders,
  isObject,
  isSchemaObject,
  type JsonSchema,
  referable,
  referenceName,
  subschemas,
} from './schema-keywords.ts'
import { compilePattern, PatternError } from './schema-pattern.ts'
import { prepareSchema } from './schema-prepare.ts'

/**
 * What a JSON Schema may be, checked when it is saved so that nothing about it can fail or run long when it is
 * used. Accepted is the 2020-12 vocabulary without dynamic references, `definitions` of older drafts, and any
 * keyword that begins with `x-`, which is kept and never evaluated. Everything else is refused rather than
 * ignored: a misspelt `maximum` must not pass for a limit.
 */
export const checkSchema = (schema: JsonSchema, field: string): void => {
  checkExtent(schema, field)
  if (schema.type !== 'object') refuse(`${field}.type`, 'must be "object": the input is an object')
  const seen: Seen = { schemas: 0, patterns: 0, patternSize: 0, anchors: new Set() }
  checkOne(schema, field, seen)
  const references = referable(schema)
  checkReferences(schema, field, references)
  checkRepetition(schema, field, references)
  const { size, definitions } = prepareSchema(schema)
  if (definitions > limits.references)
    refuse(field, `must refer to at most ${limits.references} different schemas`)
  if (size > limits.size) refuse(field, 'is too large; remove properties, definitions or branches')
}

const limits = {
  bytes: 65_536,
  depth: 48,
  schemas: 1000,
  properties: 500,
  enum: 1000,
  patterns: 100,
  patternSize: 2000,
  /** Parts of the schema that may apply to one and the same value. */
  perValue: 2000,
  /** Parts after references are laid out, and references: what the time to compile depends on. */
  size: 3000,
  references: 100,
}

type Seen = { schemas: number; patterns: number; patternSize: number; anchors: Set<string> }

const refuse: (field: string, message: string, cause?: unknown) => never = (field, message, cause) => {
  throw new ApiError('validation_failed', 'The JSON Schema cannot be used; see details', {
    details: [{ field, message }],
    cause,
  })
}

const checkExtent = (schema: JsonSchema, field: string) => {
  if (isDeeperThan(schema, limits.depth)) refuse(field, `must be nested at most ${limits.depth} deep`)
  if (canonicalText(schema).length > limits.bytes)
    refuse(field, `must have at most ${limits.bytes} characters`)
}

const isDeeperThan = (value: unknown, depth: number): boolean =>
  isObject(value) && (depth === 0 || Object.values(value).some((part) => isDeeperThan(part, depth - 1)))

const checkOne = (schema: unknown, field: string, seen: Seen): void => {
  if (typeof schema === 'boolean') return
  if (!isSchemaObject(schema)) refuse(field, 'must be a schema: an object, true or false')
  seen.schemas += 1
  if (seen.schemas > limits.schemas)
    refuse(field, `is one schema too many; at most ${limits.schemas} are accepted`)
  if (seen.schemas > 1 && Object.hasOwn(schema, '$id')) refuse(`${field}.$id`, 'may stand at the root only')
  for (const [keyword, value] of Object.entries(schema))
    checkKeyword(keyword, value, `${field}.${keyword}`, seen)
  for (const inner of subschemas(schema)) checkOne(inner.schema, [field, ...inner.keys].join('.'), seen)
}

const checkKeyword = (keyword: string, value: unknown, field: string, seen: Seen): void => {
  const holder = Object.hasOwn(holders, keyword) ? holders[keyword] : undefined
  if (holder !== undefined) {
    checkHolder(keyword, holder.holds, value, field, seen)
    return
  }
  if (keyword === 'x-sensitive' && typeof value !== 'boolean') refuse(field, 'must be true or false')
  if (keyword.startsWith('x-')) return
  const wrong = Object.hasOwn(keywords, keyword) ? keywords[keyword] : undefined
  if (wrong === undefined) refuse(field, replacementOf(keyword))
  const message = wrong(value)
  if (message !== null) refuse(field, message)
  if (keyword === 'pattern') checkPattern(String(value), field, seen)
  if (keyword === '$anchor') {
    if (seen.anchors.has(String(value))) refuse(field, 'names an anchor that is already there')
    seen.anchors.add(String(value))
  }
}

const checkHolder = (keyword: string, holds: string, value: unknown, field: string, seen: Seen) => {
  if (keyword === 'items' && Array.isArray(value))
    refuse(field, 'must be one schema; use prefixItems for a list')
  if (holds === 'list' && !(Array.isArray(value) && value.length > 0))
    refuse(field, 'must be a list of schemas')
  if (holds === 'map') {
    if (!isSchemaObject(value)) refuse(field, 'must be an object of schemas')
    const names = Object.keys(value)
    if (names.length > limits.properties) refuse(field, `must have at most ${limits.properties} members`)
    for (const name of names) checkName(name, field)
    if (keyword === 'patternProperties')
      for (const name of names) checkPattern(name, `${field}.${name}`, seen)
  }
}

// ajv skips this name silently, and code that copies objects may take it for their prototype.
const checkName = (name: unknown, field: string) => {
  if (name === '__proto__') refuse(field, 'must not use the name __proto__')
}

const checkPattern = (source: string, field: string, seen: Seen) => {
  try {
    seen.patterns += 1
    if (seen.patterns > limits.patterns)
      refuse(field, `is one pattern too many; at most ${limits.patterns} are accepted`)
    seen.patternSize += compilePattern(source).size
    if (seen.patternSize > limits.patternSize)
      refuse(field, 'makes the patterns too large together; shorten their repetitions')
  } catch (error) {
    if (error instanceof PatternError) refuse(field, error.reason, error)
    throw error
  }
}

const checkReferences = (root: JsonSchema, field: string, references: ReadonlyMap<string, unknown>) => {
  const visit = (schema: unknown, path: string) => {
    if (!isSchemaObject(schema)) return
    if (typeof schema.$ref === 'string') {
      const ref = schema.$ref
      if (!ref.startsWith('#'))
        refuse(`${path}.$ref`, 'must be local, such as #/$defs/address; nothing is fetched')
      if (!references.has(referenceName(ref)))
        refuse(`${path}.$ref`, 'does not lead to a schema of this document')
    }
    for (const inner of subschemas(schema)) visit(inner.schema, [path, ...inner.keys].join('.'))
  }
  visit(root, field)
}

/**
 * Bounds how much of the schema applies to one value, with references followed, and refuses references that
 * come back to themselves without moving on to a part of the value: they would never end.
 */
const checkRepetition = (root: JsonSchema, field: string, references: ReadonlyMap<string, unknown>) => {
  const weights = new Map<unknown, number>()
  const open = new Set<unknown>()
  const weigh = (schema: unknown, path: string): number => {
    if (!isSchemaObject(schema)) return 1
    const known = weights.get(schema)
    if (known !== undefined) return known
    if (open.has(schema)) refuse(path, 'refers to itself for the same value, which never ends')
    open.add(schema)
    let weight = Object.keys(schema).length
    if (typeof schema.$ref === 'string') weight += weigh(references.get(referenceName(schema.$ref)), path)
    for (const inner of subschemas(schema)) if (inner.place === 'same') weight += weigh(inner.schema, path)
    open.delete(schema)
    if (weight > limits.perValue)
      refuse(path, 'applies too many branches to one value; use fewer or flatter ones')
    weights.set(schema, weight)
    return weight
  }
  const visit = (schema: unknown, path: string) => {
    weigh(schema, path)
    if (!isSchemaObject(schema)) return
    for (const inner of subschemas(schema)) visit(inner.schema, [path, ...inner.keys].join('.'))
  }
  visit(root, field)
}

type Wrong = (value: unknown) => string | null

const when =
  (isRight: (value: unknown) => boolean, message: string): Wrong =>
  (value) =>
    isRight(value) ? null : message

const isString = (value: unknown): value is string => typeof value === 'string'
const isFiniteNumber = (value: unknown): value is number =>
  typeof value === 'number' && Number.isFinite(value)

const text = when(isString, 'must be a string')
const flag = when((value) => typeof value === 'boolean', 'must be true or false')
const number = when(isFiniteNumber, 'must be a number')
const count = when(
  (value) => Number.isSafeInteger(value) && Number(value) >= 0,
  'must be a whole number, 0 or more',
)
const anything: Wrong = () => null

const isNames = (value: unknown): value is string[] =>
  Array.isArray(value) &&
  value.length <= limits.properties &&
  value.every((name) => isString(name) && name !== '__proto__') &&
  new Set(value).size === value.length
const names = when(isNames, `must be a list of at most ${limits.properties} different names`)

const types = new Set(['string', 'number', 'integer', 'boolean', 'array', 'object', 'null'])
const isTypes = (value: unknown) =>
  Array.isArray(value) &&
  value.length > 0 &&
  new Set(value).size === value.length &&
  value.every((one) => types.has(one))

const dialect = 'https://json-schema.org/draft/2020-12/schema'

/** What is wrong with the value of each keyword that holds no schema. */
const keywords: Readonly<Record<string, Wrong>> = {
  $schema: when(
    (value) => isString(value) && value.replace(/#$/, '') === dialect,
    `must be ${dialect}; other drafts are not read`,
  ),
  // The root's name is kept and means nothing; below the root it would change what references mean.
  $id: text,
  $anchor: when((value) => isString(value) && /^[A-Za-z_][\w.-]{0,99}$/.test(value), 'must be a plain name'),
  $ref: text,
  $comment: text,
  title: text,
  description: text,
  default: anything,
  examples: when(Array.isArray, 'must be a list'),
  deprecated: flag,
  readOnly: flag,
  writeOnly: flag,
  contentEncoding: text,
  contentMediaType: text,
  contentSchema: anything,
  type: when(
    (value) => (isString(value) && types.has(value)) || isTypes(value),
    `must be ${[...types].join(', ')}, or a list of these`,
  ),
  enum: when(
    (value) => Array.isArray(value) && value.length > 0 && value.length <= limits.enum,
    `must be a list of 1 to ${limits.enum} values`,
  ),
  const: anything,
  minimum: number,
  maximum: number,
  exclusiveMinimum: number,
  exclusiveMaximum: number,
  multipleOf: when((value) => isFiniteNumber(value) && value > 0, 'must be a number above 0'),
  minLength: count,
  maxLength: count,
  pattern: when(
    (value) => isString(value) && value.length <= 1000,
    'must be a string of at most 1000 characters',
  ),
  format: when(
    (value) => isString(value) && Object.hasOwn(formats, value),
    `is not a known format; use one of ${Object.keys(formats).join(', ')}`,
  ),
  minItems: count,
  maxItems: count,
  uniqueItems: flag,
  minContains: count,
  maxContains: count,
  minProperties: count,
  maxProperties: count,
  required: names,
  dependentRequired: when(
    (value) => isSchemaObject(value) && isNames(Object.keys(value)) && Object.values(value).every(isNames),
    'must be an object of lists of names',
  ),
}

const replacementOf = (keyword: string): string =>
  (Object.hasOwn(replacements, keyword) ? replacements[keyword] : undefined) ??
  'is not a keyword of JSON Schema 2020-12'

/** What to write instead of keywords that other drafts and OpenAPI have. */
const replacements: Readonly<Record<string, string>> = {
  $dynamicRef: 'is not supported; use $ref',
  $dynamicAnchor: 'is not supported; use $anchor',
  $recursiveRef: 'is not supported; use $ref',
  $recursiveAnchor: 'is not supported; use $anchor',
  $vocabulary: 'is not supported',
  id: 'is a keyword of draft 4; use $anchor and $ref',
  dependencies: 'is a keyword of draft 7; use dependentRequired or dependentSchemas',
  additionalItems: 'is a keyword of older drafts; use prefixItems and items',
  nullable: 'is a keyword of OpenAPI 3.0; use "type": [..., "null"]',
  discriminator: 'is a keyword of OpenAPI; use oneOf with const',
  example: 'is a keyword of OpenAPI; use examples',
}
