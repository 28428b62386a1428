import type { Constraint } from '@narrowapi/contract'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { Constraint as ConstraintShape } from '../../../contract/src/api/constraint.ts'
import { ApiError } from '../errors.ts'
import { checkConstraints, checkFixedInput, decide, mergeFixed } from './policy.ts'
import type { JsonSchema } from './schema.ts'

const noon = new Date('2026-11-23T12:00:00Z')

const rule = (value: unknown): Constraint => ConstraintShape.parse(value)

const allows = (constraint: unknown, input: unknown, now = noon) =>
  decide([{ name: 'token', constraints: [rule(constraint)] }], input, now).allowed

const schema: JsonSchema = {
  type: 'object',
  properties: {
    amount: { type: 'integer' },
    fee: { type: 'number' },
    currency: { enum: ['eur', 'usd'] },
    to: { type: 'string', format: 'email' },
    url: { type: 'string' },
    day: { type: 'string', format: 'date' },
    at: { $ref: '#/$defs/time' },
    end: { $ref: '#/$defs/time' },
    ids: { type: 'array', items: { type: 'integer' } },
    lines: { type: 'array', items: { type: 'object', properties: { price: { type: 'number' } } } },
    any: true,
    nested: { allOf: [{ type: 'object', properties: { 'a/b': { type: 'string' } } }] },
    maybe: { anyOf: [{ type: 'null' }, { type: 'string' }] },
    map: { type: 'object', additionalProperties: { type: 'integer' } },
    pair: { type: 'array', prefixItems: [{ type: 'string' }, { type: 'number' }], items: false },
  },
  additionalProperties: true,
  $defs: { time: { type: 'string', format: 'date-time' } },
}

const problems = (...constraints: unknown[]) => {
  try {
    checkConstraints(constraints.map(rule), schema, 'constraints')
  } catch (error) {
    if (error instanceof ApiError && error.code === 'validation_failed') return error.details ?? []
    throw error
  }
  return []
}

const table: [op: Record<string, unknown>, accepted: unknown[], refused: unknown[]][] = [
  [{ op: 'eq', value: 'eur' }, ['eur'], ['EUR', 'usd', null, ['eur']]],
  [{ op: 'eq', value: 1 }, [1, 1.0], ['1', true, 2]],
  [{ op: 'in', value: ['a', null, 2] }, ['a', null, 2], ['b', '2', false, {}]],
  [{ op: 'not_in', value: ['a', 2] }, ['b', '2', null], ['a', 2, ['a'], ['b'], {}]],
  [{ op: 'min', value: 5 }, [5, 5.0001, 1e300], [4.9999, -5, '6', null, true]],
  [{ op: 'max', value: 5 }, [5, -1e300], [5.0000001, '4', null]],
  [{ op: 'min', value: '2026-01-31' }, ['2026-01-31', '2026-02-01'], ['2026-01-30', '2026-02-30', 'zzz', 9]],
  [
    { op: 'max', value: '2026-01-31T10:00:00Z' },
    ['2026-01-31T10:00:00Z', '2026-01-31T11:59:00+02:00', '2026-01-31T09:59:59.999999Z'],
    ['2026-01-31T10:00:00.0001Z', '2026-01-31T09:00:00-02:00', '2026-01-31', ''],
  ],
  [{ op: 'multiple_of', value: 0.1 }, [0.3, 0, -0.7, 5, 1e21], [0.35, 0.1 + 0.2, '0.3']],
  [{ op: 'multiple_of', value: 1e-300 }, [5, 1e300], [1e-301]],
  [{ op: 'pattern', value: '^[a-z]+$' }, ['abc'], ['abc1', 'ABC', 'abc\n', 5]],
  [{ op: 'prefix', value: 'C0' }, ['C0', 'C0123'], ['c0', 'XC0', 5]],
  [{ op: 'suffix', value: '.pdf' }, ['a.pdf'], ['a.pdf.exe', 'a.PDF']],
  [{ op: 'max_length', value: 2 }, ['', 'ab', '😀😀'], ['abc', 5]],
  [{ op: 'max_items', value: 2 }, [[], [1, 2]], [[1, 2, 3], 'ab']],
  [
    { op: 'unique' },
    [[], [1, '1'], [{ a: 1 }, { a: 2 }]],
    [
      [1, 1],
      [
        { a: 1, b: 2 },
        { b: 2, a: 1 },
      ],
      'x',
    ],
  ],
  [{ op: 'each', constraints: [{ path: '', op: 'max', value: 3 }] }, [[], [1, 3]], [[1, 4], ['1'], 'x']],
]

