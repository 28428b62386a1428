import { describe, expect, test } from 'vitest'
import { createInputRedactor, redactInput } from './redact-input.ts'

const hidden = '[redacted]'
const secret = { type: 'string', 'x-sensitive': true }

describe('recording an input', () => {
  test.each<[string, Record<string, unknown>, unknown, unknown]>([
    ['a property', { properties: { a: secret, b: {} } }, { a: 's', b: 1 }, { a: hidden, b: 1 }],
    [
      'an object as a whole',
      { properties: { a: { ...secret, properties: { b: {} } } } },
      { a: { b: 's' } },
      { a: hidden },
    ],
    [
      'a nested property',
      { properties: { a: { properties: { b: secret } } } },
      { a: { b: 's', c: 1 } },
      { a: { b: hidden, c: 1 } },
    ],
    [
      'items',
      { properties: { a: { items: { properties: { b: secret } } } } },
      { a: [{ b: 's' }, 1] },
      { a: [{ b: hidden }, 1] },
    ],
    ['prefix items', { prefixItems: [{}, secret], items: {} }, [1, 's', 2], [1, hidden, 2]],
    [
      'a reference',
      { properties: { a: { $ref: '#/$defs/a~1b%25' } }, $defs: { 'a/b%': secret } },
      { a: 's' },
      { a: hidden },
    ],
    [
      'a recursive reference',
      { properties: { key: secret, next: { $ref: '#' } } },
      { key: 's', next: { key: 's', next: { key: 's' } } },
      { key: hidden, next: { key: hidden, next: { key: hidden } } },
    ],
    ['a reference to itself', { $ref: '#', properties: { a: secret } }, { a: 's' }, { a: hidden }],
    [
      'a reference that leads nowhere',
      { properties: { a: secret, b: { $ref: '#/$defs/no' } } },
      { b: 's' },
      { b: hidden },
    ],
    [
      'a foreign reference',
      { properties: { a: secret, b: { $ref: 'other.json' } } },
      { b: 's' },
      { b: hidden },
    ],
    [
      'anyOf',
      { anyOf: [{ properties: { a: {} } }, { properties: { a: secret } }] },
      { a: 's' },
      { a: hidden },
    ],
    ['oneOf in allOf', { allOf: [{ oneOf: [{ properties: { a: secret } }] }] }, { a: 's' }, { a: hidden }],
    [
      'then',
      JSON.parse('{"if":{},"then":{"properties":{"a":{"x-sensitive":true}}}}'),
      { a: 's' },
      { a: hidden },
    ],
    [
      'a dependent schema',
      { dependentSchemas: { b: { properties: { a: secret } } } },
      { a: 's' },
      { a: hidden },
    ],
    [
      'additional properties',
      { properties: { a: {} }, additionalProperties: secret },
      { a: 1, z: 's' },
      { a: 1, z: hidden },
    ],
    [
      'pattern properties',
      { patternProperties: { '^x-': secret } },
      { 'x-a': 's', b: 1 },
      { 'x-a': hidden, b: 1 },
    ],
    ['a pattern that cannot be read', { patternProperties: { '(?<=x)': secret } }, { b: 's' }, { b: hidden }],
    ['everything', { 'x-sensitive': true }, { a: 's' }, hidden],
  ])('hides what is marked: %s', (_, schema, input, expected) => {
    expect(redactInput(input, schema)).toEqual(expected)
  })

  test('looks names up by own properties only', () => {
    const schema = JSON.parse('{"properties":{"a":{"x-sensitive":true},"__proto__":{"x-sensitive":true}}}')
    const input = JSON.parse('{"__proto__":"s","constructor":{"prototype":1},"toString":2}')
    expect(JSON.stringify(redactInput(input, schema))).toBe(
      '{"__proto__":"[redacted]","constructor":{"prototype":1},"toString":2}',
    )
  })

  test('gives the input itself back when nothing is marked', () => {
    const input = { a: 1 }
    expect(createInputRedactor({ properties: { a: {} } })(input)).toBe(input)
  })

  test('leaves the input it was given as it was', () => {
    const input = { a: 's' }
    redactInput(input, { properties: { a: secret } })
    expect(input).toEqual({ a: 's' })
  })
})
