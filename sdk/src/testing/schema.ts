import type { ErrorDetail } from '../errors.ts'
import type { ErrorCode } from '../generated/errors.ts'

/** One operation of the API, as the mock serves it. */
export interface OperationRow {
  readonly method: string
  readonly path: string
  /** Default `key`. */
  readonly auth?: 'key' | 'token' | 'none'
  readonly scope?: string
  /** The audit event a success leaves. */
  readonly audit?: string
  /** Of a success; default 200. */
  readonly status?: number
  /** The name of what a success holds, or of the objects of its page. */
  readonly answer?: string
  readonly paged?: true
  /** Answers carry an ETag, changes honour If-Match. */
  readonly versioned?: true
  /** The codes it may answer beside those of every operation. */
  readonly raises?: readonly ErrorCode[]
}

/** The part of JSON Schema that the contract uses; an action's own schema may say more, which is not looked at. */
export interface Schema {
  readonly $ref?: string
  readonly type?: string | readonly string[]
  readonly format?: string
  readonly const?: unknown
  readonly enum?: readonly unknown[]
  readonly allOf?: readonly Schema[]
  readonly anyOf?: readonly Schema[]
  readonly oneOf?: readonly Schema[]
  readonly not?: Schema
  readonly properties?: { readonly [name: string]: Schema }
  readonly required?: readonly string[]
  readonly additionalProperties?: boolean | Schema
  readonly propertyNames?: Schema
  readonly items?: Schema
  readonly default?: unknown
  readonly examples?: readonly unknown[]
  readonly pattern?: string
  readonly minLength?: number
  readonly maxLength?: number
  readonly minimum?: number
  readonly maximum?: number
  readonly exclusiveMinimum?: number
  readonly exclusiveMaximum?: number
  readonly multipleOf?: number
  readonly minItems?: number
  readonly maxItems?: number
  readonly uniqueItems?: boolean
  readonly minProperties?: number
  readonly maxProperties?: number
}

/** A page as it is sent: without the methods a client adds. */
export interface PageData<Item> {
  /** Always `list`. */
  readonly object: 'list'
  /** The objects of this page. */
  readonly data: readonly Item[]
  /** Whether another page follows. */
  readonly has_more: boolean
  /** What to send as `cursor` for the next page; null on the last. */
  readonly next_cursor: string | null
}

export interface CheckOptions {
  /** What `$ref` means. */
  readonly resolve: (ref: string) => Schema | undefined
  /**
   * Fill in defaults, write moments in UTC and complain in the words of the API, as for what it is sent. Default:
   * leave the value as it is and use the words of JSON Schema, as for the input of an action.
   */
  readonly fill?: boolean
}

/** What is wrong with a value, by dotted path, and the value with its defaults. */
export const check = (
  schema: Schema,
  value: unknown,
  options: CheckOptions,
): { value: unknown; details: ErrorDetail[] } => {
  const details: ErrorDetail[] = []
  return { value: visit(schema, value, [], { ...options, details }), details }
}

interface Visit extends CheckOptions {
  readonly details: ErrorDetail[]
}

type Path = readonly (string | number)[]

const visit = (schema: Schema, given: unknown, path: Path, context: Visit): unknown => {
  const value = given === undefined && context.fill ? structuredClone(schema.default) : given
  if (schema.$ref !== undefined) return visit(context.resolve(schema.$ref) ?? {}, value, path, context)
  const complain = (message: string, at: Path = path): void => {
    context.details.push({ field: at.join('.'), message })
  }
  const types = schema.type === undefined ? [] : [schema.type].flat()
  if (types.length > 0 && !types.some((type) => isOfType(value, type))) {
    const wanted = types.filter((type) => type !== 'null')
    complain(
      value === undefined
        ? 'is required'
        : `must be ${wanted.map((type) => withArticle(type, context)).join(' or ')}`,
    )
    return value
  }
  if (value === null && types.includes('null')) return value
  if ('const' in schema && !same(value, schema.const)) complain(`must be ${JSON.stringify(schema.const)}`)
  if (schema.enum && !schema.enum.some((one) => same(one, value))) {
    complain(value === undefined ? 'is required' : mustBeOneOf(schema.enum, context))
  }
  for (const part of schema.allOf ?? []) visit(part, value, path, context)
  if (schema.not && isFit(schema.not, value, context)) complain('has a form that is not accepted')
  const options = schema.anyOf ?? schema.oneOf
  if (options) return choose(options, value, path, context)
  if (typeof value === 'string') return visitText(schema, value, complain, context)
  if (typeof value === 'number') visitNumber(schema, value, complain)
  if (Array.isArray(value)) return visitList(schema, value, path, complain, context)
  return isObject(value) ? visitObject(schema, value, path, context) : value
}

