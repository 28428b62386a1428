import type { Action, Decision, Grant, Token } from '../../generated/client.ts'
import { apiError } from '../api-error.ts'
import { canonical, check, type Fields, isMultiple, isObject, type Schema } from '../schema.ts'

export interface Judgement {
  /** With the fixed inputs. */
  readonly input: Fields
  readonly decision: Decision
  readonly message: string
}

/** Whether a call may be sent: fixed inputs merged in, checked against the schema, judged by the constraints. */
export const judge = (
  action: Action,
  grant: Grant | null,
  token: Token | null,
  sent: Fields,
  now: Date,
): Judgement => {
  const fixed = { ...grant?.fixed_input, ...action.fixed_input }
  const twice = Object.keys(fixed).filter((name) => Object.hasOwn(sent, name))
  if (twice.length > 0) {
    throw apiError('validation_failed', {
      message: 'Leave out the fields whose values are fixed',
      details: twice.map((field) => ({ field, message: 'is fixed for this token or action; leave it out' })),
    })
  }
  const input = { ...sent, ...fixed }
  const { details } = checkAgainst(action.input_schema, input)
  if (details.length > 0) {
    const message = 'The input does not fit the schema of this action'
    throw apiError('validation_failed', { message, details })
  }
  const policy_revision = `action:${action.version}${token ? ` token:${token.updated_at}` : ''}`
  const matched: string[] = []
  for (const [level, constraints] of [
    ['action', action.constraints],
    ['token', grant?.constraints ?? []],
  ] as const) {
    for (const [index, constraint] of constraints.entries()) {
      const rule = `${level}.constraints.${index}`
      const refusal = refusalOf(constraint, input, '', now)
      if (refusal) {
        const { path, accepted, message } = refusal
        return {
          input,
          message,
          decision: { allowed: false, policy_revision, matched: [], rule, path, accepted },
        }
      }
      matched.push(rule)
    }
  }
  const decision = { allowed: true, policy_revision, matched, rule: null, path: null, accepted: null }
  return { input, decision, message: '' }
}