test.each(table)('%j accepts and refuses', (op, accepted, refused) => {
  const constraint = { path: '/v', ...op }
  for (const v of accepted) expect([v, allows(constraint, { v })]).toEqual([v, true])
  for (const v of refused) expect([v, allows(constraint, { v })]).toEqual([v, false])
})

test.each(table)('%j accepts an absent value, with and without not', (op) => {
  const constraint = { path: '/v', ...op }
  expect(allows(constraint, {})).toBe(true)
  expect(allows({ op: 'not', constraint }, {})).toBe(true)
  expect(allows({ op: 'any_of', constraints: [constraint] }, {})).toBe(true)
})

test('required refuses absence, absent refuses presence, and null is present', () => {
  for (const input of [{ v: 0 }, { v: null }, { v: '' }]) {
    expect(allows({ path: '/v', op: 'required' }, input)).toBe(true)
    expect(allows({ path: '/v', op: 'absent' }, input)).toBe(false)
    expect(allows({ op: 'not', constraint: { path: '/v', op: 'required' } }, input)).toBe(false)
  }
  expect(allows({ path: '/v', op: 'required' }, {})).toBe(false)
  expect(allows({ path: '/v/w', op: 'required' }, { v: null })).toBe(false)
  expect(allows({ path: '/v', op: 'absent' }, {})).toBe(true)
})

test('does not find names in prototypes', () => {
  for (const name of ['constructor', 'toString', '__proto__', 'hasOwnProperty']) {
    expect(allows({ path: `/${name}`, op: 'required' }, {})).toBe(false)
    expect(allows({ path: `/${name}`, op: 'required' }, JSON.parse(`{"${name}":1}`))).toBe(true)
  }
  expect(allows({ path: '/v/length', op: 'required' }, { v: [1] })).toBe(false)
})

const hosts: [host: string, text: string, isAccepted: boolean][] = [
  ['example.com', 'https://example.com', true],
  ['example.com', 'HTTPS://EXAMPLE.COM:8443/a?b', true],
  ['example.com', 'https://example.com./', true],
  ['EXAMPLE.com.', 'https://example.com/', true],
  ['bücher.example', 'https://xn--bcher-kva.example/', true],
  ['xn--bcher-kva.example', 'https://BÜCHER.example/', true],
  ['example.com', 'https://example。com/', true],
  ['example.com', 'https://evil-example.com', false],
  ['example.com', 'https://example.com.evil', false],
  ['example.com', 'https://sub.example.com', false],
  ['example.com', 'https://example.com@evil.com/', false],
  ['example.com', 'https://evil.com@example.com/', false],
  ['example.com', 'https://evil.com\\@example.com/', false],
  ['example.com', 'https://evil.com/@example.com', false],
  ['example.com', 'https://evil.com?.example.com', false],
  ['example.com', 'https://evil.com#example.com', false],
  ['example.com', 'https://ex%61mple.com/', false],
  ['example.com', 'https:example.com', false],
  ['example.com', 'https:///example.com', false],
  ['example.com', '//example.com', false],
  ['example.com', 'example.com', false],
  ['example.com', ' https://example.com', false],
  ['example.com', 'https://exam\tple.com', false],
  ['example.com', 'javascript:alert(1)//example.com', false],
  ['example.com', 'https://еxample.com', false],
  ['127.0.0.1', 'http://0x7f.1/', true],
  ['*.example.com', 'https://a.b.example.com', true],
  ['*.example.com', 'https://example.com', false],
  ['*.example.com', 'https://evilexample.com', false],
]