type Complain = (message: string, at?: Path) => void

const visitText = (schema: Schema, value: string, complain: Complain, { fill }: Visit): string => {
  const { minLength = 0, maxLength = Number.POSITIVE_INFINITY, pattern, format } = schema
  const { length } = [...value]
  if (length < minLength)
    complain(minLength === 1 && fill ? 'must not be empty' : `must have at least ${minLength} characters`)
  if (length > maxLength) complain(`must have at most ${maxLength} characters`)
  if (pattern !== undefined && !new RegExp(pattern, 'u').test(value))
    complain(fill ? 'is not of the right form' : `must match the pattern ${pattern}`)
  const known = format === undefined ? undefined : formats[format]
  if (known?.test(value) === false) {
    complain(
      fill && format === 'date-time' ? `must be an RFC 3339 date and time such as ${MOMENT}` : known.says,
    )
  }
  return fill && format === 'date-time' && isMoment(value) ? new Date(value).toISOString() : value
}

const visitNumber = (schema: Schema, value: number, complain: Complain): void => {
  const { minimum, maximum, exclusiveMinimum, exclusiveMaximum, multipleOf } = schema
  if (minimum !== undefined && value < minimum) complain(`must be at least ${minimum}`)
  if (maximum !== undefined && value > maximum) complain(`must be at most ${maximum}`)
  if (exclusiveMinimum !== undefined && value <= exclusiveMinimum)
    complain(`must be greater than ${exclusiveMinimum}`)
  if (exclusiveMaximum !== undefined && value >= exclusiveMaximum)
    complain(`must be less than ${exclusiveMaximum}`)
  if (multipleOf !== undefined && !isMultiple(value, multipleOf))
    complain(`must be a multiple of ${multipleOf}`)
}

/** Decimal fractions have no exact form, so 0.3 is a multiple of 0.1 only within the error of a division. */
export const isMultiple = (value: number, step: number): boolean => {
  const times = value / step
  return Math.abs(times - Math.round(times)) < 1e-9 * Math.max(1, Math.abs(times))
}

const visitList = (
  schema: Schema,
  value: readonly unknown[],
  path: Path,
  complain: Complain,
  context: Visit,
): unknown => {
  const { minItems = 0, maxItems = Number.POSITIVE_INFINITY, uniqueItems, items } = schema
  const entries = context.fill ? 'entries' : 'items'
  if (value.length < minItems) complain(`must have at least ${minItems} ${entries}`)
  if (value.length > maxItems) complain(`must have at most ${maxItems} ${entries}`)
  if (uniqueItems && new Set(value.map(canonical)).size < value.length) complain(TWICE)
  return items ? value.map((item, index) => visit(items, item, [...path, index], context)) : value
}

export const TWICE = 'must not hold the same item twice'

const visitObject = (schema: Schema, value: Fields, path: Path, context: Visit): Fields => {
  const { properties = {}, required = [], propertyNames } = schema
  // What the API takes has no other members than it says, unless it says so.
  const { additionalProperties = !(context.fill && schema.properties) } = schema
  const complain = (name: string, message: string) =>
    context.details.push({ field: [...path, name].join('.'), message })
  const filled: [string, unknown][] = []
  for (const [name, part] of Object.entries(properties)) {
    const isGiven = Object.hasOwn(value, name) && value[name] !== undefined
    if (isGiven || (context.fill && hasDefault(part)))
      filled.push([name, visit(part, isGiven ? value[name] : undefined, [...path, name], context)])
  }
  for (const name of required) if (!Object.hasOwn(value, name)) complain(name, 'is required')
  for (const [name, inner] of Object.entries(value)) {
    if (propertyNames) visit(propertyNames, name, [...path, name], context)
    if (Object.hasOwn(properties, name)) continue
    if (additionalProperties === false) complain(name, 'is not a known field')
    else
      filled.push([
        name,
        additionalProperties === true ? inner : visit(additionalProperties, inner, [...path, name], context),
      ])
  }
  const { fill } = context
  const { minProperties = 0, maxProperties = Number.POSITIVE_INFINITY } = schema
  const count = Object.keys(value).length
  if (count < minProperties)
    context.details.push({
      field: path.join('.'),
      message: `must have at least ${minProperties} ${fill ? 'keys' : 'fields'}`,
    })
  if (count > maxProperties)
    context.details.push({
      field: path.join('.'),
      message: `must have at most ${maxProperties} ${fill ? 'keys' : 'fields'}`,
    })
  return Object.fromEntries(filled)
}

const hasDefault = (schema: Schema): boolean => 'default' in schema

