import fc from 'fast-check'
import { expect, test } from 'vitest'
import { type InputSchema, InputSchema as InputSchemaShape } from '../../../contract/src/api/input-schema.ts'
import { ApiError } from '../errors.ts'
import { checkSchema, compileSchema, type JsonSchema, shownSchema, toJsonSchema } from './schema.ts'
import { compilePattern } from './schema-pattern.ts'

const object = (properties: JsonSchema, more: JsonSchema = {}): JsonSchema => ({
  type: 'object',
  properties,
  ...more,
})

const refusal = (schema: JsonSchema) => {
  try {
    checkSchema(schema, 'input_schema')
  } catch (error) {
    if (error instanceof ApiError) return { code: error.code, ...error.details?.[0] }
    throw error
  }
  return null
}

const errorsOf = (schema: JsonSchema, value: unknown) => {
  checkSchema(schema, 'input_schema')
  return compileSchema(schema)(value)
}

const parse = (text: string): JsonSchema => JSON.parse(text)

const nested = (levels: number): unknown => (levels === 0 ? 'end' : { n: nested(levels - 1) })

const timed = <T>(run: () => T) => {
  const start = performance.now()
  return { result: run(), seconds: (performance.now() - start) / 1000 }
}

const fields = (input: unknown): InputSchema => InputSchemaShape.parse(input)

test('turns a list of fields into a closed JSON Schema', () => {
  const schema = toJsonSchema(
    fields([
      { name: 'charge_id', type: 'string', required: true, in: 'path', pattern: '^ch_', max_length: 40 },
      { name: 'amount', type: 'integer', minimum: 1, sensitive: true, description: 'In cents' },
    ]),
  )
  expect(schema).toEqual({
    type: 'object',
    properties: {
      charge_id: { type: 'string', pattern: '^ch_', maxLength: 40, 'x-in': 'path' },
      amount: { type: 'integer', description: 'In cents', minimum: 1, 'x-sensitive': true },
    },
    required: ['charge_id'],
    additionalProperties: false,
  })
  checkSchema(schema, 'input_schema')
  expect(compileSchema(schema)({ charge_id: 'ch_1', amount: 5 })).toBeNull()
})

test('names every wrong field in plain words and never repeats a value', () => {
  const schema = object(
    {
      amount: { type: 'integer', minimum: 1 },
      currency: { enum: ['eur', 'usd'] },
      items: {
        type: 'array',
        maxItems: 2,
        items: object({ name: { type: 'string' } }, { required: ['name'] }),
      },
      'a/b': { type: ['string', 'null'], maxLength: 3 },
    },
    { required: ['amount', 'note'], additionalProperties: false },
  )
  const errors = errorsOf(schema, {
    amount: 1.5,
    currency: 'sk_live_secret',
    items: [{ name: 7 }, {}],
    'a/b': 'sk_live_secret',
    extra: 'sk_live_secret',
  })
  expect(errors).toEqual(
    expect.arrayContaining([
      { field: 'amount', message: 'must be an integer' },
      { field: 'currency', message: 'must be one of "eur", "usd"' },
      { field: 'items.0.name', message: 'must be a string' },
      { field: 'items.1.name', message: 'is required' },
      { field: 'a/b', message: 'must have at most 3 characters' },
      { field: 'note', message: 'is required' },
      { field: 'extra', message: 'is not a known field' },
    ]),
  )
  expect(JSON.stringify(errors)).not.toContain('secret')
  expect(errorsOf(schema, [])).toEqual([{ field: '', message: 'must be an object' }])
})

test('says once that no form fits instead of why each does not', () => {
  const schema = object(
    { to: { anyOf: [{ type: 'string' }, { $ref: '#/$defs/list' }] } },
    {
      $defs: { list: { type: 'array', items: { type: 'string' } } },
    },
  )
  expect(errorsOf(schema, { to: 5 })).toEqual([{ field: 'to', message: 'fits none of the accepted forms' }])
  expect(errorsOf(schema, { to: ['a'] })).toBeNull()
})

test('lists at most twenty errors', () => {
  const schema = object({ ids: { type: 'array', items: { type: 'string' } } })
  expect(errorsOf(schema, { ids: Array.from({ length: 100_000 }, (_, i) => i) })?.length).toBeLessThanOrEqual(
    20,
  )
})

