import type { Constraint } from '@narrowapi/contract'
import { ApiError, type ErrorDetail } from '../errors.ts'
import { isHostEntry } from './policy-host.ts'
import { keysOf } from './policy-pointer.ts'
import { isTimezone, type TimeWindow } from './policy-time.ts'
import { instantKind, instantOf } from './schema-instant.ts'
import type { JsonSchema } from './schema-keywords.ts'
import {
  common,
  formatsAt,
  itemsLocation,
  type JsonType,
  type Location,
  locationOf,
  rootLocation,
  typeOf,
  typesAt,
} from './schema-location.ts'
import { compilePattern, PatternError } from './schema-pattern.ts'

/**
 * Refuses constraints that could not mean what their author meant: about a field the schema does not have, of a
 * type the field cannot have, or impossible to read. All that is wrong is reported, not the first thing only.
 */
export const checkConstraints = (
  constraints: readonly Constraint[],
  schema: JsonSchema,
  field: string,
): void => {
  const problems =
    countAll(constraints) > maxConstraints
      ? wrong(field, `must hold at most ${maxConstraints} constraints, nested ones included`)
      : problemsOf(constraints, rootLocation(schema), field)
  if (problems.length === 0) return
  throw new ApiError('validation_failed', 'The constraints do not fit the input schema; see details', {
    details: problems.slice(0, 20),
  })
}

const maxConstraints = 200

const countAll = (constraints: readonly Constraint[]): number =>
  constraints.reduce((sum, constraint) => sum + 1 + countAll(insideOf(constraint)), 0)

const insideOf = (constraint: Constraint): readonly Constraint[] => {
  if (constraint.op === 'not') return [constraint.constraint]
  return 'constraints' in constraint ? constraint.constraints : []
}

const none: ErrorDetail[] = []
const wrong = (field: string, message: string): ErrorDetail[] => [{ field, message }]

const problemsOf = (constraints: readonly Constraint[], from: Location, field: string): ErrorDetail[] =>
  constraints.flatMap((constraint, index) => [
    ...problemsOfOne(constraint, from, `${field}.${index}`),
    ...(constraints.slice(0, index).some((earlier) => exclude(earlier, constraint))
      ? wrong(`${field}.${index}.value`, 'leaves no value: the min of this path is above its max')
      : none),
  ])

const problemsOfOne = (constraint: Constraint, from: Location, field: string): ErrorDetail[] => {
  switch (constraint.op) {
    case 'time_window':
      return problemsOfWindow(constraint, field)
    case 'any_of':
      // Alternatives may exclude each other, so each is looked at alone.
      return constraint.constraints.flatMap((inner, i) =>
        problemsOfOne(inner, from, `${field}.constraints.${i}`),
      )
    case 'not':
      return problemsOfOne(constraint.constraint, from, `${field}.constraint`)
    default:
      return problemsOfPath(constraint, from, field)
  }
}

const problemsOfPath = (constraint: WithPath, from: Location, field: string): ErrorDetail[] => {
  const at = locationOf(from, keysOf(constraint.path))
  if (at === null) return wrong(`${field}.path`, 'does not lead to a field of the input schema')
  if (constraint.op === 'required' || constraint.op === 'absent') return none
  const types = typesAt(at)
  const fitting = typesFor(constraint)
  if (!fitting.some((type) => types.has(type))) {
    return wrong(
      `${field}.op`,
      `is for ${fitting.join(', ')}; the field is ${[...types].join(', ') || 'never there'}`,
    )
  }
  if (constraint.op !== 'each') return problemsOfValue(constraint, at, from, `${field}.value`)
  const items = itemsLocation(at)
  return items === null
    ? wrong(`${field}.path`, 'leads to a list whose items the input schema does not describe')
    : problemsOf(constraint.constraints, items, `${field}.constraints`)
}

const problemsOfWindow = ({ from, to, timezone }: TimeWindow, field: string): ErrorDetail[] => [
  ...(isTimezone(timezone) ? none : wrong(`${field}.timezone`, 'is not a known IANA time zone')),
  ...(from === to ? wrong(`${field}.to`, 'must differ from the beginning of the window') : none),
]

