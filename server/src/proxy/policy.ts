import type { Constraint } from '@narrowapi/contract'
import { ApiError } from '../errors.ts'
import { keysOf } from './policy-pointer.ts'
import { type Rule, toRule } from './policy-rule.ts'
import { compileSchema, type JsonSchema } from './schema.ts'
import { isSchemaObject, subschemas } from './schema-keywords.ts'

export { checkConstraints } from './policy-check.ts'

export type Level = {
  readonly name: 'action' | 'token' | 'workspace'
  readonly constraints: readonly Constraint[]
}

/** `rule` and `matched` name constraints by where they are written, such as `token.constraints.0`. */
export type Decision =
  | { allowed: true; matched: string[] }
  | {
      allowed: false
      constraint: Constraint
      rule: string
      path: string
      accepted: unknown
      message: string
    }

/**
 * Whether the constraints of every level hold for an input that is already valid. One that does not hold
 * refuses the input, whatever the others say. An absent value satisfies every constraint but `required`.
 * `now` is what `time_window` looks at.
 */
export const decide = (levels: readonly Level[], input: unknown, now: Date): Decision => {
  const matched: string[] = []
  for (const { name, constraints } of levels) {
    const rules = rulesOf(constraints)
    for (const [i, constraint] of constraints.entries()) {
      const refusal = rules[i]?.(input, '', now)
      const rule = `${name}.constraints.${i}`
      if (refusal) return { allowed: false, constraint, rule, ...refusal }
      matched.push(rule)
    }
  }
  return { allowed: true, matched }
}

// A list of constraints is never changed in place, so its rules live as long as it does.
const rulesOf = (constraints: readonly Constraint[]): readonly Rule[] => {
  const known = compiled.get(constraints)
  if (known !== undefined) return known
  const rules = constraints.map((constraint) => toRule(constraint))
  compiled.set(constraints, rules)
  return rules
}

const compiled = new WeakMap<readonly Constraint[], readonly Rule[]>()

type Fields = Readonly<Record<string, unknown>>

/** Adds the fixed fields to a caller's input. A caller may not send them, not even with the same value. */
export const mergeFixed = (input: unknown, fixed: Fields): unknown => {
  // What is not an object is left for the schema to refuse.
  const names = Object.keys(fixed)
  if (names.length === 0 || !isSchemaObject(input)) return input
  const details = names
    .filter((name) => Object.hasOwn(input, name))
    .map((field) => ({ field, message: 'is fixed for this token or action; leave it out' }))
  if (details.length > 0) {
    throw new ApiError('validation_failed', 'Leave out the fields whose values are fixed', { details })
  }
  return { ...input, ...fixed }
}

/** What is said of a fixed input tells of its value. */
export const namesInput = (constraint: Constraint, fixed: Fields): boolean => {
  if (constraint.op === 'not') return namesInput(constraint.constraint, fixed)
  if (constraint.op === 'any_of') return constraint.constraints.some((inner) => namesInput(inner, fixed))
  if (constraint.op === 'time_window') return false
  const isFixed = (path: string) => Object.hasOwn(fixed, keysOf(path)[0] ?? '')
  switch (constraint.op) {
    case 'le_field':
    case 'ge_field':
    case 'eq_field':
      return isFixed(constraint.path) || isFixed(constraint.value)
    default:
      return isFixed(constraint.path)
  }
}

/** Refuses fixed input that no call could be made with: unknown names, or values their schemas refuse. */
export const checkFixedInput = (fixed: Fields, schema: JsonSchema, field: string): void => {
  const properties = isSchemaObject(schema.properties) ? schema.properties : {}
  const unknown = Object.keys(fixed).filter((name) => !Object.hasOwn(properties, name))
  const shared = Object.keys(fixed).filter((name) => isReferredTo(schema, name))
  const { $defs = {}, definitions = {} } = schema
  // What else the root demands, the caller may still send.
  const wrong = compileSchema({ type: 'object', properties, $defs, definitions })(fixed) ?? []
  const details = [
    ...unknown.map((name) => ({ field: name, message: 'is not a property of the input schema' })),
    ...shared.map((name) => ({
      field: name,
      message: 'cannot be fixed: other parts of the schema refer to it; move its schema to $defs',
    })),
    ...wrong,
  ].map((detail) => ({ ...detail, field: `${field}.${detail.field}` }))
  if (details.length > 0) {
    throw new ApiError('validation_failed', 'The fixed input does not fit the input schema', { details })
  }
}

// Fixed properties are cut from the schema that is shown, and a reference into them would then lead nowhere.
const isReferredTo = (schema: unknown, name: string): boolean =>
  isSchemaObject(schema) &&
  ((typeof schema.$ref === 'string' && `${schema.$ref}/`.startsWith(`#/properties/${name}/`)) ||
    subschemas(schema).some((inner) => isReferredTo(inner.schema, name)))