test.each(hosts)('host_in %s and %s: %s', (host, url, isAccepted) => {
  expect(allows({ path: '/url', op: 'host_in', value: [host] }, { url })).toBe(isAccepted)
})

const domains: [domain: string, text: string, isAccepted: boolean][] = [
  ['example.com', 'user@example.com', true],
  ['example.com', 'user+tag@EXAMPLE.com.', true],
  ['bücher.example', 'a@xn--bcher-kva.example', true],
  ['example.com', 'user@evil-example.com', false],
  ['example.com', 'user@example.com.evil', false],
  ['example.com', 'user@sub.example.com', false],
  ['example.com', 'user@example.com@evil', false],
  ['example.com', 'user@evil@example.com', false],
  ['example.com', '"user@evil.com"@example.com', false],
  ['example.com', 'a@evil.com,user@example.com', false],
  ['example.com', 'evil.com,user@example.com', false],
  ['example.com', 'user%evil.com@example.com', false],
  ['example.com', 'evil.com!user@example.com', false],
  ['example.com', 'Eve <user@example.com>', false],
  ['example.com', 'user@example.com\r\nBcc: eve@evil.com', false],
  ['example.com', 'user@evil.com\u0000@example.com', false],
  ['example.com', 'user@example.com/evil.com', false],
  ['example.com', 'user@example.com:80', false],
  ['example.com', '@example.com', false],
  ['example.com', 'example.com', false],
  ['*.example.com', 'user@a.example.com', true],
  ['*.example.com', 'user@example.com', false],
]

test.each(domains)('domain_in %s and %s: %s', (domain, to, isAccepted) => {
  expect(allows({ path: '/to', op: 'domain_in', value: [domain] }, { to })).toBe(isAccepted)
})

test('refuses under not as well what it cannot judge', () => {
  const notEvil = { op: 'not', constraint: { path: '/to', op: 'domain_in', value: ['evil.com'] } }
  expect(allows(notEvil, { to: 'user@example.com' })).toBe(true)
  expect(allows(notEvil, { to: 'user@evil.com' })).toBe(false)
  expect(allows(notEvil, { to: 'user@evil.com@example.com' })).toBe(false)
  expect(allows({ op: 'not', constraint: notEvil }, { to: 'user@evil.com@example.com' })).toBe(false)
  const long = { path: '/v', op: 'pattern', value: '(?:ab?){100}$' }
  expect(allows(long, { v: 'a'.repeat(1_000_000) })).toBe(false)
  expect(allows({ op: 'not', constraint: long }, { v: 'a'.repeat(1_000_000) })).toBe(false)
})

test('compares two fields', () => {
  const compare = (op: string, a: unknown, b: unknown) => allows({ path: '/a', op, value: '/b' }, { a, b })
  expect([compare('le_field', 1, 2), compare('le_field', 2, 2), compare('le_field', 3, 2)]).toEqual([
    true,
    true,
    false,
  ])
  expect([compare('ge_field', 1, 2), compare('ge_field', 2, 2)]).toEqual([false, true])
  expect(compare('le_field', '2026-01-31T11:00:00+02:00', '2026-01-31T09:00:00Z')).toBe(true)
  expect(compare('le_field', '2026-01-31', '2026-01-31T09:00:00Z')).toBe(false)
  expect(compare('le_field', '1', 2)).toBe(false)
  expect([compare('eq_field', 'x', 'x'), compare('eq_field', 'x', 'y'), compare('eq_field', 1, '1')]).toEqual(
    [true, false, false],
  )
  expect(compare('le_field', undefined, 2)).toBe(true)
})