test('does not turn one type into another', () => {
  const schema = object({ n: { type: 'integer' }, b: { type: 'boolean' }, s: { type: 'string' } })
  for (const value of [
    { n: '5' },
    { b: 'true' },
    { s: 5 },
    { n: true },
    { b: 1 },
    { n: Number.POSITIVE_INFINITY },
  ]) {
    expect(errorsOf(schema, value)).toHaveLength(1)
  }
})

test.each<[string, JsonSchema, string]>([
  ['a reference to the web', { $ref: 'https://example.com/schema.json' }, 'must be local'],
  ['a reference to a file', { $ref: 'file:///etc/passwd' }, 'must be local'],
  ['a reference to another schema by its name', { $ref: 'other' }, 'must be local'],
  [
    'a reference to the meta-schema',
    { $ref: 'https://json-schema.org/draft/2020-12/schema' },
    'must be local',
  ],
  ['a reference to nothing', { $ref: '#/$defs/none' }, 'does not lead'],
  ['a reference to what is no schema', { $ref: '#/required' }, 'does not lead'],
  ['a reference through the prototype', { $ref: '#/constructor/prototype' }, 'does not lead'],
  ['a dynamic reference', { $dynamicRef: '#meta' }, 'use $ref'],
  ['an inner $id', { $id: 'https://example.com/inner' }, 'root'],
  ['an unknown keyword', { maximun: 5 }, 'not a keyword'],
  ['a keyword named like a method', { toString: 5 }, 'not a keyword'],
  ['nullable', { nullable: true }, '"null"'],
  ['draft-07 tuples', { items: [{ type: 'string' }] }, 'prefixItems'],
  ['draft-07 dependencies', { dependencies: {} }, 'dependentRequired'],
  ['an unknown format', { format: 'credit-card' }, 'not a known format'],
  ['a format named like a method', { format: 'toString' }, 'not a known format'],
  ['an unknown type', { type: 'date' }, 'must be string'],
  ['a limit that is no number', { maximum: '5' }, 'number'],
  ['a limit below zero', { maxLength: -1 }, 'whole number'],
  ['multipleOf 0', { multipleOf: 0 }, 'above 0'],
  ['an empty enum', { enum: [] }, '1 to'],
  ['an enum of 10 000', { enum: Array.from({ length: 10_000 }, (_, i) => i) }, '1 to'],
  ['lookbehind', { pattern: '(?<=a)b' }, 'linear-time'],
  ['lookahead', { pattern: '^(?!a)' }, 'linear-time'],
  ['a back-reference', { pattern: '(a)\\1' }, 'linear-time'],
  ['a named back-reference', { pattern: '(?<a>b)\\k<a>' }, 'back-reference'],
  ['half a surrogate pair', { pattern: '\\uD83D\\uDE00' }, 'beyond U+FFFF'],
  ['RE2 quoting', { pattern: '\\Qa\\E' }, 'not a valid'],
  ['an invalid pattern', { pattern: '(' }, 'not a valid'],
  ['a huge repetition', { pattern: '((a{30}){30}){30}' }, ''],
  ['a bad pattern for names', { patternProperties: { '(?=a)': true } }, 'linear-time'],
  ['a schema that is none', { properties: { a: 5 } }, 'must be a schema'],
  ['a required __proto__', { required: ['__proto__'] }, 'names'],
])('refuses %s when saved', (_name, schema, message) => {
  const found = refusal(object({ a: schema }))
  expect(found).toMatchObject({ code: 'validation_failed' })
  expect(found?.field).toMatch(/^input_schema\.properties\.a/)
  expect(found?.message).toContain(message)
})

test('takes only an object schema of the 2020-12 draft', () => {
  expect(refusal({})).toMatchObject({ field: 'input_schema.type' })
  expect(refusal({ type: ['object', 'null'] })).toMatchObject({ field: 'input_schema.type' })
  expect(refusal({ type: 'object', $schema: 'http://json-schema.org/draft-07/schema#' })).not.toBeNull()
  expect(refusal({ type: 'object', $schema: 'https://json-schema.org/draft/2020-12/schema' })).toBeNull()
})

