import { type Constraint, contract, routesOf } from '@narrowapi/contract'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { z } from 'zod'
import { blanks, operations } from '../../sdk/src/testing/generated/operations.ts'
import { completeBody } from '../../sdk/src/testing/incoming.ts'
import { checkAgainst, judge } from '../../sdk/src/testing/rules/judge.ts'

import { checkConstraints, decide } from '../../server/src/proxy/policy.ts'
import { compileSchema } from '../../server/src/proxy/schema.ts'
import { arbitraryOf, broken } from '../support/arbitrary.ts'

/**
 * The rules that the mock cannot take from the server and has written again, held against the server's own on
 * inputs that nobody thought of.
 */
const runs = { numRuns: 400 }

describe('a body', () => {
  const withBody = routesOf(contract).flatMap(({ noun, name, route }) =>
    'body' in route && route.body instanceof z.ZodType
      ? [{ operation: `${noun}.${name}`, schema: route.body }]
      : [],
  )

  it.each(withBody)(
    'of $operation is taken and completed, or refused, as by the server',
    ({ operation, schema }) => {
      const described = z.toJSONSchema(schema, { io: 'input', unrepresentable: 'any' })
      const valid = arbitraryOf(described, (property) => known[property] ?? null)
      fc.assert(
        fc.property(fc.oneof(valid, broken(valid)), (written) => {
          const body = JSON.parse(JSON.stringify(written))
          // The server refuses these before its schemas see them: the first two would throw, the third is dropped.
          fc.pre(!/"(?:toString|valueOf|__proto__)":/.test(JSON.stringify(written)))
          const ours = completeBody(operation, body)
          const theirs = schema.safeParse(body)
          if (theirs.success) {
            expect(ours.problem).toBe('')
            expect(ours.body).toEqual(JSON.parse(JSON.stringify(theirs.data)))
          } else if (!theirs.error.issues.every(isBeyondSchema)) expect(ours.problem).not.toBe('')
        }),
        runs,
      )
    },
  )
})

/** Values that come past the validation more often than any text does. */
const known: Record<string, unknown[]> = {
  target_url: ['https://api.example.com/a'],
  timezone: ['UTC', 'Europe/London'],
  locale: ['en', 'de-CH'],
  expires_at: [null, '2030-01-01T00:00:00Z', '2030-01-01T02:00:00+02:00', 'soon'],
  constraints: [
    [],
    [{ path: '/a', op: 'max', value: 1 }],
    [{ path: 'a', op: 'max', value: 1 }],
    [{ op: 'none' }],
  ],
}

/** What no JSON Schema says: whether a time zone exists, or names are used twice. */
const isBeyondSchema = ({ code, message }: z.core.$ZodIssue): boolean =>
  code === 'custom' && !/^must (not be empty|have at)/.test(message)

describe('an answer', () => {
  const answering = routesOf(contract).flatMap(({ noun, name, route }) => {
    const operation = `${noun}.${name}`
    const row = Object.entries(operations).find(([id]) => id === operation)?.[1]
    const schema = route.responses[row?.status ?? 200]
    return row?.answer !== undefined && schema instanceof z.ZodType ? [{ operation, row, schema }] : []
  })

  it('is begun, where an override leaves something out, with what the contract allows', () => {
    expect(answering.length).toBeGreaterThan(35)
    for (const { operation, row, schema } of answering) {
      const blank = blanks[row.answer ?? '']
      const page = { object: 'list', data: [blank], has_more: false, next_cursor: null }
      expect(schema.safeParse(row.paged ? page : blank).error, operation).toBeUndefined()
    }
  })
})