test('combines constraints with any_of, not and each', () => {
  const small = { path: '/v', op: 'max', value: 10 }
  const approved = { path: '/approved', op: 'eq', value: true }
  const either = {
    op: 'any_of',
    constraints: [small, { op: 'not', constraint: { op: 'not', constraint: approved } }],
  }
  expect(allows(either, { v: 5, approved: false })).toBe(true)
  expect(allows(either, { v: 50, approved: true })).toBe(true)
  expect(allows(either, { v: 50, approved: false })).toBe(false)
  const neither = { op: 'not', constraint: { op: 'any_of', constraints: [small, approved] } }
  expect(allows(neither, { v: 50, approved: false })).toBe(true)
  expect(allows(neither, { v: 50, approved: true })).toBe(false)
  const lines = { path: '/lines', op: 'each', constraints: [{ path: '/price', op: 'max', value: 9 }] }
  expect(allows(lines, { lines: [{ price: 9 }, {}] })).toBe(true)
  expect(allows({ op: 'not', constraint: lines }, { lines: [{ price: 9 }, { price: 8 }] })).toBe(false)
  expect(allows({ op: 'not', constraint: lines }, { lines: [{ price: 9 }, { price: 10 }] })).toBe(true)
})

test('opens a time window by the clocks of its zone', () => {
  const office = { op: 'time_window', days: ['mon'], from: '09:00', to: '17:00', timezone: 'Europe/Berlin' }
  const at = (time: string, constraint: unknown = office) => allows(constraint, {}, new Date(time))
  expect([at('2026-11-23T07:59:59Z'), at('2026-11-23T08:00:00Z')]).toEqual([false, true])
  expect([at('2026-11-23T15:59:59Z'), at('2026-11-23T16:00:00Z')]).toEqual([true, false])
  expect([at('2026-07-20T07:00:00Z'), at('2026-07-20T15:00:00Z')]).toEqual([true, false])
  expect(at('2026-11-24T10:00:00Z')).toBe(false)
  expect(at('2026-11-24T10:00:00Z', { op: 'not', constraint: office })).toBe(true)
  const night = { ...office, from: '22:00', to: '06:00', timezone: 'UTC' }
  expect([at('2026-11-23T23:00:00Z', night), at('2026-11-24T05:59:00Z', night)]).toEqual([true, true])
  expect([at('2026-11-24T06:00:00Z', night), at('2026-11-23T05:00:00Z', night)]).toEqual([false, false])
  const allDay = { ...office, from: '00:00', to: '24:00', timezone: 'Asia/Tokyo' }
  expect([
    at('2026-11-22T15:00:00Z', allDay),
    at('2026-11-23T14:59:59Z', allDay),
    at('2026-11-23T15:00:00Z', allDay),
  ]).toEqual([true, true, false])
})

test('asks every level, and names the rule that refuses without repeating the value', () => {
  const max = (value: number) => [rule({ path: '/amount', op: 'max', value })]
  const levels = [
    { name: 'action', constraints: max(5000) },
    { name: 'token', constraints: [...max(4000), ...max(2000)] },
    { name: 'workspace', constraints: max(9000) },
  ] as const
  expect(decide(levels, { amount: 2000 }, noon)).toEqual({
    allowed: true,
    matched: [
      'action.constraints.0',
      'token.constraints.0',
      'token.constraints.1',
      'workspace.constraints.0',
    ],
  })
  const refused = decide(levels, { amount: 2001 }, noon)
  expect(refused).toEqual({
    allowed: false,
    constraint: { path: '/amount', op: 'max', value: 2000 },
    rule: 'token.constraints.1',
    path: '/amount',
    accepted: 2000,
    message: '/amount must be at most 2000',
  })
  const each = rule({ path: '/ids', op: 'each', constraints: [{ path: '/id', op: 'in', value: ['a'] }] })
  const secret = decide(
    [{ name: 'action', constraints: [each] }],
    { ids: [{ id: 'a' }, { id: 'sk_secret' }] },
    noon,
  )
  expect(secret).toMatchObject({ rule: 'action.constraints.0', path: '/ids/1/id', accepted: ['a'] })
  expect(JSON.stringify(secret)).not.toContain('secret')
})

