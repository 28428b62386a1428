import { idTypeOf } from './id-types.ts'
import { limitsOf } from './limits-text.ts'
import { nameOf, type Schema } from './openapi.ts'
import type { Io, Schemas } from './schemas.ts'

/** JSON Schema as TypeScript text. */

type Place = {
  io: Io
  indent: string
  /** Where references lead, whose descriptions serve what has none of its own. */
  schemas?: Schemas
  /** The types of fields of which a schema cannot say enough, by name. */
  types?: Readonly<Record<string, string>>
  /** The name of the field. */
  name?: string | undefined
  /** Whether unions stay closed though they are answered. */
  isClosed?: boolean
  /** The property that tells the variants of a union apart. */
  tag?: string | undefined
}

export const printType = (schema: Schema, place: Place): string => {
  const { $ref, enum: choices, anyOf, oneOf, type } = schema
  const variants = anyOf ?? oneOf
  if ($ref) return nameOf($ref)
  if (schema.const !== undefined) return literal(schema.const)
  if (choices) return printChoices(choices, place)
  if (variants) {
    const isTall = variants.length > 1 && variants.some(({ properties }) => properties)
    const inner = { ...place, indent: `${place.indent}${isTall ? '    ' : ''}`, tag: tagOf(variants) }
    return printUnion(
      variants.map((part) => printType(part, inner)),
      place,
    )
  }
  if (Array.isArray(type)) {
    return type.map((one) => printType({ ...schema, type: one }, place)).join(' | ')
  }
  switch (type) {
    case 'array':
      return printArray(schema, place)
    case 'object':
      return printObject(schema, place)
    case 'integer':
      return 'number'
    case 'string':
      return idTypeOf(schema, place.name) ?? 'string'
    case undefined:
      return 'unknown'
    default:
      return type
  }
}

/** Unions in answers are open: a newer server may answer values that this version does not know. */
const printChoices = (choices: readonly unknown[], place: Place): string => {
  const isOpen =
    place.io === 'output' && !place.isClosed && choices.some((choice) => typeof choice === 'string')
  return printUnion([...choices.map(literal), ...(isOpen ? ['(string & {})'] : [])], place)
}

/** On one line if it fits, else with a line for each. */
const printUnion = (members: readonly string[], { indent }: Place): string => {
  const unique = [...new Set(members)]
  const line = unique.join(' | ')
  if (line.length <= 80 || unique.length === 1) return line
  return unique.map((member) => `\n${indent}  | ${member}`).join('')
}

/** The property whose values differ from variant to variant, if the variants have one. */
const tagOf = (variants: readonly Schema[]): string | undefined =>
  Object.keys(variants[0]?.properties ?? {}).find((name) =>
    variants.every(({ properties }) => properties?.[name]?.const ?? properties?.[name]?.enum),
  )

const printArray = ({ items = {} }: Schema, place: Place): string => {
  const item = printType(items, place)
  const isPlain = /^[\w.]+$/.test(item)
  return `${place.io === 'input' ? 'readonly ' : ''}${isPlain ? item : `(${item})`}[]`
}

const printObject = (schema: Schema, place: Place): string => {
  const { properties, additionalProperties = true } = schema
  if (properties) return `{\n${Object.values(printFields(schema, place)).join('')}${place.indent}}`
  if (additionalProperties === false) return '{}'
  const value =
    additionalProperties === true ? 'unknown' : printType(additionalProperties, { ...place, name: undefined })
  // `object` also takes values of interface types, which have no index signature.
  return value === 'unknown' && place.io === 'input' ? 'object' : `{ [key: string]: ${value} }`
}

