import { expect, test } from 'vitest'
import type { Schema } from './openapi.ts'
import { printDoc, printType } from './type-text.ts'

const cases: [what: string, schema: Schema, sent: string, answered: string][] = [
  ['a reference', { $ref: '#/components/schemas/Action' }, 'Action', 'Action'],
  ['a constant', { const: 'list' }, "'list'", "'list'"],
  ['a choice', { enum: ['a', 'b'] }, "'a' | 'b'", "'a' | 'b' | (string & {})"],
  ['a choice of numbers', { enum: [1, 2] }, '1 | 2', '1 | 2'],
  ['text or null', { type: ['string', 'null'] }, 'string | null', 'string | null'],
  ['an integer', { type: 'integer' }, 'number', 'number'],
  ['a list', { type: 'array', items: { type: 'string' } }, 'readonly string[]', 'string[]'],
  ['free JSON', { type: 'object', additionalProperties: true }, 'object', '{ [key: string]: unknown }'],
  ['anything', {}, 'unknown', 'unknown'],
]

test.each(cases)('writes %s', (_, schema, sent, answered) => {
  expect(printType(schema, { io: 'input', indent: '' })).toBe(sent)
  expect(printType(schema, { io: 'output', indent: '' })).toBe(answered)
})

test('opens the unions of an answer, but not the property that tells variants apart', () => {
  const variant = (kind: string): Schema => ({
    type: 'object',
    properties: { kind: { enum: [kind] }, color: { enum: ['red'] } },
    required: ['kind', 'color'],
  })
  const text = printType({ oneOf: [variant('a'), variant('b')] }, { io: 'output', indent: '' })
  expect(text).toContain("kind: 'a'\n")
  expect(text).toContain("color: 'red' | (string & {})\n")
})

test('never lets a description end its comment', () => {
  expect(printDoc(['Ends */ here'], '')).toBe('/** Ends *\\/ here */\n')
})