test('never allows more when a constraint is added, and not is the opposite on judged values', () => {
  const leaf = fc.oneof(
    fc.record({
      path: fc.constantFrom('/a', '/b'),
      op: fc.constantFrom('min', 'max'),
      value: fc.integer({ min: 0, max: 9 }),
    }),
    fc.record({
      path: fc.constantFrom('/a', '/b'),
      op: fc.constantFrom('in', 'not_in'),
      value: fc.array(fc.integer({ min: 0, max: 9 }), { minLength: 1, maxLength: 4 }),
    }),
  )
  const tree = fc.oneof(
    leaf,
    fc.record({ op: fc.constant('any_of'), constraints: fc.array(leaf, { minLength: 1, maxLength: 3 }) }),
  )
  const value = fc.integer({ min: 0, max: 9 })
  fc.assert(
    fc.property(fc.array(tree, { maxLength: 4 }), tree, value, value, (some, more, a, b) => {
      const constraints = some.map(rule)
      const before = decide([{ name: 'action', constraints }], { a, b }, noon).allowed
      const after = decide(
        [
          { name: 'action', constraints },
          { name: 'token', constraints: [rule(more)] },
        ],
        { a, b },
        noon,
      ).allowed
      const isOpposite = allows(more, { a, b }) !== allows({ op: 'not', constraint: more }, { a, b })
      return isOpposite && (before || !after) && after === (before && allows(more, { a, b }))
    }),
  )
})

test('accepts constraints that fit the schema', () => {
  expect(
    problems(
      { path: '/amount', op: 'max', value: 5000 },
      { path: '/amount', op: 'min', value: 1 },
      { path: '/currency', op: 'in', value: ['eur'] },
      { path: '/day', op: 'min', value: '2026-01-01' },
      { path: '/at', op: 'le_field', value: '/end' },
      { path: '/ids', op: 'each', constraints: [{ path: '', op: 'max', value: 3 }] },
      { path: '/lines', op: 'each', constraints: [{ path: '/price', op: 'max', value: 3 }] },
      { path: '/lines/0/price', op: 'required' },
      { path: '/any', op: 'prefix', value: 'x' },
      { path: '/nested/a~1b', op: 'pattern', value: '^a' },
      { path: '/maybe', op: 'eq', value: null },
      { path: '/map/whatever', op: 'max', value: 3 },
      { path: '/pair/1', op: 'max', value: 3 },
      { op: 'time_window', days: ['mon'], from: '09:00', to: '17:00', timezone: 'Europe/Berlin' },
    ),
  ).toEqual([])
})

test.each<[unknown, string]>([
  [{ path: '/amoun', op: 'max', value: 1 }, '0.path'],
  [{ path: '/constructor', op: 'required' }, '0.path'],
  [{ path: '/amount/x', op: 'required' }, '0.path'],
  [{ path: '/pair/2', op: 'required' }, '0.path'],
  [{ path: '/to', op: 'min', value: 1 }, '0.op'],
  [{ path: '/amount', op: 'prefix', value: 'x' }, '0.op'],
  [{ path: '/amount', op: 'each', constraints: [{ path: '', op: 'required' }] }, '0.op'],
  [{ path: '/lines', op: 'eq', value: 1 }, '0.op'],
  [{ path: '/amount', op: 'eq', value: '5' }, '0.value'],
  [{ path: '/currency', op: 'in', value: ['eur', 5] }, '0.value'],
  [{ path: '/to', op: 'max', value: '2026-01-01' }, '0.value'],
  [{ path: '/day', op: 'max', value: '2026-02-30' }, '0.value'],
  [{ path: '/at', op: 'max', value: '2026-02-20' }, '0.value'],
  [{ path: '/to', op: 'pattern', value: '(?<=a)b' }, '0.value'],
  [{ path: '/to', op: 'pattern', value: '[' }, '0.value'],
  [{ path: '/url', op: 'host_in', value: ['example.com', 'https://example.com'] }, '0.value.1'],
  [{ path: '/to', op: 'domain_in', value: ['@example.com'] }, '0.value.0'],
  [{ path: '/at', op: 'le_field', value: '/none' }, '0.value'],
  [{ path: '/at', op: 'le_field', value: '/day' }, '0.value'],
  [{ path: '/at', op: 'eq_field', value: '/amount' }, '0.value'],
  [{ path: '/ids', op: 'each', constraints: [{ path: '', op: 'prefix', value: 'x' }] }, '0.constraints.0.op'],
  [{ op: 'not', constraint: { path: '/none', op: 'required' } }, '0.constraint.path'],
  [{ op: 'any_of', constraints: [{ path: '/none', op: 'required' }] }, '0.constraints.0.path'],
  [{ op: 'time_window', days: ['mon'], from: '09:00', to: '17:00', timezone: 'Mars/Olympus' }, '0.timezone'],
  [{ op: 'time_window', days: ['mon'], from: '09:00', to: '09:00', timezone: 'UTC' }, '0.to'],
])('refuses to save %j', (constraint, place) => {
  expect(problems(constraint).map((problem) => problem.field)).toEqual([`constraints.${place}`])
})

