import type { Constraint } from '@narrowapi/sdk'
import { isObject } from './reference.ts'
import { code, literal } from './text.ts'

/**
 * The constraints of an action and a token, by the place of the input they speak of. What they say in words
 * becomes documentation, and what a type can say narrows the type.
 */
export interface Rules {
  readonly here: Constraint[]
  readonly members: Map<string, Rules>
  readonly items: Rules | null
}

/** Checked as far as it is read here. What only a newer server knows is shown as it is. */
export const isConstraint = (rule: unknown): rule is Constraint => {
  if (!isObject(rule)) return false
  const { op, path = '', value, constraints, constraint, days } = rule
  if (typeof op !== 'string' || typeof path !== 'string') return false
  switch (op) {
    case 'in':
    case 'not_in':
    case 'host_in':
    case 'domain_in':
      return Array.isArray(value)
    case 'pattern':
    case 'prefix':
    case 'suffix':
    case 'le_field':
    case 'ge_field':
    case 'eq_field':
      return typeof value === 'string'
    case 'each':
    case 'any_of':
      return Array.isArray(constraints) && constraints.every(isConstraint)
    case 'not':
      return isConstraint(constraint)
    case 'time_window':
      return Array.isArray(days)
    default:
      return true
  }
}

export const noRules: Rules = { here: [], members: new Map(), items: null }

type Tree = { here: Constraint[]; members: Map<string, Tree>; items: Tree | null }

export const rulesOf = (constraints: readonly Constraint[]): Rules => {
  if (constraints.length === 0) return noRules
  const root = newTree()
  for (const constraint of constraints) addTo(root, constraint)
  return root
}

const newTree = (): Tree => ({ here: [], members: new Map(), items: null })

const addTo = (tree: Tree, constraint: Constraint): void => {
  // Without one place, it is told with the input as a whole.
  if (!('path' in constraint)) return
  const place = segmentsOf(constraint.path).reduce((at, name) => {
    const member = at.members.get(name) ?? newTree()
    at.members.set(name, member)
    return member
  }, tree)
  place.here.push(constraint)
  if (constraint.op !== 'each') return
  place.items ??= newTree()
  for (const inner of constraint.constraints) addTo(place.items, inner)
}

const segmentsOf = (pointer: string): string[] =>
  pointer
    .split('/')
    .slice(1)
    .map((part) => part.replaceAll('~1', '/').replaceAll('~0', '~'))

/** Whether something at or under this place must be given, so that the place itself must be. */
export const isRequired = (rules: Rules): boolean =>
  rules.here.some(({ op }) => op === 'required') || [...rules.members.values()].some(isRequired)

export const isAbsent = (rules: Rules): boolean => rules.here.some(({ op }) => op === 'absent')

/** Whether the constraints of a place leave a value, and if they name values, which. */
export const narrowing = ({
  here,
}: Rules): { only: readonly unknown[] | null; isLeft: (value: unknown) => boolean } => {
  const accepted = here.flatMap((rule) =>
    rule.op === 'eq' ? [[rule.value]] : rule.op === 'in' ? [rule.value] : [],
  )
  const refused = here.flatMap((rule) => (rule.op === 'not_in' ? rule.value : []))
  return {
    only: accepted[0] ?? null,
    isLeft: (value) =>
      accepted.every((values) => (values as readonly unknown[]).includes(value)) &&
      !(refused as readonly unknown[]).includes(value),
  }
}

/** A constraint on one value in words that follow "Accepted:"; empty when the type says it. */
export const inWords = (rule: Constraint): string => {
  switch (rule.op) {
    case 'eq':
      return shown(rule.value)
    case 'in':
      return `one of ${list(rule.value)}`
    case 'not_in':
      return `none of ${list(rule.value)}`
    case 'min':
      return `at least ${shown(rule.value)}`
    case 'max':
      return `at most ${shown(rule.value)}`
    case 'multiple_of':
      return `multiples of ${rule.value}`
    case 'pattern':
      return `what matches ${code(rule.value)}`
    case 'prefix':
      return `what begins with ${code(rule.value)}`
    case 'suffix':
      return `what ends with ${code(rule.value)}`
    case 'max_length':
      return `at most ${count(rule.value, 'character')}`
    case 'max_items':
      return `at most ${count(rule.value, 'item')}`
    case 'host_in':
      return `URLs at ${list(rule.value)}`
    case 'domain_in':
      return `addresses at ${list(rule.value)}`
    case 'unique':
      return 'no item twice'
    case 'required':
      return 'must be given'
    case 'absent':
      return 'must be left out'
    case 'each':
      return `for each item: ${rule.constraints.map(whole).join(' and ')}`
    case 'le_field':
      return `at most what ${code(rule.value)} is`
    case 'ge_field':
      return `at least what ${code(rule.value)} is`
    case 'eq_field':
      return `the same as ${code(rule.value)}`
    case 'time_window':
      return `calls on ${rule.days.join(', ')} from ${rule.from} to ${rule.to} in ${rule.timezone}`
    case 'any_of':
      return rule.constraints.map(whole).join(', or ')
    case 'not':
      return `not: ${whole(rule.constraint)}`
    default:
      // A newer server may know more than this version.
      return code(JSON.stringify(rule satisfies never))
  }
}

/** The same with the place in front. */
export const whole = (rule: Constraint): string =>
  'path' in rule && rule.path !== '' ? `${code(rule.path)}: ${inWords(rule)}` : inWords(rule)

export const count = (number: number, unit: string): string => `${number} ${unit}${number === 1 ? '' : 's'}`

const shown = (value: unknown): string =>
  code(typeof value === 'string' ? literal(value) : (JSON.stringify(value) ?? String(value)))

const list = (values: readonly unknown[]): string => {
  const first = values.slice(0, MAX_LISTED).map(shown).join(', ')
  return values.length > MAX_LISTED ? `${first} and ${values.length - MAX_LISTED} more` : first
}

const MAX_LISTED = 20
