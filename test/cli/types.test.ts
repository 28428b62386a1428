import type { Constraint } from '@narrowapi/contract'
import fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest'
import { uniqueNames } from '../../sdk/cli/src/names.ts'
import { follow, isObject } from '../../sdk/cli/src/reference.ts'
import { declareTypes } from '../../sdk/cli/src/types.ts'
import { checkConstraints, decide } from '../../server/src/proxy/policy.ts'
import { checkSchema, compileSchema, type JsonSchema } from '../../server/src/proxy/schema.ts'
import { createProject, type Project } from './project.ts'

// Compilers are slow where many tests run at once.
vi.setConfig({ testTimeout: 180_000, hookTimeout: 180_000 })

let project: Project
beforeAll(async () => {
  project = await createProject()
})
afterAll(() => project.remove())

type Case = { schema: JsonSchema; value: unknown; constraints?: readonly Constraint[] }

const declare = (name: string, { schema, constraints = [] }: Omit<Case, 'value'>) => {
  const uniqueName = uniqueNames([name])
  return declareTypes({ name, schema, io: 'input', constraints, about: '', uniqueName }).text
}

/**
 * Scalars keep their own types, which a compiler forgets beside an index signature; objects stay literals, so
 * that members too many are noticed.
 */
const inCode = (value: unknown): string => {
  if (value === null) return 'null'
  if (Array.isArray(value)) return `[${value.map(inCode).join(', ')}]`
  if (typeof value !== 'object') return `(${JSON.stringify(value)} as const)`
  return `{ ${Object.entries(value)
    .map(([key, one]) => `${JSON.stringify(key)}: ${inCode(one)}`)
    .join(', ')} }`
}

/** What each version of the compiler says of the values, by the number of the case. */
const refusalsOf = async (cases: readonly Case[]) => {
  const lines: string[] = []
  const ends = cases.map((one, index) => {
    lines.push(...declare(`T${index}x`, one).split('\n'))
    lines.push(`export const v${index}: T${index}x = ${inCode(one.value)}`)
    return lines.length
  })
  await project.write('values.ts', lines.join('\n'))
  const refusals: Map<number, string>[] = []
  for (const version of ['5.9', '7'] as const) {
    const said = await project.compile(version)
    const found = [...said.matchAll(/^values\.ts\((\d+),\d+\): error (.*)$/gm)]
    // Nothing may go unnoticed because it is said in another form.
    if (said !== '' && found.length === 0) throw new Error(said)
    const caseAt = (line: number) => ends.findIndex((end) => line <= end)
    refusals.push(new Map(found.map(([, line = '', message = '']) => [caseAt(Number(line)), message])))
  }
  return refusals
}

const explain = (one: Case | undefined, message: string) =>
  one && `${JSON.stringify(one)}\n${declare('T', one)}\n${message}`

const names = ['a', 'b', 'c'] as const

/** Values over so few names and texts that many of them fit. */
const anyValue = fc.letrec((tie) => ({
  value: fc.oneof(
    { maxDepth: 3 },
    fc.constantFrom<unknown>('x', 'y', '', 0, 1, -2.5, true, false, null),
    fc.array(tie('value'), { maxLength: 3 }),
    fc.dictionary(fc.constantFrom(...names, 'd'), tie('value'), { maxKeys: 3 }),
  ),
})).value

