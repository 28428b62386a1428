/** What a schema says about its value by itself, without its references and branches. */

import { isObject, type JsonSchema } from './reference.ts'
import { isRequired, narrowing, type Rules } from './rules.ts'

export type Kind = 'string' | 'number' | 'integer' | 'boolean' | 'null' | 'array' | 'object'

export const ALL_KINDS: readonly Kind[] = ['string', 'number', 'boolean', 'null', 'array', 'object']

export const kindsOf = ({ type }: JsonSchema, around: readonly Kind[]): readonly Kind[] => {
  const own = (Array.isArray(type) ? type : [type]).filter((kind): kind is Kind => KINDS.has(kind))
  if (own.length === 0 || type === undefined) return around
  if (around === ALL_KINDS) return own
  return around.flatMap((kind): readonly Kind[] => {
    if (own.includes(kind)) return [kind]
    if (kind === 'number' && own.includes('integer')) return ['integer']
    return kind === 'integer' && own.includes('number') ? ['integer'] : []
  })
}

const KINDS: ReadonlySet<unknown> = new Set([...ALL_KINDS, 'integer'])

/** Whether nothing in it decides the members of an object or the items of an array. */
export const isPlain = (part: JsonSchema): boolean =>
  !Object.keys(part).some((keyword) => SHAPING.has(keyword))

const SHAPING = new Set(
  `properties required additionalProperties patternProperties unevaluatedProperties prefixItems items
  if dependentSchemas`.split(/\s+/),
)

export const isBranched = (part: JsonSchema): boolean =>
  ['$ref', 'allOf', 'anyOf', 'oneOf'].some((keyword) => keyword in part) || isConditional(part)

/** Whether it may describe members in places that are not looked into. */
export const isConditional = (part: JsonSchema): boolean => 'if' in part || 'dependentSchemas' in part

/** What is said of members without a name. Without branches, unevaluated is additional. */
export const moreOf = (part: JsonSchema): unknown =>
  part.additionalProperties ?? (isBranched(part) ? undefined : part.unevaluatedProperties)

/** The only values there may be, if they are named. */
export const choicesOf = (
  part: JsonSchema,
  kinds: readonly Kind[],
  rules: Rules,
): readonly unknown[] | null => {
  const { only, isLeft } = narrowing(rules)
  const named = 'const' in part ? [part.const] : Array.isArray(part.enum) ? part.enum : only
  if (named === null) return null
  return named.filter((value) => isLeft(value) && kinds.some((kind) => isOfKind(value, kind)))
}

const isOfKind = (value: unknown, kind: Kind): boolean => {
  if (kind === 'null') return value === null
  if (kind === 'array') return Array.isArray(value)
  if (kind === 'object') return isObject(value)
  if (kind === 'integer') return Number.isInteger(value)
  return typeof value === kind
}

export const propertiesOf = (part: unknown): JsonSchema =>
  isObject(part) && isObject(part.properties) ? part.properties : {}

export const allOf = (part: JsonSchema): readonly unknown[] => (Array.isArray(part.allOf) ? part.allOf : [])

export const requiredOf = ({ required, properties }: JsonSchema, rules: Rules): Set<string> => {
  const listed = Array.isArray(required) ? required.filter((name) => typeof name === 'string') : []
  const ruled = [...rules.members].filter(
    ([name, inner]) => isRequired(inner) && isObject(properties) && Object.hasOwn(properties, name),
  )
  return new Set([...listed, ...ruled.map(([name]) => name)])
}

export const takesNothing = (schema: JsonSchema, rules: Rules): boolean =>
  !Object.keys(schema).some((keyword) => BRANCHING.has(keyword)) && requiredOf(schema, rules).size === 0

const BRANCHING = new Set(['$ref', 'allOf', 'anyOf', 'oneOf', 'const', 'enum', 'minProperties', 'if', 'not'])