/** The declaration of each field, with its doc comment, by name. */
const printFields = (
  { properties = {}, required = [] }: Schema,
  place: Place,
): Readonly<Record<string, string>> => {
  const indent = `${place.indent}  `
  return Object.fromEntries(
    Object.entries(properties).map(([name, schema]) => {
      // The property that tells the variants of a union apart must stay closed, or it would not.
      const isClosed = place.isClosed === true || name === place.tag
      const inner = { ...place, indent, isClosed, name, tag: undefined, types: {} }
      const type = place.types?.[name] ?? printType(schema, inner)
      const isOptional = !required.includes(name)
      const absent = isOptional && place.io === 'input' && type !== 'unknown' ? ' | undefined' : ''
      const field = `${name}${isOptional ? '?' : ''}:${spaced(type)}${absent}`
      return [name, `${printDoc(docOf(schema, inner), indent)}${indent}${field}\n`]
    }),
  )
}

const docOf = (schema: Schema, { io, name = '', schemas = {} }: Place): string[] => {
  const { default: value, deprecated } = schema
  const description = descriptionOf(schema, schemas)
  const limits = limitsOf(schema, io, name)
  // Some descriptions say it by themselves.
  const parts = [description, description?.includes(limits) ? undefined : limits]
  const text = parts.flatMap((part) => (part ? sentence(part) : [])).join(' ')
  return [
    ...(text ? [text] : []),
    ...(value === undefined ? [] : [`@default ${JSON.stringify(value)}`]),
    ...(deprecated ? ['@deprecated'] : []),
  ]
}

const descriptionOf = ({ description, $ref, anyOf }: Schema, schemas: Schemas): string | undefined => {
  const ref = $ref ?? anyOf?.find((part) => part.$ref)?.$ref
  return description ?? (ref && schemas[nameOf(ref)]?.description)
}

const sentence = (text: string): string =>
  text.charAt(0).toUpperCase() + text.slice(1) + (/[.:?!]$/.test(text) ? '' : '.')

/** An interface field by field. */
export type Interface = {
  name: string
  /** Those of its type, as they are declared: `<…>` or nothing. */
  parameters: string
  doc: string
  /** The declaration of each field, by name. */
  fields: Readonly<Record<string, string>>
}

export const toInterface = (name: string, schema: Schema, place: Place, parameters = ''): Interface => ({
  name,
  parameters,
  doc: printDoc(docOf(schema, place), ''),
  fields: printFields(schema, place),
})

export const printAlias = (name: string, schema: Schema, place: Place): string =>
  `${printDoc(docOf(schema, place), '')}export type ${name} =${spaced(printType(schema, place))}\n`

/** A union of many lines begins on the next one. */
const spaced = (type: string): string => (type.startsWith('\n') ? type : ` ${type}`)

/** A doc comment of these paragraphs or tags, wrapped save for examples; nothing when there is nothing to say. */
export const printDoc = (lines: readonly string[], indent: string): string => {
  if (lines.length === 0) return ''
  const safe = lines
    .map((line) => line.replaceAll('*/', '*\\/'))
    .flatMap((line) => (line.startsWith('@example') ? line.split('\n') : wrap(line, 104 - indent.length)))
  if (safe.length === 1) return `${indent}/** ${safe[0]} */\n`
  return `${indent}/**\n${safe.map((line) => `${indent} *${line && ` ${line}`}\n`).join('')}${indent} */\n`
}

const wrap = (text: string, width: number): string[] => {
  const lines: string[] = []
  let line = ''
  for (const word of text.split(' ')) {
    if (line && line.length + 1 + word.length > width) {
      lines.push(line)
      line = word
    } else line = line ? `${line} ${word}` : word
  }
  return [...lines, line]
}

const literal = (value: unknown): string =>
  typeof value === 'string' ? `'${value.replaceAll("'", "\\'")}'` : JSON.stringify(value)

/** Adds the names of all schemas that this one refers to, directly or not. */
export const reachableFrom = (schema: Schema | undefined, schemas: Schemas, found: Set<string>): void => {
  for (const [, name = ''] of JSON.stringify(schema ?? {}).matchAll(/"#\/components\/schemas\/(\w+)"/g)) {
    if (found.has(name)) continue
    found.add(name)
    reachableFrom(schemas[name], schemas, found)
  }
}