test('keeps unknown x- keywords, definitions of older drafts, booleans and annotations', () => {
  const schema = object(
    { a: { $ref: '#/definitions/id', 'x-note': { any: 1 }, title: 'A', default: 5 }, b: true, c: false },
    { definitions: { id: { type: 'string', format: 'uuid', examples: ['x'] } } },
  )
  expect(errorsOf(schema, { a: '0190f0ca-6e4d-7b8e-9d0e-1c2b3a495867', b: [1] })).toBeNull()
  expect(errorsOf(schema, { a: 'x' })).toEqual([{ field: 'a', message: 'must be a UUID' }])
  expect(errorsOf(schema, { c: 1 })).toEqual([{ field: 'c', message: 'is not a known field' }])
})

test('follows local pointers and anchors, escaped or not', () => {
  const schema = object(
    {
      anchor: { $ref: '#positive' },
      escaped: { $ref: '#/$defs/a~1b%20c' },
      sibling: { $ref: '#/properties/anchor', maximum: 3 },
      never: { $ref: '#/$defs/no' },
    },
    {
      $defs: { p: { $anchor: 'positive', type: 'integer', minimum: 1 }, 'a/b c': { const: 'x' }, no: false },
    },
  )
  expect(errorsOf(schema, { anchor: 1, escaped: 'x', sibling: 2 })).toBeNull()
  for (const value of [{ anchor: 0 }, { escaped: 'y' }, { sibling: 4 }, { sibling: 0 }, { never: 1 }]) {
    expect(errorsOf(schema, value)).not.toBeNull()
  }
})

test('keeps schemas with the same $id and anchors apart', () => {
  const $id = 'https://json-schema.org/draft/2020-12/schema'
  const one = object({ a: { $ref: '#x' } }, { $id, $defs: { x: { $anchor: 'x', type: 'string' } } })
  const two = object({ a: { $ref: '#x' } }, { $id, $defs: { x: { $anchor: 'x', type: 'integer' } } })
  expect(errorsOf(one, { a: 's' })).toBeNull()
  expect(errorsOf(two, { a: 5 })).toBeNull()
  expect(errorsOf(one, { a: 5 })).not.toBeNull()
  expect(errorsOf(two, { a: 's' })).not.toBeNull()
})

test('compiles a schema once, whatever the order of its keys', () => {
  const one = compileSchema({ type: 'object', properties: { a: { type: 'string', minLength: 2 } } })
  expect(compileSchema({ properties: { a: { minLength: 2, type: 'string' } }, type: 'object' })).toBe(one)
  expect(compileSchema({ properties: { a: { minLength: 3, type: 'string' } }, type: 'object' })).not.toBe(one)
})

test('treats names of Object.prototype as names', () => {
  const names = ['constructor', 'toJSON', 'hasOwnProperty', 'toString', 'then', 'valueOf']
  const schema = object(Object.fromEntries(names.map((name) => [name, { type: 'string' }])), {
    required: names,
    additionalProperties: false,
  })
  expect(
    errorsOf(schema, {})
      ?.map((error) => error.field)
      .sort(),
  ).toEqual([...names].sort())
  expect(errorsOf(schema, Object.fromEntries(names.map((name) => [name, 'x'])))).toBeNull()
  expect(errorsOf(schema, parse('{"__proto__":{"then":"x"}}'))).toContainEqual({
    field: '__proto__',
    message: 'is not a known field',
  })
  expect(refusal(parse('{"type":"object","properties":{"__proto__":{"type":"string"}}}'))).not.toBeNull()
  expect(({} as { polluted?: unknown }).polluted).toBeUndefined()
})

test('compares values without calling what they hold', () => {
  const schema = object({ a: { enum: [{}, { valueOf: 2 }] }, b: { uniqueItems: true } })
  expect(errorsOf(schema, { a: { valueOf: 1 } })).not.toBeNull()
  expect(errorsOf(schema, { a: { valueOf: 2 } })).toBeNull()
  expect(errorsOf(schema, { b: [{ valueOf: 1 }, { toString: 1, toJSON: 2 }] })).toBeNull()
  expect(
    errorsOf(schema, {
      b: [
        { a: 1, b: 2 },
        { b: 2, a: 1 },
      ],
    }),
  ).not.toBeNull()
})