/** Schemas of every keyword that decides a type; few keywords at once, or hardly any value would fit. */
const anySchema = fc.letrec<{ schema: unknown; object: JsonSchema }>((tie) => {
  const schemas = fc.array(tie('schema'), { minLength: 1, maxLength: 2 })
  const named = fc.dictionary(fc.constantFrom(...names), tie('schema'), { maxKeys: 2 })
  const members = fc.record({ properties: named, required: fc.subarray([...names], { maxLength: 2 }) })
  const more = fc.oneof(fc.boolean(), tie('schema'))
  const conditions = fc
    .tuple(tie('schema'), tie('schema'), tie('schema'))
    // biome-ignore lint/suspicious/noThenProperty: a keyword of JSON Schema, never awaited
    .map(([a, b, c]) => ({ if: a, then: b, else: c }))
  const aspect = fc.oneof(
    { arbitrary: members, weight: 4 },
    { arbitrary: fc.record({ additionalProperties: more }), weight: 2 },
    { arbitrary: fc.record({ unevaluatedProperties: more }), weight: 2 },
    fc.record({
      patternProperties: fc.dictionary(fc.constantFrom('^a', 'd'), tie('schema'), { minKeys: 1 }),
    }),
    fc.record({ allOf: schemas }),
    fc.record({ anyOf: schemas }),
    fc.record({ oneOf: schemas }),
    fc.record({ dependentSchemas: named }),
    fc.record({ $ref: fc.constantFrom('#/$defs/one', '#two') }),
    conditions,
  )
  const type = fc.constantFrom<unknown>(
    'object',
    'object',
    ['object', 'null'],
    ['object', 'string', 'integer'],
    undefined,
  )
  return {
    schema: fc.oneof(
      { maxDepth: 3 },
      fc.constantFrom<unknown>(
        true,
        {},
        { type: 'string' },
        { type: 'integer' },
        { type: ['number', 'null'] },
      ),
      fc.constantFrom<unknown>(
        { enum: ['x', 1, null, { a: 1 }] },
        { const: 'x' },
        { const: [1, 'x'] },
        { type: 'boolean' },
      ),
      fc.constantFrom<unknown>(
        { $ref: '#/$defs/one' },
        { $ref: '#/$defs/two' },
        { $ref: '#two' },
        { $ref: '#' },
      ),
      tie('object'),
      fc.record({ type: fc.constant('array'), items: tie('schema') }),
      fc.record(
        {
          type: fc.constantFrom<unknown>('array', ['array', 'string']),
          prefixItems: schemas,
          items: tie('schema'),
          minItems: fc.nat({ max: 3 }),
          maxItems: fc.nat({ max: 3 }),
        },
        { requiredKeys: ['prefixItems'] },
      ),
      fc.record({ not: tie('schema') }),
    ),
    object: fc
      .tuple(type, fc.array(aspect, { minLength: 1, maxLength: 3 }))
      .map(
        ([kind, aspects]): JsonSchema =>
          Object.assign({}, kind === undefined ? {} : { type: kind }, ...aspects),
      ),
  }
})

const anyRoot = fc
  .record({ root: anySchema.object, one: anySchema.object, two: anySchema.schema })
  .map(({ root, one, two }): JsonSchema => {
    const anchored = typeof two === 'object' && two !== null ? { ...two, $anchor: 'two' } : { $anchor: 'two' }
    return { ...root, type: 'object', $defs: { one, two: anchored } }
  })

type Random = () => number

/** The minimal standard generator, so that a failing seed fails again. */
const sequence = (seed: number): Random => {
  let state = seed
  return () => {
    state = (state * 48_271) % 2_147_483_647
    return state / 2_147_483_647
  }
}

/** A value that has a fair chance to fit. */
const aim = (schema: unknown, root: JsonSchema, random: Random, depth = 0): unknown => {
  const pick = <T>(list: readonly T[]): T | undefined => list[Math.floor(random() * list.length)]
  const again = (inner: unknown) => aim(inner, root, random, depth + 1)
  const part = isObject(schema) && depth < 6 ? schema : {}
  if ('const' in part) return part.const
  if (Array.isArray(part.enum)) return pick(part.enum)
  const target = typeof part.$ref === 'string' ? again(follow(root, part.$ref)) : undefined
  const branches = [part.anyOf, part.oneOf].flatMap((list) =>
    Array.isArray(list) ? [again(pick(list))] : [],
  )
  const all = Array.isArray(part.allOf) ? part.allOf.map(again) : []
  const inherited = [
    target,
    ...branches,
    ...all,
    ...('if' in part ? [again(part[random() < 0.5 ? 'then' : 'else'])] : []),
  ]
  const kind = pick(
    Array.isArray(part.type)
      ? part.type
      : [part.type ?? (Object.keys(part).length > 0 ? 'object' : undefined)],
  )
  if (kind === 'array' || Array.isArray(part.prefixItems)) {
    const first = Array.isArray(part.prefixItems) ? part.prefixItems.map(again) : []
    return [...first, ...(random() < 0.5 ? [again(part.items)] : [])].slice(0, random() < 0.3 ? 1 : 4)
  }
  if (kind !== 'object')
    return kind === undefined
      ? pick(['x', 1, null, {}])
      : { string: 'x', integer: 1, number: 2.5, boolean: true, null: null }[String(kind)]
  const required = Array.isArray(part.required) ? part.required.map(String) : []
  const properties = isObject(part.properties) ? part.properties : {}
  const keys = [
    ...required,
    ...Object.keys(properties).filter(() => random() < 0.6),
    ...(random() < 0.3 ? ['d'] : []),
  ]
  const more = isObject(part.additionalProperties) ? part.additionalProperties : {}
  const own = Object.fromEntries(keys.map((key) => [key, again(properties[key] ?? more)]))
  return Object.assign({}, ...inherited.filter(isObject), own)
}