test('refuses a min above the max of the same path', () => {
  const pair = [
    { path: '/amount', op: 'min', value: 10 },
    { path: '/amount', op: 'max', value: 9 },
  ]
  expect(problems(...pair)).toHaveLength(1)
  expect(problems(...pair.reverse())).toHaveLength(1)
  expect(problems({ op: 'any_of', constraints: pair })).toEqual([])
})

test('refuses more than 200 constraints and nesting beyond three', () => {
  const one = { path: '/amount', op: 'max', value: 1 }
  expect(problems(...Array.from({ length: 201 }, () => one))).toHaveLength(1)
  const deep = (levels: number): unknown => (levels === 0 ? one : { op: 'not', constraint: deep(levels - 1) })
  expect(ConstraintShape.safeParse(deep(3)).success).toBe(true)
  expect(ConstraintShape.safeParse(deep(4)).success).toBe(false)
  expect(ConstraintShape.safeParse({ ...one, more: 1 }).success).toBe(false)
  expect(ConstraintShape.safeParse({ ...one, op: 'regex' }).success).toBe(false)
})

test('fixed fields are added, and refused when the caller sends them', () => {
  const fixed = { currency: 'eur' }
  expect(mergeFixed({ amount: 1 }, fixed)).toEqual({ amount: 1, currency: 'eur' })
  expect(() => mergeFixed({ amount: 1, currency: 'eur' }, fixed)).toThrow(ApiError)
  expect(mergeFixed('text', fixed)).toBe('text')
  const hostile = mergeFixed(JSON.parse('{"__proto__":{"currency":"usd"}}'), fixed)
  expect(Object.getPrototypeOf(hostile)).toBe(Object.prototype)
  expect(() => mergeFixed({ toString: 1 }, {})).not.toThrow()
})

test('fixed input must fit the schema when it is saved', () => {
  const details = (fixed: Record<string, unknown>, given = schema) => {
    try {
      checkFixedInput(fixed, given, 'fixed_input')
    } catch (error) {
      if (error instanceof ApiError) return error.details
      throw error
    }
    return []
  }
  expect(
    details({ currency: 'eur', at: '2026-01-01T00:00:00Z' }, { ...schema, required: ['amount'] }),
  ).toEqual([])
  expect(details({ currency: 'gbp' })).toEqual([
    { field: 'fixed_input.currency', message: 'must be one of "eur", "usd"' },
  ])
  expect(details({ nope: 1, constructor: 1 })?.map(({ field }) => field)).toEqual([
    'fixed_input.nope',
    'fixed_input.constructor',
  ])
  const shared = { type: 'object', properties: { a: { type: 'string' }, b: { $ref: '#/properties/a' } } }
  expect(details({ a: 'x' }, shared)?.[0]?.field).toBe('fixed_input.a')
})