test.each<[string, JsonSchema]>([
  ['a reference that only leads to itself', object({ a: { $ref: '#/properties/a' } })],
  [
    'a cycle through allOf',
    object({}, { allOf: [{ $ref: '#/$defs/a' }], $defs: { a: { not: { $ref: '#' } } } }),
  ],
  [
    '10 000 properties',
    object(Object.fromEntries(Array.from({ length: 10_000 }, (_, i) => [`p${i}`, true]))),
  ],
  ['1 MB', object({}, { description: 'x'.repeat(1_000_000) })],
  ['depth 1000', object({ a: Array.from({ length: 1000 }).reduce<JsonSchema>((items) => ({ items }), {}) })],
  [
    '30 doublings of anyOf',
    object(
      { a: { $ref: '#/$defs/0' } },
      {
        $defs: Object.fromEntries(
          Array.from({ length: 31 }, (_, i) => {
            const next = { $ref: `#/$defs/${i + 1}` }
            return [i, i === 30 ? { type: 'string' } : { anyOf: [next, next] }]
          }),
        ),
      },
    ),
  ],
  ['2000 patterns', object({ a: { allOf: Array.from({ length: 2000 }, () => ({ pattern: 'a' })) } })],
  [
    '200 definitions in use',
    object(Object.fromEntries(Array.from({ length: 200 }, (_, i) => [`p${i}`, { $ref: `#/$defs/${i}` }])), {
      $defs: Object.fromEntries(Array.from({ length: 200 }, (_, i) => [i, { type: 'string' }])),
    }),
  ],
])('refuses %s without taking long', (_name, schema) => {
  const { result, seconds } = timed(() => refusal(schema))
  expect(result).toMatchObject({ code: 'validation_failed' })
  expect(seconds).toBeLessThan(2)
})

test('compiles the largest schemas it accepts in time', () => {
  const property = (i: number) => ({ type: 'string', minLength: i, maxLength: 900, description: 'x' })
  const properties = Object.fromEntries(Array.from({ length: 480 }, (_, i) => [`p${i}`, property(i)]))
  const { seconds } = timed(() => errorsOf(object(properties), {}))
  expect(seconds).toBeLessThan(2)
})

test.each<[string, JsonSchema, unknown]>([
  [
    'a schema that meets itself twice at every level',
    object(
      { n: { $ref: '#/$defs/d' } },
      {
        $defs: {
          d: { anyOf: [object({ n: { $ref: '#/$defs/d' } }), object({ n: { $ref: '#/$defs/d' } })] },
        },
      },
    ),
    nested(60),
  ],
  [
    'hundreds of rules for each of many fields',
    object(
      {},
      { additionalProperties: { allOf: Array.from({ length: 400 }, (_, i) => ({ maxLength: i + 1 })) } },
    ),
    Object.fromEntries(Array.from({ length: 30_000 }, (_, i) => [`k${i}`, 'x'])),
  ],
  [
    'a large pattern on long text',
    object({ a: { pattern: '([ab]*a[ab]{100}){3}$' } }),
    { a: 'ab'.repeat(100_000) },
  ],
  [
    'a closed object behind many branches',
    object(
      {},
      {
        allOf: Array.from({ length: 400 }, () => ({
          not: { maxProperties: 0, additionalProperties: false },
        })),
      },
    ),
    Object.fromEntries(Array.from({ length: 30_000 }, (_, i) => [`k${i}`, 1])),
  ],
])('gives up on %s', (_name, schema, value) => {
  checkSchema(schema, 'input_schema')
  const validate = compileSchema(schema)
  const { result, seconds } = timed(() => validate(value))
  if (result !== null) expect(result[0]?.message).toMatch(/too large/)
  expect(seconds).toBeLessThan(3)
})

test.each([
  '^(a+)+$',
  '^(\\w+\\s?)*$',
  '(x+x+)+y',
  '^([a-zA-Z0-9])(([\\-.]|[_]+)?([a-zA-Z0-9]+))*(@){1}$',
  '^\\s*(.*)\\s*$',
])('runs %s in linear time', (pattern) => {
  const validate = compileSchema(object({ a: { pattern }, b: { patternProperties: { [pattern]: true } } }))
  for (const a of [
    `${'a'.repeat(50_000)}!`,
    'x'.repeat(50_000),
    `${' '.repeat(100_000)}\n`,
    'a\n'.repeat(50_000),
  ]) {
    expect(timed(() => validate({ a, b: { [a]: 1 } })).seconds).toBeLessThan(2)
  }
})

