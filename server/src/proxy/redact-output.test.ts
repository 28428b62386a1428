import { describe, expect, test } from 'vitest'
import { createHeaderPicker, shapeOutput, shapeOutputSchema } from './redact-output.ts'
import { compileSchema } from './schema.ts'

const output = {
  id: 1,
  status: 'ok',
  data: { items: [{ name: 'a', key: 'k1' }, { name: 'b', key: 'k2', more: { key: 'k3' } }, 5], total: 2 },
}

describe('shaping an output', () => {
  test.each<[readonly string[] | null, readonly string[] | null, unknown]>([
    [null, null, output],
    [['id', 'status'], null, { id: 1, status: 'ok' }],
    [['data.items.name'], null, { data: { items: [{ name: 'a' }, { name: 'b' }] } }],
    [['data', 'data.items.name'], null, { data: output.data }],
    [['data.items.name', 'data'], null, { data: output.data }],
    [['id.x', 'nope', 'data.total.x'], null, { data: {} }],
    [[], null, {}],
    [
      ['data.items'],
      ['data.items.key', 'data.items.more'],
      {
        data: {
          items: [{ name: 'a', key: '[redacted]' }, { name: 'b', key: '[redacted]', more: '[redacted]' }, 5],
        },
      },
    ],
    [['id'], ['id'], { id: '[redacted]' }],
    [null, ['data'], { id: 1, status: 'ok', data: '[redacted]' }],
  ])('keeps %j and hides %j', (fields, redact, expected) => {
    expect(shapeOutput(output, { fields, redact })).toEqual(expected)
  })

  test('enters a list at the top and drops what is no object', () => {
    expect(shapeOutput([{ id: 1, x: 2 }, 'text', null], { fields: ['id'], redact: null })).toEqual([
      { id: 1 },
    ])
    expect(shapeOutput('text', { fields: ['id'], redact: null })).toBeNull()
  })

  test.each([
    [['user.email'], { 'user.email': '[redacted]', user: { email: '[redacted]', id: 1 }, 'user.id': 2 }],
    [['user'], { 'user.email': '[redacted]', user: '[redacted]', 'user.id': '[redacted]' }],
    [['user.email.x'], { 'user.email': 'a@b.c', user: { email: 'a@b.c', id: 1 }, 'user.id': 2 }],
  ])('hides %j also where a name of the answer has the dot in it', (redact, expected) => {
    const flat = { 'user.email': 'a@b.c', user: { email: 'a@b.c', id: 1 }, 'user.id': 2 }
    expect(shapeOutput(flat, { fields: null, redact })).toEqual(expected)
  })

  test('treats prototype names as data', () => {
    const value = JSON.parse('{"__proto__":{"a":1},"constructor":2}')
    expect(JSON.stringify(shapeOutput(value, { fields: ['__proto__.a'], redact: null }))).toBe(
      '{"__proto__":{"a":1}}',
    )
    expect(JSON.stringify(shapeOutput({}, { fields: ['constructor', 'toString.name'], redact: null }))).toBe(
      '{}',
    )
    expect(JSON.stringify(shapeOutput(value, { fields: null, redact: ['__proto__', 'constructor'] }))).toBe(
      '{"__proto__":"[redacted]","constructor":"[redacted]"}',
    )
  })
})