/** References in an action's own schema are local. */
export const checkAgainst = (schema: Schema, value: unknown) =>
  check(schema, value, { resolve: (ref) => readPointer(schema, ref.replace(/^#/, '')) as Schema | undefined })

interface Refusal {
  readonly path: string
  readonly accepted: unknown
  readonly message: string
}

/** Any of the generated union: which members are there, the operator decides. */
export interface AnyConstraint {
  readonly op: string
  readonly path?: string
  readonly value?: unknown
  readonly constraints?: readonly AnyConstraint[]
  readonly constraint?: AnyConstraint
  readonly days?: readonly string[]
  readonly from?: string
  readonly to?: string
  readonly timezone?: string
}

/** `at` is where the input stands, for constraints inside `each`. `not` is carried inwards to the values. */
const refusalOf = (
  constraint: AnyConstraint,
  input: unknown,
  at: string,
  now: Date,
  isNegated = false,
): Refusal | null => {
  const { op, path = '', value, constraints = [], constraint: inner, ...window } = constraint
  const refuse = (accepted: unknown): Refusal => ({
    path: at + path,
    accepted: isNegated ? { not: accepted } : accepted,
    message: `${path || 'The item'} ${isNegated ? 'has a value that is not accepted' : wordsFor(op, value)}`,
  })
  const found = readPointer(input, path)
  switch (op) {
    case 'not':
      return inner ? refusalOf(inner, input, at, now, !isNegated) : null
    case 'any_of': {
      const refusals = constraints.map((one) => refusalOf(one, input, at, now, isNegated))
      if (isNegated) return refusals.find((refusal) => refusal !== null) ?? null
      const message = 'The input satisfies none of the accepted alternatives'
      return refusals.includes(null) ? null : { path: at, accepted: constraints, message }
    }
    case 'each': {
      if (found === undefined) return null
      if (!Array.isArray(found)) return refuse(constraints)
      const refusals = found.flatMap((item, index) =>
        constraints.map((one) => refusalOf(one, item, `${at}${path}/${index}`, now, isNegated)),
      )
      const message = `${path || 'The item'} holds only items that are not accepted`
      if (isNegated) return refusals.includes(null) ? null : { ...refuse(constraints), message }
      return refusals.find((refusal) => refusal !== null) ?? null
    }
    case 'time_window':
      return isOpen(window, now) === !isNegated
        ? null
        : { ...refuse(window), path: '', message: 'This is not allowed at this time' }
    case 'required':
    case 'absent': {
      const isWanted = (op === 'required') !== isNegated
      const message = `${path || 'The item'} ${isWanted ? 'is required' : 'must be left out'}`
      return (found !== undefined) === isWanted
        ? null
        : { ...refuse(null), accepted: isWanted ? 'any value' : null, message }
    }
    case 'le_field':
    case 'ge_field':
    case 'eq_field': {
      const other = readPointer(input, String(value))
      if (found === undefined || other === undefined) return null
      const message = `${path || 'The item'} ${isNegated ? 'must not' : 'must'} ${relations[op]} ${value || 'the item'}`
      return holdsBetween(op, found, other) === !isNegated ? null : { ...refuse({ [op]: value }), message }
    }
    default:
      if (found === undefined) return null
      return holds(op, found, value) === !isNegated ? null : refuse(value ?? true)
  }
}

const relations = { le_field: 'be at most', ge_field: 'be at least', eq_field: 'equal' } as const

const wordsFor = (op: string, value: unknown): string => {
  const words: { readonly [op: string]: string } = {
    eq: 'must have the accepted value',
    in: 'must have one of the accepted values',
    not_in: 'must not have one of these values',
    min: `must be at least ${value}`,
    max: `must be at most ${value}`,
    multiple_of: `must be a multiple of ${value}`,
    pattern: 'must match the accepted pattern',
    prefix: 'must begin as accepted',
    suffix: 'must end as accepted',
    max_length: `must have at most ${value} characters`,
    max_items: `must have at most ${value} items`,
    host_in: 'must be a URL of an accepted host',
    domain_in: 'must be an address in an accepted domain',
    unique: 'must not hold the same item twice',
    each: 'must be a list',
  }
  return words[op] ?? 'is not accepted'
}

/** Undefined when it cannot be told, which refuses with `not` and without. */
const holds = (op: string, found: unknown, value: unknown): boolean | undefined => {
  const text = typeof found === 'string' ? found : undefined
  switch (op) {
    case 'eq':
      return found === value
    case 'in':
      return Array.isArray(value) && value.includes(found)
    case 'not_in':
      return Array.isArray(value) && !value.includes(found)
    case 'min':
      return ordered(found, value, (order) => order >= 0)
    case 'max':
      return ordered(found, value, (order) => order <= 0)
    case 'multiple_of':
      return typeof found === 'number' ? isMultiple(found, Number(value)) : undefined
    case 'pattern':
      return text === undefined ? undefined : new RegExp(String(value), 'u').test(text)
    case 'prefix':
      return text?.startsWith(String(value))
    case 'suffix':
      return text?.endsWith(String(value))
    case 'max_length':
      return text === undefined ? undefined : [...text].length <= Number(value)
    case 'max_items':
      return Array.isArray(found) ? found.length <= Number(value) : undefined
    case 'unique':
      return Array.isArray(found) ? new Set(found.map(canonical)).size === found.length : undefined
    case 'host_in':
      return text !== undefined && URL.canParse(text) ? isListed(new URL(text).hostname, value) : undefined
    case 'domain_in':
      return /^[^@]+@[^@]+$/.test(text ?? '') ? isListed(text?.split('@')[1] ?? '', value) : undefined
    default:
      return undefined
  }
}

const isListed = (host: string, listed: unknown): boolean =>
  Array.isArray(listed) &&
  listed.some((entry) => {
    const [name, wanted] = [host.toLowerCase(), String(entry).toLowerCase()]
    return wanted.startsWith('*.') ? name.endsWith(wanted.slice(1)) : name === wanted
  })

const holdsBetween = (op: string, a: unknown, b: unknown): boolean | undefined => {
  if (op === 'eq_field') return canonical(a) === canonical(b)
  return ordered(a, b, (order) => (op === 'le_field' ? order <= 0 : order >= 0))
}

/** Numbers and moments have an order; nothing else has. */
const ordered = (a: unknown, b: unknown, holds: (order: number) => boolean): boolean | undefined => {
  const [left, right] = typeof a === 'number' && typeof b === 'number' ? [a, b] : [momentOf(a), momentOf(b)]
  return Number.isNaN(left) || Number.isNaN(right) ? undefined : holds(left - right)
}

const momentOf = (value: unknown): number =>
  typeof value === 'string' && /^\d{4}-\d\d-\d\d/.test(value) ? Date.parse(value) : Number.NaN

const isOpen = (
  { days = [], from = '', to = '', timezone = 'UTC' }: Partial<AnyConstraint>,
  now: Date,
): boolean => {
  const parts = Object.fromEntries(
    new Intl.DateTimeFormat('en-GB', {
      timeZone: timezone,
      weekday: 'short',
      hour: '2-digit',
      minute: '2-digit',
      hourCycle: 'h23',
    })
      .formatToParts(now)
      .map(({ type, value }) => [type, value]),
  )
  const time = `${parts.hour}:${parts.minute}`
  const today = weekdays.indexOf(String(parts.weekday).toLowerCase())
  const isDay = (offset: number) => days.includes(weekdays[(today + offset) % 7] ?? '')
  if (to > from) return isDay(0) && time >= from && time < to
  // It ends on the day after the one it is named for.
  return (isDay(0) && time >= from) || (isDay(6) && time < to)
}

const weekdays = ['mon', 'tue', 'wed', 'thu', 'fri', 'sat', 'sun']

/** RFC 6901; undefined where nothing is. */
const readPointer = (value: unknown, pointer: string): unknown =>
  pointer
    .split('/')
    .slice(1)
    .map((part) => part.replaceAll('~1', '/').replaceAll('~0', '~'))
    .reduce<unknown>(
      (inner, key) =>
        (isObject(inner) || Array.isArray(inner)) && Object.hasOwn(inner, key)
          ? Reflect.get(inner, key)
          : undefined,
      value,
    )