const scalars = fc.constantFrom('x', 'y', 1, 0, null, true)
const anyConstraint: fc.Arbitrary<Constraint> = fc.oneof(
  fc.record({ path: path(), op: fc.constantFrom('required' as const, 'absent' as const) }),
  fc.record({ path: path(), op: fc.constant('eq' as const), value: scalars }),
  fc.record({
    path: path(),
    op: fc.constantFrom('in' as const, 'not_in' as const),
    value: fc.uniqueArray(scalars, { minLength: 1, maxLength: 4 }),
  }),
  fc.record({
    path: path(),
    op: fc.constant('each' as const),
    constraints: fc.array(
      fc.record({
        path: fc.constantFrom('', '/a'),
        op: fc.constant('in' as const),
        value: fc.uniqueArray(scalars, { minLength: 1, maxLength: 4 }),
      }),
      { minLength: 1, maxLength: 2 },
    ),
  }),
)

function path() {
  return fc.constantFrom('/a', '/b', '/c', '/a/a', '/a/b', '/b/a', '/c/b/a')
}

const isAccepted = (check: () => void): boolean => {
  try {
    check()
    return true
  } catch {
    return false
  }
}

/** Cases that the server itself accepts, so that a compiler has to. */
const acceptedCases = (numRuns: number, seed: number, withConstraints: boolean): Case[] => {
  const drawn = fc.sample(
    fc.record({
      schema: anyRoot,
      values: fc.array(fc.dictionary(fc.constantFrom(...names, 'd'), anyValue, { maxKeys: 4 }), {
        minLength: 5,
        maxLength: 5,
      }),
      seed: fc.integer({ min: 1, max: 2 ** 31 - 2 }),
      constraints: fc.array(anyConstraint, { minLength: 1, maxLength: 3 }),
    }),
    { numRuns, seed },
  )
  return drawn.flatMap(({ schema, values, seed: own, constraints: wished }) => {
    if (!isAccepted(() => checkSchema(schema, 'schema'))) return []
    const constraints = withConstraints
      ? wished.filter((one) => isAccepted(() => checkConstraints([one], schema, 'constraints')))
      : []
    if (withConstraints && constraints.length === 0) return []
    const validate = compileSchema(schema)
    const isFine = (value: unknown) =>
      isAccepted(() => expect(validate(value)).toBeNull()) &&
      decide([{ name: 'action', constraints }], value, new Date()).allowed
    const random = sequence(own)
    const aimed = Array.from({ length: 15 }, () => aim(schema, schema, random))
    const fine = [...values, ...aimed].filter(isFine)
    // The ones that hold most differ most.
    const texts = [...new Set(fine.map((value) => JSON.stringify(value)))].sort((a, b) => b.length - a.length)
    return texts.slice(0, 3).map((text) => ({ schema, value: JSON.parse(text), constraints }))
  })
}