type WithPath = Extract<Constraint, { path: string }>

/** The types an operator is for. */
const typesFor = (constraint: WithPath): readonly JsonType[] => {
  switch (constraint.op) {
    case 'min':
    case 'max':
      return typeof constraint.value === 'number' ? ['number'] : ['string']
    case 'multiple_of':
      return ['number']
    case 'pattern':
    case 'prefix':
    case 'suffix':
    case 'max_length':
    case 'host_in':
    case 'domain_in':
      return ['string']
    case 'max_items':
    case 'unique':
    case 'each':
      return ['array']
    case 'le_field':
    case 'ge_field':
      return ['number', 'string']
    default:
      return ['string', 'number', 'boolean', 'null']
  }
}

const problemsOfValue = (
  constraint: WithPath,
  at: Location,
  from: Location,
  field: string,
): ErrorDetail[] => {
  switch (constraint.op) {
    case 'eq':
    case 'in':
    case 'not_in':
      return problemsOfScalars([constraint.value].flat(), at, field)
    case 'min':
    case 'max':
      return typeof constraint.value === 'string' ? problemsOfDate(constraint.value, at, field) : none
    case 'pattern':
      return problemsOfPattern(constraint.value, field)
    case 'host_in':
    case 'domain_in':
      return constraint.value.flatMap((entry, index) =>
        isHostEntry(entry)
          ? none
          : wrong(`${field}.${index}`, 'must be a host name such as example.com, without scheme or port'),
      )
    case 'le_field':
    case 'ge_field':
    case 'eq_field':
      return problemsOfOther(constraint, at, from, field)
    default:
      return none
  }
}

const problemsOfScalars = (values: readonly unknown[], at: Location, field: string): ErrorDetail[] => {
  const types = typesAt(at)
  const isPossible = (value: unknown) => {
    const type = typeOf(value)
    return type !== undefined && types.has(type)
  }
  return values.every(isPossible) ? none : wrong(field, 'has a type that the field cannot have')
}

const problemsOfDate = (value: string, at: Location, field: string): ErrorDetail[] => {
  const formats = formatsAt(at)
  const kind = instantKind(value)
  if (!formats.has('date') && !formats.has('date-time')) {
    return wrong(field, 'must be a number, unless the schema says format: date or date-time')
  }
  if (kind !== null && formats.has(kind)) return none
  const example = formats.has('date') ? 'a date such as 2026-01-31' : 'a time such as 2026-01-31T09:00:00Z'
  return wrong(field, `must be ${example}`)
}

const problemsOfPattern = (source: string, field: string): ErrorDetail[] => {
  try {
    compilePattern(source)
    return none
  } catch (error) {
    if (error instanceof PatternError) return wrong(field, error.reason)
    throw error
  }
}

type OnTwoFields = Extract<Constraint, { op: 'le_field' | 'ge_field' | 'eq_field' }>

const problemsOfOther = (
  constraint: OnTwoFields,
  at: Location,
  from: Location,
  field: string,
): ErrorDetail[] => {
  const other = locationOf(from, keysOf(constraint.value))
  if (other === null) return wrong(field, 'does not lead to a field of the input schema')
  const types = common(typesAt(at), typesAt(other))
  if (constraint.op === 'eq_field') {
    return types.size > 0 ? none : wrong(field, 'leads to a field of another type, which is never equal')
  }
  const formats = common(formatsAt(at), formatsAt(other))
  const haveOrder =
    types.has('number') || (types.has('string') && (formats.has('date') || formats.has('date-time')))
  return haveOrder
    ? none
    : wrong(field, 'cannot be compared: both fields must be numbers, or dates of one format')
}

const exclude = (a: Constraint, b: Constraint): boolean => {
  if (a.op === 'max' && b.op === 'min') return exclude(b, a)
  if (a.op !== 'min' || b.op !== 'max' || a.path !== b.path) return false
  return rankOf(a.value) > rankOf(b.value)
}

const rankOf = (value: number | string): number =>
  typeof value === 'number' ? value : (instantOf(value) ?? Number.NaN)