describe('an input', () => {
  const schema = {
    type: 'object',
    properties: {
      amount: { type: 'number' },
      other: { type: 'number' },
      note: { type: 'string', maxLength: 20 },
      items: { type: 'array', items: { type: 'integer' } },
      day: { type: 'string', format: 'date' },
      link: { type: 'string' },
      mail: { type: 'string' },
    },
    required: ['amount'],
    additionalProperties: false,
  }
  const texts = ['', 'a', 'ab', 'ABC', 'refund of b', 'ß😀']
  const input = fc.record(
    {
      amount: fc.oneof(fc.integer({ min: -5, max: 5 }), fc.constantFrom(0.1, 0.3, 2.5)),
      other: fc.integer({ min: -5, max: 5 }),
      note: fc.constantFrom(...texts),
      items: fc.array(fc.integer({ min: 0, max: 3 }), { maxLength: 4 }),
      day: fc.constantFrom('2026-01-01', '2026-06-15', '2030-01-01'),
      link: fc.constantFrom(
        'https://a.example.com/x',
        'https://example.com',
        'nothing',
        'http://b.test:8080/',
      ),
      mail: fc.constantFrom('a@example.com', 'a@b.example.com', 'none', 'a@b@c'),
    },
    { requiredKeys: ['amount'] },
  )
  const number = fc.integer({ min: -4, max: 4 })
  const on = (path: string, op: string, value: fc.Arbitrary<unknown>) =>
    fc.record({ path: fc.constant(path), op: fc.constant(op), value })
  const simple = fc.oneof(
    on('/amount', 'eq', number),
    on('/amount', 'in', fc.array(number, { minLength: 1, maxLength: 4 })),
    on('/note', 'not_in', fc.constant(['a', 'ABC'])),
    on('/amount', 'min', number),
    on('/amount', 'max', number),
    on('/day', 'min', fc.constantFrom('2026-03-01', '2026-06-15')),
    on('/amount', 'multiple_of', fc.constantFrom(0.1, 2, 0.5)),
    on('/note', 'pattern', fc.constantFrom('^a', 'b$', '[A-Z]')),
    on('/note', 'prefix', fc.constantFrom('a', 'refund')),
    on('/note', 'suffix', fc.constantFrom('b', 'C')),
    on('/note', 'max_length', fc.nat(4)),
    on('/items', 'max_items', fc.nat(3)),
    on('/link', 'host_in', fc.constantFrom(['example.com'], ['*.example.com'], ['b.test'])),
    on('/mail', 'domain_in', fc.constantFrom(['example.com'], ['*.example.com'])),
    fc.constant({ path: '/items', op: 'unique' }),
    fc.constantFrom({ path: '/note', op: 'required' }, { path: '/note', op: 'absent' }),
    fc
      .constantFrom('le_field', 'ge_field', 'eq_field')
      .map((op) => ({ path: '/amount', op, value: '/other' })),
    fc
      .tuple(fc.constantFrom('max', 'min', 'eq'), fc.nat(3))
      .map(([op, value]) => ({ path: '/items', op: 'each', constraints: [{ path: '', op, value }] })),
    fc
      .tuple(fc.constantFrom('09:00', '22:00'), fc.constantFrom('06:00', '17:00', '24:00'))
      .map(([from, to]) => ({
        op: 'time_window',
        days: ['mon', 'wed', 'fri'],
        from,
        to,
        timezone: 'Europe/London',
      })),
  )
  const constraint = fc.oneof(
    { arbitrary: simple, weight: 3 },
    { arbitrary: fc.record({ op: fc.constant('not'), constraint: simple }), weight: 1 },
    {
      arbitrary: fc.record({
        op: fc.constant('any_of'),
        constraints: fc.array(simple, { minLength: 1, maxLength: 3 }),
      }),
      weight: 1,
    },
  ) as fc.Arbitrary<Constraint>

  it('is judged by constraints as by the server', () => {
    const times = fc
      .integer({ min: 0, max: 7 * 24 * 60 })
      .map((minutes) => new Date(1_767_600_000_000 + minutes * 60_000))
    let refused = 0
    fc.assert(
      fc.property(
        fc.array(constraint, { minLength: 1, maxLength: 2 }),
        input,
        times,
        (constraints, sent, now) => {
          fc.pre(isStorable(constraints))
          const theirs = decide([{ name: 'action', constraints }], sent, now)
          const action = { version: 1, input_schema: schema, fixed_input: null, constraints }
          // Judging an action needs nothing else of it.
          const { decision, message } = judge(action as never, null, null, sent, now)
          if (theirs.allowed) expect(decision).toMatchObject({ allowed: true, matched: theirs.matched })
          else {
            refused += 1
            const { rule, path, accepted } = theirs
            expect({ ...decision, message }).toMatchObject({
              allowed: false,
              rule,
              path,
              accepted,
              message: theirs.message,
            })
          }
        },
      ),
      { numRuns: 3000 },
    )
    expect(refused).toBeGreaterThan(500)
  })

  /** Whether an action with these would be saved at all. */
  const isStorable = (constraints: readonly Constraint[]): boolean => {
    try {
      checkConstraints(constraints, schema, 'constraints')
      return true
    } catch {
      return false
    }
  }

  it('is held to its schema as by the server', () => {
    const theirs = compileSchema(schema)
    const told = (details: readonly { field: string; message: string }[]) =>
      details.map(({ field, message }) => `${field} ${message}`).sort()
    fc.assert(
      fc.property(broken(input), (sent) => {
        const { details } = checkAgainst(schema, sent)
        expect(told(details)).toEqual(told(theirs(sent) ?? []))
      }),
      { numRuns: 500 },
    )
  })
})
