import type { Constraint } from '@narrowapi/contract'
import { canonicalText } from '../canonical-json.ts'
import { domainOfEmail, hostOfUrl, toHostList } from './policy-host.ts'
import { toReader } from './policy-pointer.ts'
import { toTimeWindow } from './policy-time.ts'
import { instantKind, instantOf } from './schema-instant.ts'
import { isMultipleOf } from './schema-number.ts'
import { compilePattern, type Pattern } from './schema-pattern.ts'

/** Why an input is refused: never what it holds, only where, and what would be accepted there. */
export type Refusal = { path: string; accepted: unknown; message: string }

/** A constraint made ready to be asked often. `at` is where the input stands, for constraints inside `each`. */
export type Rule = (input: unknown, at: string, now: Date) => Refusal | null

/** Undefined when it cannot be told. That refuses, whether the constraint stands under a `not` or does not. */
type Test = (value: unknown) => boolean | undefined

/**
 * Expects a constraint that `checkConstraints` has accepted. `not` is carried inwards to the single values,
 * where two things are the same with and without it: an absent value is accepted, and a value that cannot be
 * judged (a text with two at signs, to an operator on domains) is refused.
 */
export const toRule = (constraint: Constraint, isNegated = false): Rule => {
  switch (constraint.op) {
    case 'not':
      return toRule(constraint.constraint, !isNegated)
    case 'any_of': {
      const rules = constraint.constraints.map((inner) => toRule(inner, isNegated))
      return isNegated ? all(rules) : anyOf(rules, constraint.constraints)
    }
    case 'each':
      return isNegated ? notEach(constraint) : each(constraint)
    case 'time_window':
      return timeWindow(constraint, isNegated)
    case 'le_field':
    case 'ge_field':
    case 'eq_field':
      return onTwoFields(constraint, isNegated)
    case 'required':
    case 'absent':
      return presence(constraint.path, (constraint.op === 'required') !== isNegated)
    default:
      return onOneValue(constraint, isNegated)
  }
}

type Of<Op extends Constraint['op']> = Extract<Constraint, { op: Op }>
type OnTwoFields = Of<'le_field' | 'ge_field' | 'eq_field'>

type OnOneValue = Exclude<
  Constraint,
  {
    op:
      | 'any_of'
      | 'not'
      | 'each'
      | 'time_window'
      | 'le_field'
      | 'ge_field'
      | 'eq_field'
      | 'required'
      | 'absent'
  }
>

const onOneValue = (constraint: OnOneValue, isNegated: boolean): Rule => {
  const { path } = constraint
  const read = toReader(path)
  const { test, says } = toTest(constraint)
  const value = 'value' in constraint ? constraint.value : true
  const accepted = isNegated ? { not: value } : value
  const message = isNegated ? `${named(path)} has a value that is not accepted` : `${named(path)} ${says}`
  return (input, at) => {
    const found = read(input)
    return found === undefined || test(found) === !isNegated ? null : { path: at + path, accepted, message }
  }
}

const named = (path: string) => path || 'The item'

const toTest = (constraint: OnOneValue): { test: Test; says: string } => {
  switch (constraint.op) {
    case 'eq':
      return { test: onScalar((value) => value === constraint.value), says: 'must have the accepted value' }
    case 'in': {
      const accepted = new Set<unknown>(constraint.value)
      return { test: onScalar((value) => accepted.has(value)), says: 'must have one of the accepted values' }
    }
    case 'not_in': {
      const refused = new Set<unknown>(constraint.value)
      return { test: onScalar((value) => !refused.has(value)), says: 'must not have one of these values' }
    }
    case 'min':
      return {
        test: onOrder(constraint.value, (order) => order >= 0),
        says: `must be at least ${constraint.value}`,
      }
    case 'max':
      return {
        test: onOrder(constraint.value, (order) => order <= 0),
        says: `must be at most ${constraint.value}`,
      }
    case 'multiple_of': {
      const step = constraint.value
      return {
        test: (value) => (typeof value === 'number' ? isMultipleOf(value, step) : undefined),
        says: `must be a multiple of ${step}`,
      }
    }
    case 'pattern':
      return { test: onPattern(compilePattern(constraint.value)), says: 'must match the accepted pattern' }
    case 'prefix':
      return { test: onText((text) => text.startsWith(constraint.value)), says: 'must begin as accepted' }
    case 'suffix':
      return { test: onText((text) => text.endsWith(constraint.value)), says: 'must end as accepted' }
    case 'max_length':
      return {
        test: onText((text) => text.length <= constraint.value || [...text].length <= constraint.value),
        says: `must have at most ${constraint.value} characters`,
      }
    case 'host_in':
      return {
        test: onHost(hostOfUrl, toHostList(constraint.value)),
        says: 'must be a URL of an accepted host',
      }
    case 'domain_in':
      return {
        test: onHost(domainOfEmail, toHostList(constraint.value)),
        says: 'must be an address in an accepted domain',
      }
    case 'max_items':
      return {
        test: (value) => (Array.isArray(value) ? value.length <= constraint.value : undefined),
        says: `must have at most ${constraint.value} items`,
      }
    case 'unique':
      return {
        test: (value) =>
          Array.isArray(value) ? new Set(value.map(canonicalText)).size === value.length : undefined,
        says: 'must not hold the same item twice',
      }
    default:
      return constraint satisfies never
  }
}