describe('the types of inputs', () => {
  it.each([
    ['schemas', false, 250, 100],
    ['schemas with constraints', true, 2000, 50],
  ] as const)('never refuse what the server accepts: any %s', async (_, withConstraints, numRuns, least) => {
    // The same for everybody, so that what fails here was broken by a change; others are for whoever looks for more.
    const seed = Number(process.env.TEST_SEED ?? 1)
    const cases = acceptedCases(numRuns, seed, withConstraints).slice(0, 1500)
    expect(cases.length).toBeGreaterThan(least)
    for (const refusals of await refusalsOf(cases)) {
      const [first] = refusals
      expect(first && explain(cases[first[0]], first[1]), `seed ${seed}`).toBeUndefined()
    }
  })

  const object = (properties: JsonSchema, more: JsonSchema = {}): JsonSchema => ({
    type: 'object',
    properties,
    additionalProperties: false,
    ...more,
  })
  const text = { type: 'string' }
  const number = { type: 'number' }
  const node = {
    type: 'object',
    properties: { next: { $ref: '#/$defs/node' }, v: number },
    required: ['v'],
    additionalProperties: false,
  }
  type Row = [
    says: string,
    schema: JsonSchema,
    accepted: unknown[],
    refused: unknown[],
    constraints?: Constraint[],
  ]

  const rows: Row[] = [
    [
      'required',
      object({ a: text, b: number }, { required: ['a'] }),
      [{ a: 'x' }, { a: 'x', b: 1 }],
      [{}, { b: 1 }, { a: 1 }, { a: 'x', c: 1 }],
    ],
    ['an open object', { type: 'object', properties: { a: text } }, [{}, { a: 'x', more: 1 }], [{ a: 1 }]],
    ['an empty object', object({}), [{}], [{ a: 1 }]],
    ['typed members', { type: 'object', additionalProperties: number }, [{}, { a: 1 }], [{ a: 'x' }]],
    [
      'patterns',
      object({ a: text }, { patternProperties: { '^n': number } }),
      [{ n1: 1, a: 'x' }],
      [{ n1: true }],
    ],
    ['types', object({ a: { type: ['string', 'null'] } }), [{ a: null }, { a: 'x' }], [{ a: 1 }]],
    [
      'enum',
      object({ a: { enum: ['x', 1, null, { k: 1 }] } }),
      [{ a: 'x' }, { a: 1 }, { a: null }, { a: { k: 1 } }],
      [{ a: 'y' }, { a: 2 }, { a: {} }],
    ],
    ['an enum of one type', object({ a: { type: 'string', enum: ['x', 1] } }), [{ a: 'x' }], [{ a: 1 }]],
    ['const', object({ a: { const: [1, 'x'] } }), [{ a: [1, 'x'] }], [{ a: [1] }, { a: ['x', 1] }]],
    [
      'lists',
      object({ a: { type: 'array', items: number } }),
      [{ a: [] }, { a: [1, 2] }],
      [{ a: ['x'] }, { a: 1 }],
    ],
    [
      'prefixItems',
      object({ a: { type: 'array', prefixItems: [text, number] } }),
      [{ a: [] }, { a: ['x'] }, { a: ['x', 1] }, { a: ['x', 1, true] }],
      [{ a: [1] }, { a: ['x', 'x'] }],
    ],
    [
      'a tuple',
      object({ a: { type: 'array', prefixItems: [text, number], items: false, minItems: 1 } }),
      [{ a: ['x'] }, { a: ['x', 1] }],
      [{ a: [] }, { a: ['x', 1, 2] }],
    ],
    [
      'the rest of a tuple',
      object({ a: { type: 'array', prefixItems: [text], items: number } }),
      [{ a: ['x', 1, 2] }],
      [{ a: ['x', 'y'] }],
    ],
    [
      'the rest of a tuple that is the tuple again',
      object(
        { a: { $ref: '#/$defs/sum' } },
        {
          $defs: {
            sum: {
              type: ['array', 'number'],
              prefixItems: [{ enum: ['+', '-'] }],
              items: { $ref: '#/$defs/sum' },
              minItems: 1,
            },
          },
        },
      ),
      [{ a: 1 }, { a: ['+', 1, ['-', 2, 3]] }],
      [{ a: [] }, { a: ['*', 1] }, { a: ['+', ['+', 'x']] }],
    ],
    [
      'patterns beside names of another part',
      object(
        { a: { $ref: '#/$defs/open' }, b: { $ref: '#/$defs/closed' } },
        {
          $defs: {
            pattern: { type: 'object', patternProperties: { '^n': number } },
            named: { type: 'object', properties: { t: text } },
            open: {
              $ref: '#/$defs/pattern',
              type: 'object',
              properties: { t: text },
              unevaluatedProperties: false,
            },
            closed: {
              type: 'object',
              patternProperties: { '^n': number },
              allOf: [{ $ref: '#/$defs/named' }],
              unevaluatedProperties: false,
            },
          },
        },
      ),
      [{ a: { t: 'x', n1: 1 } }, { b: { t: 'x', n1: 1 } }],
      [{ a: { t: 1 } }, { b: { t: 1 } }],
    ],
    [
      'a tuple within itself',
      object(
        { a: { $ref: '#/$defs/t' } },
        {
          $defs: {
            t: {
              type: ['array', 'string'],
              prefixItems: [
                { type: ['array', 'string'], prefixItems: [number, { $ref: '#/$defs/t' }], items: false },
                { type: 'array', items: { $ref: '#/$defs/t' } },
              ],
              items: { type: 'array', items: { $ref: '#/$defs/t' } },
            },
          },
        },
      ),
      [{ a: 'x' }, { a: [] }, { a: [[1, ['x']], ['x', ['y']], [['z']]] }],
      [{ a: 1 }, { a: [[1, [1]]] }, { a: ['x', [1]] }, { a: ['x', ['x'], [1]] }],
    ],
    [
      'references',
      object({ a: { $ref: '#/$defs/node' } }, { $defs: { node } }),
      [{ a: { v: 1, next: { v: 2 } } }],
      [{ a: {} }, { a: { v: 1, next: {} } }],
    ],
    [
      'anchors',
      object({ a: { $ref: '#here' } }, { $defs: { n: { $anchor: 'here', ...number } } }),
      [{ a: 1 }],
      [{ a: 'x' }],
    ],
    [
      'escaped pointers',
      object({ a: { $ref: '#/$defs/a~1b%20~0c' } }, { $defs: { 'a/b ~c': number } }),
      [{ a: 1 }],
      [{ a: 'x' }],
    ],
    ['itself', object({ a: { $ref: '#' }, v: number }), [{ a: { a: { v: 1 } } }], [{ a: { a: { v: 'x' } } }]],
    [
      'what stands beside a reference',
      object(
        { a: { $ref: '#/$defs/n', required: ['c'] } },
        { $defs: { n: { type: 'object', properties: { b: text } } } },
      ),
      [{ a: { c: 1 } }],
      [{ a: {} }, { a: { b: 1, c: 1 } }],
    ],
    [
      'allOf',
      object({ a: { allOf: [{ type: 'object', properties: { x: text } }, { required: ['x'] }] } }),
      [{ a: { x: 'x' } }],
      [{ a: {} }, { a: { x: 1 } }, { a: 'x' }],
    ],
    [
      'oneOf by tag',
      object({
        a: {
          oneOf: [
            object({ k: { const: 'x' }, x: text }, { required: ['k'] }),
            object({ k: { const: 'n' }, n: number }, { required: ['k'] }),
          ],
        },
      }),
      [{ a: { k: 'x', x: 'x' } }, { a: { k: 'n', n: 1 } }],
      [{ a: { k: 'x', n: 1 } }, { a: { k: 'z' } }],
    ],
    [
      'one of two required',
      object({ a: text, b: text }, { anyOf: [{ required: ['a'] }, { required: ['b'] }] }),
      [{ a: 'x' }, { b: 'x' }, { a: 'x', b: 'x' }],
      [{}, { a: 1 }, { a: 'x', c: 1 }],
    ],
    [
      'unevaluatedProperties',
      {
        type: 'object',
        allOf: [{ properties: { a: text } }],
        properties: { b: number },
        unevaluatedProperties: false,
      },
      [{ a: 'x', b: 1 }],
      [{ c: 1 }, { a: 1 }],
    ],
    [
      'conditions',
      {
        type: 'object',
        properties: { a: text },
        if: { required: ['a'] },
        // biome-ignore lint/suspicious/noThenProperty: a keyword of JSON Schema, never awaited
        then: { properties: { b: text } },
        unevaluatedProperties: false,
      },
      [{ a: 'x', b: 'x' }, {}],
      [{ a: 1 }],
    ],
    ['schemas of true and false', object({ a: true, b: false }), [{ a: 1 }, { a: [] }], [{ b: 1 }]],
    ['not', object({ a: { not: text } }), [{ a: 1 }, { a: [] }], []],
    [
      'no type at all',
      object({ a: { properties: { x: text } } }),
      [{ a: 1 }, { a: { x: 'x' } }],
      [{ a: { x: 1 } }],
    ],
    ['eq', object({ a: text }), [{ a: 'x' }, {}], [{ a: 'y' }], [{ path: '/a', op: 'eq', value: 'x' }]],
    [
      'in and not_in',
      object({ a: { enum: ['x', 'y', 'z'] } }),
      [{ a: 'x' }],
      [{ a: 'y' }, { a: 'z' }],
      [
        { path: '/a', op: 'in', value: ['x', 'y'] },
        { path: '/a', op: 'not_in', value: ['y'] },
      ],
    ],
    [
      'required and absent',
      object({ a: text, b: text }),
      [{ a: 'x' }],
      [{}, { a: 'x', b: 'x' }],
      [
        { path: '/a', op: 'required' },
        { path: '/b', op: 'absent' },
      ],
    ],
    [
      'a rule on a part',
      object({ a: object({ b: text }) }),
      [{ a: { b: 'x' } }],
      [{}, { a: {} }],
      [{ path: '/a/b', op: 'required' }],
    ],
    [
      'a rule on items',
      object({ a: { type: 'array', items: text } }),
      [{ a: ['x'] }],
      [{ a: ['y'] }],
      [{ path: '/a', op: 'each', constraints: [{ path: '', op: 'in', value: ['x'] }] }],
    ],
    [
      'a rule through a reference',
      object({ a: { $ref: '#/$defs/node' } }, { $defs: { node } }),
      [{ a: { v: 1, next: { v: 2 } } }, {}],
      [{ a: { v: 2 } }],
      [{ path: '/a/v', op: 'eq', value: 1 }],
    ],
    [
      'a rule on what names itself',
      object({ a: { $ref: '#' }, v: number }),
      [{ v: 1, a: { v: 2 } }],
      [{ v: 2 }],
      [{ path: '/v', op: 'eq', value: 1 }],
    ],
  ]

  it('accept what the server accepts and refuse what it refuses, keyword by keyword', async () => {
    const cases = rows.flatMap(([says, schema, accepted, refused, constraints = []]) => {
      checkSchema(schema, says)
      checkConstraints(constraints, schema, says)
      const validate = compileSchema(schema)
      const serverAccepts = (value: unknown) =>
        validate(value) === null && decide([{ name: 'action', constraints }], value, new Date()).allowed
      const toCase = (isAcceptable: boolean) => (value: unknown) => {
        expect(serverAccepts(value), `${says}: ${JSON.stringify(value)}`).toBe(isAcceptable)
        return { says, schema, value, constraints, isAcceptable }
      }
      return [...accepted.map(toCase(true)), ...refused.map(toCase(false))]
    })
    for (const refusals of await refusalsOf(cases)) {
      const wrong = cases.filter(({ isAcceptable }, index) => refusals.has(index) === isAcceptable)
      expect(wrong.map((one) => `${one.says}: ${JSON.stringify(one.value)}\n${declare('T', one)}`)).toEqual(
        [],
      )
    }
  })

  it('say of a branch what is said around it', () => {
    const schema = object({ a: text, b: text }, { anyOf: [{ required: ['a'] }, { required: ['b'] }] })
    expect(declare('T', { schema })).toContain('} & ({\n  a: string\n} | {\n  b: string\n})\n')
  })

  it('are valid for answers too, and read well there', async () => {
    const answer = object(
      { id: text, list: { type: 'array', items: text }, state: { enum: ['on', 'off'] } },
      { required: ['id'], additionalProperties: true },
    )
    const declared = declareTypes({
      name: 'Answer',
      schema: answer,
      io: 'output',
      constraints: [],
      about: '',
      uniqueName: uniqueNames([]),
    })
    expect(declared.text).toBe(
      "export type Answer = {\n  id: string\n  list?: string[]\n  state?: 'on' | 'off'\n}\n",
    )
  })
})