test('checks 100 000 items for being unique in linear time', () => {
  const validate = compileSchema(object({ a: { type: 'array', uniqueItems: true } }))
  const items = Array.from({ length: 100_000 }, (_, i) => [i])
  expect(timed(() => validate({ a: items })).seconds).toBeLessThan(3)
  expect(validate({ a: [...items.slice(0, 1000), [7]] })).not.toBeNull()
})

test('takes extreme numbers for what they are', () => {
  const schema = object({
    tiny: { multipleOf: 1e-300 },
    tenth: { multipleOf: 0.1 },
    long: { type: 'string', minLength: 1e9 },
    many: { type: 'array', maxItems: Number.MAX_SAFE_INTEGER },
  })
  expect(errorsOf(schema, { tiny: 5, many: [1] })).toBeNull()
  expect(errorsOf(schema, { tiny: 1.7976931348623157e308, tenth: 0.3 })).toBeNull()
  expect(errorsOf(schema, { tiny: 1e-301 })).not.toBeNull()
  expect(errorsOf(schema, { tenth: 0.1 + 0.2 })).not.toBeNull()
  expect(errorsOf(schema, { long: 'x'.repeat(200_000) })).not.toBeNull()
})

test('finds every decimal product to be a multiple of its factors', () => {
  const schema = object({ n: { multipleOf: 0.01 } })
  const validate = compileSchema(schema)
  fc.assert(
    fc.property(fc.integer({ min: -1e9, max: 1e9 }), (cents) => {
      const text = `${cents < 0 ? '-' : ''}${Math.trunc(Math.abs(cents) / 100)}.${String(Math.abs(cents) % 100).padStart(2, '0')}`
      return validate({ n: Number(text) }) === null && validate({ n: Number(`${text}5`) }) !== null
    }),
  )
})

test.each<[string, string[], string[]]>([
  [
    'date',
    ['2024-02-29', '0001-01-01'],
    ['2023-02-29', '2026-1-1', '2026-00-10', '2026-01-00', '2026-01-01T00:00:00Z'],
  ],
  [
    'date-time',
    ['2026-01-31T09:00:00Z', '2026-01-31t09:00:00.123456+02:00'],
    ['2026-01-31 09:00:00Z', '2026-01-31T09:00:00', '2026-01-31T24:00:00Z', '2026-02-30T00:00:00Z'],
  ],
  [
    'email',
    ['a.b+c@example.com'],
    ['a@b@c', 'a@', '@b', 'a b@example.com', 'a..b@example.com', 'a@-b.com', `a@${'b'.repeat(300)}`],
  ],
  ['hostname', ['example.com', 'localhost'], ['-a.com', 'a_b', 'a..b', '', `${'a'.repeat(64)}.com`]],
  ['ipv4', ['127.0.0.1'], ['127.0.0', '256.0.0.1', '1.2.3.4.', '1.2.3.4.5', '01.2.3.4']],
  ['ipv6', ['::1', '2001:db8::1', '::ffff:1.2.3.4'], ['1', ':::', 'fe80::1%eth0', '[::1]']],
  [
    'uri',
    ['https://example.com/a?b#c', 'mailto:a@example.com'],
    ['/a', 'example.com', 'https://a b', 'https://a\\b'],
  ],
  ['uuid', ['0190f0ca-6e4d-7b8e-9d0e-1c2b3a495867'], ['0190f0ca6e4d7b8e9d0e1c2b3a495867']],
  ['json-pointer', ['', '/a~1b'], ['a', '/~2']],
  ['byte', ['aGk=', ''], ['aGk', '!!!!']],
  ['duration', ['P1DT2H', 'P2W', 'PT5S'], ['P', 'PT', 'P1H', '1D']],
])('checks the format %s', (format, right, wrong) => {
  const schema = object({ a: { type: 'string', format } })
  for (const a of right) expect([a, errorsOf(schema, { a })]).toEqual([a, null])
  for (const a of wrong) expect([a, errorsOf(schema, { a })]).not.toEqual([a, null])
  const validate = compileSchema(schema)
  for (const part of ['a', '1', 'a.', ' ', '/', '-', 'a@', '::'])
    expect(timed(() => validate({ a: part.repeat(100_000) })).seconds).toBeLessThan(1)
})

