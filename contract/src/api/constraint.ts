import { z } from 'zod'

/**
 * The constraint language: what an action, a token or a workspace may still refuse of an input that already
 * fits its schema. Every operator narrows; nothing in it can widen. Unless an operator says otherwise, a value
 * that is absent from the input satisfies it, so write `required` beside it where absence must not pass.
 */

type ScalarValue = string | number | boolean | null

export type Constraint =
  | { path: string; op: 'eq'; value: ScalarValue }
  | { path: string; op: 'in' | 'not_in'; value: ScalarValue[] }
  | { path: string; op: 'min' | 'max'; value: number | string }
  | { path: string; op: 'multiple_of'; value: number }
  | { path: string; op: 'pattern' | 'prefix' | 'suffix'; value: string }
  | { path: string; op: 'max_length' | 'max_items'; value: number }
  | { path: string; op: 'host_in' | 'domain_in'; value: string[] }
  | { path: string; op: 'unique' }
  | { path: string; op: 'required' | 'absent' }
  | { path: string; op: 'each'; constraints: Constraint[] }
  | { path: string; op: 'le_field' | 'ge_field' | 'eq_field'; value: string }
  | { op: 'time_window'; days: Weekday[]; from: string; to: string; timezone: string }
  | { op: 'any_of'; constraints: Constraint[] }
  | { op: 'not'; constraint: Constraint }

/** How deep `any_of`, `not` and `each` may stand inside one another. */
const maxConstraintDepth = 3

export const Weekday = z.enum(['mon', 'tue', 'wed', 'thu', 'fri', 'sat', 'sun'])
export type Weekday = z.output<typeof Weekday>

const Scalar = z.union([z.string().max(2000), z.number(), z.boolean(), z.null()])
const Scalars = z.array(Scalar).min(1).max(1000)

const Pointer = z
  .string()
  .max(500)
  .regex(/^(?:\/(?:[^~/]|~[01])*)*$/, 'must be a JSON Pointer such as /amount')
const path = Pointer.meta({
  description: 'JSON Pointer into the input or, in `each`, the item',
  examples: ['/amount'],
})

const Names = z.array(z.string().min(1).max(253)).min(1).max(1000)
const TimeOfDay = z.string().regex(/^(?:[01]\d|2[0-3]):[0-5]\d$/, 'must be a time of day such as 09:00')
const EndOfDay = z
  .string()
  .regex(/^(?:(?:[01]\d|2[0-3]):[0-5]\d|24:00)$/, 'must be a time of day such as 17:00')

const inside = z.lazy(() => z.array(Constraint).min(1).max(50))

const operators = [
  z.strictObject({
    path,
    op: z.literal('eq').describe('Is this value'),
    value: Scalar.describe('The value'),
  }),
  z.strictObject({
    path,
    op: z.enum(['in', 'not_in']).describe('Is one, or none, of these values'),
    value: Scalars.describe('The values'),
  }),
  z.strictObject({
    path,
    op: z.enum(['min', 'max']).describe('Is not less, or not more, than this'),
    value: z
      .union([z.number(), z.string().max(64)])
      .meta({ description: 'A number, or a date', examples: [5000] }),
  }),
  z.strictObject({
    path,
    op: z.literal('multiple_of').describe('Is a multiple of this'),
    value: z.number().positive().describe('The divisor'),
  }),
  z.strictObject({
    path,
    op: z.enum(['pattern', 'prefix', 'suffix']).describe('Is text that matches, begins or ends with this'),
    value: z.string().min(1).max(1000).describe('The expression or text'),
  }),
  z.strictObject({
    path,
    op: z.enum(['max_length', 'max_items']).describe('Is no longer than this'),
    value: z.int().min(0).describe('Characters or items'),
  }),
  z.strictObject({
    path,
    op: z.enum(['host_in', 'domain_in']).describe('Is a URL or address at one of these'),
    value: Names.describe('Host names'),
  }),
  z.strictObject({ path, op: z.literal('unique').describe('Has no item twice') }),
  z.strictObject({ path, op: z.enum(['required', 'absent']).describe('Is there, or is not there') }),
  z.strictObject({
    path,
    op: z.literal('each').describe('Every item satisfies these'),
    constraints: inside.describe('Paths begin at the item, which is "" itself'),
  }),
  z.strictObject({
    path,
    op: z.enum(['le_field', 'ge_field', 'eq_field']).describe('Compares with another input'),
    value: Pointer.describe('JSON Pointer to the other input'),
  }),
  z.strictObject({
    op: z.literal('time_window').describe('The call is made at such a time'),
    days: z.array(Weekday).min(1).max(7).describe('The days on which the window begins'),
    from: TimeOfDay.describe('The first minute'),
    to: EndOfDay.describe('The minute after the last'),
    timezone: z.string().min(1).max(64).describe('IANA name of the time zone'),
  }),
  z.strictObject({
    op: z.literal('any_of').describe('At least one of these holds'),
    constraints: inside.describe('The alternatives'),
  }),
  z.strictObject({
    op: z.literal('not').describe('This does not hold'),
    constraint: z.lazy(() => Constraint).describe('What must not hold'),
  }),
] as const

/**
 * One constraint. The paths, types and patterns are checked against the action's input schema when it is
 * written; here only the shape and the nesting are.
 */
export const Constraint: z.ZodType<Constraint, Constraint> = z
  .discriminatedUnion('op', operators)
  .refine((constraint) => depthOf(constraint) <= maxConstraintDepth, {
    message: `any_of, not and each may be nested at most ${maxConstraintDepth} deep`,
  })
  .meta({
    id: 'Constraint',
    description:
      'A rule the input must satisfy. An absent value satisfies every operator but `required`. ' +
      '`min` and `max` compare numbers, and dates where the schema says `format: date` or `date-time`. ' +
      '`pattern` is a linear-time (RE2) expression and matches anywhere unless anchored. ' +
      '`host_in` reads an absolute URL, `domain_in` an e-mail address; names match exactly, and ' +
      '`*.example.com` stands for the subdomains of example.com. ' +
      '`time_window` runs from the minute `from` up to, not including, the minute `to`; when `to` is not ' +
      'after `from` it ends on the day after the named one.',
    examples: [{ path: '/amount', op: 'max', value: 5000 }],
  })

const depthOf = (constraint: Constraint): number => {
  if (constraint.op === 'not') return 1 + depthOf(constraint.constraint)
  if (constraint.op === 'any_of' || constraint.op === 'each') {
    return 1 + Math.max(0, ...constraint.constraints.map(depthOf))
  }
  return 0
}