const presence = (path: string, isRequired: boolean): Rule => {
  const read = toReader(path)
  const says = isRequired ? 'is required' : 'must be left out'
  const refusal = { accepted: isRequired ? 'any value' : null, message: `${named(path)} ${says}` }
  return (input, at) => ((read(input) !== undefined) === isRequired ? null : { path: at + path, ...refusal })
}

const timeWindow = (constraint: Of<'time_window'>, isNegated: boolean): Rule => {
  const { op: _, ...window } = constraint
  const isOpen = toTimeWindow(constraint)
  const accepted = isNegated ? { not: window } : window
  const refusal = { path: '', accepted, message: 'This is not allowed at this time' }
  return (_input, _at, now) => (isOpen(now) === !isNegated ? null : refusal)
}

const onTwoFields = (constraint: OnTwoFields, isNegated: boolean): Rule => {
  const { op, path, value: other } = constraint
  const read = toReader(path)
  const readOther = toReader(other)
  const { holds, says } = relations[op]
  const message = `${named(path)} ${isNegated ? 'must not' : 'must'} ${says} ${other || 'the item'}`
  const refusal = { accepted: isNegated ? { not: { [op]: other } } : { [op]: other }, message }
  return (input, at) => {
    const [a, b] = [read(input), readOther(input)]
    if (a === undefined || b === undefined || holds(a, b) === !isNegated) return null
    return { path: at + path, ...refusal }
  }
}

type Relation = { holds: (a: unknown, b: unknown) => boolean | undefined; says: string }

const relations: Readonly<Record<OnTwoFields['op'], Relation>> = {
  le_field: { holds: (a, b) => known(compare(a, b), (order) => order <= 0), says: 'be at most' },
  ge_field: { holds: (a, b) => known(compare(a, b), (order) => order >= 0), says: 'be at least' },
  eq_field: { holds: (a, b) => canonicalText(a) === canonicalText(b), says: 'equal' },
}

const all =
  (rules: readonly Rule[]): Rule =>
  (input, at, now) => {
    for (const rule of rules) {
      const refusal = rule(input, at, now)
      if (refusal !== null) return refusal
    }
    return null
  }

const anyOf = (rules: readonly Rule[], accepted: unknown): Rule => {
  const message = 'The input satisfies none of the accepted alternatives'
  return (input, at, now) =>
    rules.some((rule) => rule(input, at, now) === null) ? null : { path: at, accepted, message }
}

const each = ({ path, constraints }: Of<'each'>): Rule => {
  const read = toReader(path)
  const onItem = all(constraints.map((inner) => toRule(inner)))
  return (input, at, now) => {
    const items = read(input)
    if (items === undefined) return null
    if (!Array.isArray(items)) {
      return { path: at + path, accepted: constraints, message: `${named(path)} must be a list` }
    }
    for (const [index, item] of items.entries()) {
      const refusal = onItem(item, `${at}${path}/${index}`, now)
      if (refusal !== null) return refusal
    }
    return null
  }
}

/** Some item must break some constraint; an empty list has none that does. */
const notEach = ({ path, constraints }: Of<'each'>): Rule => {
  const read = toReader(path)
  const broken = constraints.map((inner) => toRule(inner, true))
  const message = `${named(path)} holds only items that are not accepted`
  return (input, at, now) => {
    const items = read(input)
    const isBroken = (item: unknown) => broken.some((rule) => rule(item, '', now) === null)
    if (items === undefined || (Array.isArray(items) && items.some(isBroken))) return null
    return { path: at + path, accepted: { not: constraints }, message }
  }
}

/** Below, at or above zero as `a` comes before, at or after `b`; undefined when they have no order. */
const compare = (a: unknown, b: unknown): number | undefined => {
  if (typeof a === 'number' && typeof b === 'number') return a === b ? 0 : a - b
  if (typeof a !== 'string' || typeof b !== 'string') return undefined
  const kind = instantKind(a)
  if (kind === null || kind !== instantKind(b)) return undefined
  return Number(instantOf(a)) - Number(instantOf(b))
}

const onOrder = (bound: number | string, holds: (order: number) => boolean): Test => {
  const order = orderTo(bound)
  return (value) => known(order(value), holds)
}

/** `compare` with a bound that is read once. */
const orderTo = (bound: number | string): ((value: unknown) => number | undefined) => {
  if (typeof bound === 'number') return (value) => compare(value, bound)
  const [kind, instant] = [instantKind(bound), Number(instantOf(bound))]
  return (value) =>
    typeof value === 'string' && kind !== null && instantKind(value) === kind
      ? Number(instantOf(value)) - instant
      : undefined
}

const known = <T>(value: T | undefined, holds: (value: T) => boolean | undefined): boolean | undefined =>
  value === undefined ? undefined : holds(value)

const onScalar =
  (test: (value: unknown) => boolean): Test =>
  (value) =>
    typeof value === 'object' && value !== null ? undefined : test(value)

const onText =
  (test: (text: string) => boolean | undefined): Test =>
  (value) =>
    typeof value === 'string' ? test(value) : undefined

const onHost = (hostOf: (text: string) => string | null, isAccepted: (host: string) => boolean) =>
  onText((text) => known(hostOf(text) ?? undefined, isAccepted))

// Linear time is not enough for a long text under a large pattern; beyond this it cannot be told.
const maxSteps = 5_000_000
const onPattern = (pattern: Pattern) =>
  onText((text) => (text.length * pattern.size <= maxSteps ? pattern.test(text) : undefined))