test('shows the schema without fixed properties and x- keys, and leaves the stored one alone', () => {
  const schema = object(
    {
      to: { type: 'string', 'x-sensitive': true },
      from: { const: 'me@example.com' },
      'x-header': { type: 'string' },
    },
    { required: ['to', 'from'], 'x-in': 1, anyOf: [{ required: ['from'] }, { required: ['to'] }] },
  )
  const before = JSON.stringify(schema)
  expect(shownSchema(schema, { from: 'me@example.com' })).toEqual({
    type: 'object',
    properties: { to: { type: 'string' }, 'x-header': { type: 'string' } },
    required: ['to'],
    anyOf: [{ required: [] }, { required: ['to'] }],
  })
  expect(JSON.stringify(schema)).toBe(before)
})

test('shows nothing of a fixed property where it is said elsewhere of the same input', () => {
  const schema = object(
    { a: { type: 'string' }, b: { type: 'string' }, c: { $ref: '#/$defs/other' } },
    {
      allOf: [{ $ref: '#/$defs/base' }, { $ref: '#anchored' }],
      dependentRequired: { a: ['b', 'c'], b: ['a'] },
      examples: [{ a: '1', b: 'fixed' }, 'odd'],
      default: { b: 'fixed' },
      enum: [{ a: '1', b: 'fixed' }],
      $defs: {
        base: { required: ['b'], properties: { b: { const: 'fixed' } }, not: { required: ['b'] } },
        anchor: { $anchor: 'anchored', properties: { b: { const: 'fixed' } } },
        other: { properties: { b: { type: 'string' } }, required: ['b'] },
      },
    },
  )
  const shown = shownSchema(schema, { b: 'fixed' })
  expect(JSON.stringify(shown)).not.toContain('fixed')
  expect(shown).toMatchObject({
    dependentRequired: { a: ['c'] },
    examples: [{ a: '1' }, 'odd'],
    $defs: { base: { required: [], properties: {}, not: { required: [] } } },
  })
  // A property of another value may have the same name.
  expect(shown.$defs).toMatchObject({ other: { properties: { b: { type: 'string' } }, required: ['b'] } })
})

test.each(['true', 1, null])('refuses the mark %j, which would hide nothing', (mark) => {
  const schema = object({ card: { type: 'string', 'x-sensitive': mark } })
  expect(refusal(schema)).toMatchObject({ field: 'input_schema.properties.card.x-sensitive' })
})

test('matches as JavaScript does wherever it accepts a pattern of plain parts', () => {
  const atom = fc.constantFrom(
    'a',
    'b',
    '[ab]',
    '[^a]',
    '\\d',
    '\\w',
    'é',
    '(?:ab|c)',
    '\\.',
    '\\u0061',
    '\\u{1F600}',
  )
  const part = fc.tuple(atom, fc.constantFrom('', '*', '+', '?', '{2}', '{1,3}')).map((both) => both.join(''))
  const texts = fc.array(fc.string({ unit: fc.constantFrom('a', 'b', 'c', '1', '.', 'é', '😀', '_') }), {
    maxLength: 5,
  })
  fc.assert(
    fc.property(fc.array(part, { maxLength: 4 }), fc.boolean(), texts, (parts, isAnchored, all) => {
      const source = isAnchored ? `^${parts.join('')}$` : parts.join('')
      const pattern = compilePattern(source)
      const native = new RegExp(source, 'u')
      return all.every((text) => pattern.test(text) === native.test(text))
    }),
  )
})