/** The first option that fits; when none does, what is wrong with the one that comes closest. */
const choose = (options: readonly Schema[], value: unknown, path: Path, context: Visit): unknown => {
  const tried = options.map((option) => {
    const details: ErrorDetail[] = []
    return { value: visit(option, value, path, { ...context, details }), details }
  })
  const fitting = tried.find(({ details }) => details.length === 0)
  if (fitting) return fitting.value
  const depth = (details: readonly ErrorDetail[]) =>
    Math.max(...details.map(({ field }) => field.split('.').length))
  const [closest] = tried.sort(
    (a, b) => a.details.length - b.details.length || depth(b.details) - depth(a.details),
  )
  context.details.push(...(closest?.details ?? []))
  return value
}

const isFit = (schema: Schema, value: unknown, context: Visit): boolean => {
  const details: ErrorDetail[] = []
  visit(schema, value, [], { ...context, details })
  return details.length === 0
}

const isOfType = (value: unknown, type: string): boolean => {
  switch (type) {
    case 'null':
      return value === null
    case 'array':
      return Array.isArray(value)
    case 'object':
      return isObject(value)
    case 'integer':
      return Number.isInteger(value)
    default:
      return typeof value === type
  }
}

const withArticle = (type: string, { fill }: Visit): string => {
  if (type === 'array' && fill) return 'a list'
  return /^[aio]/.test(type) ? `an ${type}` : `a ${type}`
}

const mustBeOneOf = (accepted: readonly unknown[], { fill }: Visit): string => {
  const [only, ...others] = accepted.map((one) => (fill ? String(one) : JSON.stringify(one)))
  return others.length === 0 && !fill ? `must be ${only}` : `must be one of ${[only, ...others].join(', ')}`
}

export type Fields = Readonly<Record<string, unknown>>

export const isObject = (value: unknown): value is Fields =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

export const isMoment = (text: string): boolean =>
  /^\d{4}-\d\d-\d\dT\d\d:\d\d(:\d\d(\.\d+)?)?(Z|[+-]\d\d:\d\d)$/i.test(text) &&
  !Number.isNaN(Date.parse(text))

const isAddress = (text: string): boolean => /^[0-9a-f.:]+$/i.test(text)

const MOMENT = '2027-01-01T00:00:00.000Z'

/** Formats that are looked at; others are left to the server. */
const formats: { readonly [format: string]: { readonly says: string; test(text: string): boolean } } = {
  'date-time': { says: 'must be a date and time such as 2026-01-31T09:00:00Z', test: isMoment },
  date: {
    says: 'must be a date such as 2026-01-31',
    test: (text) => /^\d{4}-\d\d-\d\d$/.test(text) && !Number.isNaN(Date.parse(text)),
  },
  email: { says: 'must be an e-mail address', test: (text) => /^[^\s@]+@[^\s@]+\.[^\s@]+$/.test(text) },
  uri: { says: 'must be an absolute URI', test: (text) => URL.canParse(text) },
  uuid: {
    says: 'must be a UUID',
    test: (text) => /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i.test(text),
  },
  ipv4: { says: 'must be an IPv4 address', test: (text) => isAddress(text) && !text.includes(':') },
  ipv6: { says: 'must be an IPv6 address', test: (text) => isAddress(text) && text.includes(':') },
}

export const same = (a: unknown, b: unknown): boolean => a === b || canonical(a) === canonical(b)

/** JSON with the members of every object in one order (RFC 8785, for values that came from JSON). */
export const canonical = (value: unknown): string =>
  JSON.stringify(value, (_, inner: unknown) =>
    isObject(inner) ? Object.fromEntries(Object.entries(inner).sort(([a], [b]) => (a < b ? -1 : 1))) : inner,
  )

/** The plainest value that fits a schema: its example, its default, or a value of its type. */
export const exampleOf = (schema: Schema): unknown => {
  if (schema.examples?.[0] !== undefined) return schema.examples[0]
  if (schema.default !== undefined) return schema.default
  if ('const' in schema) return schema.const
  if (schema.enum) return schema.enum[0]
  const option = schema.anyOf?.[0] ?? schema.oneOf?.[0]
  if (option) return exampleOf(option)
  switch ([schema.type].flat()[0]) {
    case 'object':
      return Object.fromEntries(
        Object.entries(schema.properties ?? {}).map(([name, part]) => [name, exampleOf(part)]),
      )
    case 'array':
      return schema.items ? [exampleOf(schema.items)] : []
    case 'string':
      return schema.format === 'date-time' ? MOMENT : 'text'
    case 'integer':
    case 'number':
      return schema.minimum ?? 1
    case 'boolean':
      return true
    default:
      return null
  }
}
