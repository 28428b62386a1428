import type { ErrorObject } from 'ajv/dist/2020.js'
import type { ErrorDetail } from '../errors.ts'
import { formats } from './schema-format.ts'

const maxDetails = 20

/** ajv's errors as details: the field by its dotted path, what it must be in plain words, never its value. */
export const detailsOf = (errors: readonly ErrorObject[]): ErrorDetail[] => {
  const choices = errors.filter(({ keyword }) => keyword === 'anyOf' || keyword === 'oneOf')
  const details = new Map<string, ErrorDetail>()
  for (const error of errors) {
    if (isConsequence(error) || choices.some((choice) => isBranchOf(error, choice))) continue
    const detail = { field: fieldOf(error), message: messageOf(error) }
    details.set(`${detail.field} ${detail.message}`, detail)
    if (details.size === maxDetails) break
  }
  return details.size > 0 ? [...details.values()] : [{ field: '', message: 'does not fit the schema' }]
}

// These only repeat that something inside them was refused, and that is reported itself.
const isConsequence = ({ keyword, params }: ErrorObject) =>
  keyword === 'if' || (keyword === 'propertyNames' && typeof params.propertyName !== 'string')

// Why each branch of a choice was refused says little; that no branch fits is said once, by the choice. The
// path of an error behind a reference begins anew, so it is told by not standing beside the choice.
const isBranchOf = (error: ErrorObject, choice: ErrorObject) => {
  if (error === choice || !error.instancePath.startsWith(choice.instancePath)) return false
  const beside = choice.schemaPath.slice(0, choice.schemaPath.lastIndexOf('/') + 1)
  return !error.schemaPath.startsWith(beside) || error.schemaPath.startsWith(`${choice.schemaPath}/`)
}

const fieldOf = ({ instancePath, keyword, params, propertyName }: ErrorObject): string => {
  const keys = instancePath
    .split('/')
    .slice(1)
    .map((key) => key.replaceAll('~1', '/').replaceAll('~0', '~'))
  const named = namedBy[keyword]
  const last = named === undefined ? propertyName : params[named]
  if (typeof last === 'string') keys.push(last)
  return keys.join('.').slice(0, 300)
}

// The parameter in which a keyword names the property it is about.
const namedBy: Readonly<Record<string, string>> = {
  required: 'missingProperty',
  dependentRequired: 'missingProperty',
  additionalProperties: 'additionalProperty',
  unevaluatedProperties: 'unevaluatedProperty',
  propertyNames: 'propertyName',
}

const messageOf = ({ keyword, params, schema, parentSchema }: ErrorObject): string => {
  const say = messages[keyword]
  return say === undefined ? 'does not fit the schema' : say(params, schema ?? parentSchema)
}

type Say = (params: Record<string, unknown>, schema: unknown) => string

const messages: Readonly<Record<string, Say>> = {
  type: ({ type }) => `must be ${[type].flat().map(withArticle).join(' or ')}`,
  required: () => 'is required',
  dependentRequired: ({ property }) => `is required when ${property} is given`,
  additionalProperties: () => 'is not a known field',
  unevaluatedProperties: () => 'is not a known field',
  'false schema': () => 'is not a known field',
  propertyNames: () => 'is not an accepted field name',
  enum: (_, accepted) => `must be ${oneOf(accepted)}`,
  const: (_, accepted) => `must be ${oneOf([accepted])}`,
  minimum: ({ limit }) => `must be at least ${limit}`,
  maximum: ({ limit }) => `must be at most ${limit}`,
  exclusiveMinimum: ({ limit }) => `must be greater than ${limit}`,
  exclusiveMaximum: ({ limit }) => `must be less than ${limit}`,
  multipleOf: (_, step) => `must be a multiple of ${step}`,
  minLength: ({ limit }) => `must have at least ${limit} characters`,
  maxLength: ({ limit }) => `must have at most ${limit} characters`,
  pattern: ({ pattern }) => `must match the pattern ${pattern}`,
  format: ({ format }) => formats[String(format)]?.says ?? 'does not have the right format',
  minItems: ({ limit }) => `must have at least ${limit} items`,
  maxItems: ({ limit }) => `must have at most ${limit} items`,
  items: ({ limit }) => `must have at most ${limit} items`,
  unevaluatedItems: ({ len }) => `must have at most ${len} items`,
  uniqueItems: () => 'must not hold the same item twice',
  contains: () => 'does not hold enough items of the kind it must hold',
  minProperties: ({ limit }) => `must have at least ${limit} fields`,
  maxProperties: ({ limit }) => `must have at most ${limit} fields`,
  anyOf: () => 'fits none of the accepted forms',
  oneOf: ({ passingSchemas }) =>
    passingSchemas === null
      ? 'fits none of the accepted forms'
      : 'fits more than one form where one must fit',
  not: () => 'has a form that is not accepted',
}

const withArticle = (type: unknown): string => {
  if (type === 'null') return 'null'
  return /^[aeio]/.test(String(type)) ? `an ${type}` : `a ${type}`
}

const oneOf = (accepted: unknown): string => {
  const values = (Array.isArray(accepted) ? accepted : []).slice(0, 10).map((value) => JSON.stringify(value))
  const rest = Array.isArray(accepted) && accepted.length > values.length ? ', …' : ''
  const text = values.join(', ').slice(0, 300)
  return values.length === 1 ? text : `one of ${text}${rest}`
}