test.each<[string, JsonSchema, unknown, boolean]>([
  ['a condition that holds', { if: { properties: { a: {} } } }, { a: 1 }, true],
  ['a condition that fails', { if: { properties: { a: { const: 2 } } } }, { a: 1 }, false],
  [
    'a condition that fails beside its else',
    { if: { properties: { a: {} }, required: ['b'] }, else: { properties: { c: {} } } },
    { a: 1 },
    false,
  ],
  ['a branch not taken', parse('{"if":{"required":["b"]},"then":{"properties":{"a":{}}}}'), { a: 1 }, false],
  ['a form that does not fit', { anyOf: [{ properties: { a: {} }, required: ['b'] }, {}] }, { a: 1 }, false],
  ['what is excluded', { not: { properties: { a: {} }, required: ['b'] } }, { a: 1 }, false],
])('takes %s for what it says about known fields', (_name, schema, value, isValid) => {
  const found = errorsOf({ type: 'object', ...schema, unevaluatedProperties: false }, value)
  expect(found === null).toBe(isValid)
})

/** JSON Schema 2020-12, section 11, for the keywords below: the names that were looked at, or null for a refusal. */
const lookedAt = (schema: JsonSchema, value: Record<string, number>): Set<string> | null => {
  const {
    properties = {},
    patternProperties = {},
    required = [],
    anyOf,
    oneOf,
    allOf,
    ...rest
  } = schema as {
    [keyword: string]: never
  }
  const names = Object.keys(value)
  const seen = new Set<string>()
  const judge = (inner: JsonSchema) => lookedAt(inner, value)
  const take = (found: Set<string> | null) => {
    for (const name of found ?? []) seen.add(name)
    return found !== null
  }
  if ((required as string[]).some((name) => !names.includes(name))) return null
  for (const name of names) {
    const rules = [
      ...Object.entries<JsonSchema>(properties).filter(([known]) => known === name),
      ...Object.entries<JsonSchema>(patternProperties).filter(([start]) => name.startsWith(start.slice(1))),
    ]
    if (rules.some(([, rule]) => 'const' in rule && rule.const !== value[name])) return null
    if (rules.length > 0) seen.add(name)
  }
  const fitting = (list: JsonSchema[]) => list.map(judge).filter((found) => found !== null)
  if (allOf && fitting(allOf).length < (allOf as JsonSchema[]).length) return null
  if (anyOf && fitting(anyOf).length === 0) return null
  if (oneOf && fitting(oneOf).length !== 1) return null
  for (const list of [allOf, anyOf, oneOf]) if (list) for (const found of fitting(list)) take(found)
  if (rest.if) {
    const branch = take(judge(rest.if)) ? rest.then : rest.else
    if (branch && !take(judge(branch))) return null
  }
  if (rest.unevaluatedProperties === false && names.some((name) => !seen.has(name))) return null
  return rest.unevaluatedProperties === undefined ? seen : new Set(names)
}

test('keeps track of known fields through every branch, and never throws', () => {
  const name = fc.constantFrom('a', 'ab', 'b', 'c')
  const rule = fc.constantFrom<JsonSchema>({}, { const: 1 })
  const flat = {
    properties: fc.dictionary(name, rule, { maxKeys: 2 }),
    patternProperties: fc.dictionary(fc.constantFrom('^a', '^b'), rule, { minKeys: 1, maxKeys: 2 }),
    required: fc.uniqueArray(name, { maxLength: 1 }),
    unevaluatedProperties: fc.boolean(),
  }
  const { schema } = fc.letrec<{ schema: JsonSchema }>((tie) => {
    const list = fc.array(tie('schema'), { minLength: 1, maxLength: 2 })
    const branches = {
      allOf: list,
      anyOf: list,
      oneOf: list,
      if: tie('schema'),
      // biome-ignore lint/suspicious/noThenProperty: a keyword of JSON Schema, never awaited
      then: tie('schema'),
      else: tie('schema'),
    }
    return {
      schema: fc.oneof(
        { maxDepth: 2 },
        fc.record(flat, { requiredKeys: [] }),
        fc.record({ ...flat, ...branches }, { requiredKeys: [] }),
      ),
    }
  })
  const values = fc.array(fc.dictionary(name, fc.constantFrom(1, 2)), { minLength: 1, maxLength: 4 })
  fc.assert(
    fc.property(schema, values, (inner, all) => {
      const whole = { type: 'object', ...inner }
      if (refusal(whole) !== null) return
      const validate = compileSchema(whole)
      for (const value of all) expect(validate(value) === null).toBe(lookedAt(inner, { ...value }) !== null)
    }),
    { numRuns: 150 },
  )
})