describe('headers of an answer', () => {
  test('pass by default only when harmless', () => {
    const headers = [
      ['content-type', 'application/json'],
      ['etag', '"1"'],
      ['retry-after', '3'],
      ['x-total', '9'],
      ['set-cookie', 'a=b'],
    ] as const
    expect(createHeaderPicker(null)(headers)).toEqual([
      ['content-type', 'application/json'],
      ['etag', '"1"'],
      ['retry-after', '3'],
    ])
    expect(createHeaderPicker(['x-TOTAL'])(headers)).toEqual([
      ['content-type', 'application/json'],
      ['retry-after', '3'],
      ['x-total', '9'],
    ])
    expect(createHeaderPicker([])(headers)).toEqual([
      ['content-type', 'application/json'],
      ['retry-after', '3'],
    ])
  })

  test.each([
    'Set-Cookie',
    'Content-Security-Policy',
    'Content-Security-Policy-Report-Only',
    'Access-Control-Allow-Origin',
    'Strict-Transport-Security',
    'Content-Length',
    'Content-Encoding',
    'Location',
    'WWW-Authenticate',
    'X-Request-Id',
    'Connection',
    'Keep-Alive',
    'Transfer-Encoding',
    'Trailer',
    'TE',
    'Upgrade',
    'Proxy-Authenticate',
    'Via',
    'X-NarrowAPI-Error',
    'X-Execution-ID',
    'X-Upstream-Status',
    'X-RateLimit-Remaining',
    'RateLimit-Policy',
    'Clear-Site-Data',
    'Refresh',
    'Idempotent-Replayed',
  ])('never pass, even when listed: %s', (name) => {
    expect(createHeaderPicker([name])([[name.toLowerCase(), 'v']])).toEqual([])
  })

  test('are dropped when the upstream calls them hop-by-hop or their value is not sendable', () => {
    expect(
      createHeaderPicker(['x-hop', 'x-bad', 'x-good'])([
        ['connection', 'close, X-Hop'],
        ['x-hop', '1'],
        ['x-bad', 'a\r\nset-cookie: b'],
        ['x-good', '1'],
      ]),
    ).toEqual([['x-good', '1']])
  })
})

describe('the schema shown of an answer', () => {
  const schema = {
    type: 'object',
    properties: {
      id: { type: 'string' },
      owner: {
        type: 'object',
        properties: { name: { type: 'string' }, iban: { type: 'string' } },
        required: ['iban'],
      },
      items: { type: 'array', uniqueItems: true, items: { $ref: '#/$defs/item' } },
      tags: {
        type: 'array',
        uniqueItems: true,
        items: { type: 'object', properties: { name: { type: 'string' } } },
      },
      'owner.age': { type: 'integer' },
      counts: { type: 'object', additionalProperties: { type: 'integer' } },
    },
    required: ['id', 'owner', 'tags'],
    $defs: { item: { type: 'object', properties: { price: { type: 'integer' } } } },
  }
  const answer = {
    id: 're_1',
    owner: { name: 'Ada', iban: 'DE00' },
    items: [{ price: 3 }],
    tags: [{ name: 'a' }, { name: 'b' }],
    'owner.age': 36,
    counts: { 'a.b': 1 },
    more: 1,
  }

  test.each([
    { fields: null, redact: null },
    { fields: ['id', 'owner.name'], redact: null },
    { fields: ['owner'], redact: ['owner.iban'] },
    { fields: ['items.price', 'tags.name', 'more', 'unknown.deep'], redact: null },
    { fields: null, redact: ['owner.iban', 'tags.name', 'items.price', 'missing'] },
    { fields: null, redact: ['owner.age', 'counts.a.b'] },
  ])('is one that every answer fits after the policy: %o', (policy) => {
    const shown = shapeOutputSchema(schema, policy)
    expect(compileSchema(shown)(shapeOutput(answer, policy))).toBeNull()
  })

  test('promises nothing that is cut, and tells what is hidden', () => {
    expect(shapeOutputSchema(schema, { fields: ['id', 'owner.iban'], redact: ['owner.iban'] })).toEqual({
      type: 'object',
      properties: {
        id: { type: 'string' },
        owner: {
          type: 'object',
          properties: { iban: { const: '[redacted]' } },
          required: ['iban'],
          additionalProperties: false,
        },
      },
      required: ['id'],
      additionalProperties: false,
      $defs: schema.$defs,
    })
  })

  test('is open where a path leads through alternatives', () => {
    const either = { type: 'object', properties: { a: { anyOf: [{ type: 'object' }, { type: 'null' }] } } }
    expect(shapeOutputSchema(either, { fields: ['a.b'], redact: null })).toMatchObject({
      properties: { a: {} },
    })
    expect(shapeOutputSchema({ $ref: '#/$defs/x' }, { fields: ['a'], redact: null })).toEqual({})
  })
})
