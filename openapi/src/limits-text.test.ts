import { expect, test } from 'vitest'
import { limitsOf } from './limits-text.ts'
import type { Schema } from './openapi.ts'

const cases: [field: string, schema: Schema, sent: string, answered: string][] = [
  ['created_at', { type: 'string', format: 'date-time' }, 'RFC 3339 with an offset', 'RFC 3339, UTC'],
  [
    'timeout_ms',
    { type: 'integer', minimum: 100, maximum: 120_000 },
    '100 to 120000 milliseconds',
    'In milliseconds',
  ],
  ['grace_period_hours', { type: 'number', minimum: 0, maximum: 168 }, '0 to 168 hours', 'In hours'],
  ['limit', { type: ['integer', 'null'], minimum: 1, maximum: 100 }, '1 to 100', ''],
  ['bytes', { type: 'integer' }, 'In bytes', 'In bytes'],
  ['version', { type: 'integer', minimum: 1, maximum: Number.MAX_SAFE_INTEGER }, '', ''],
  ['name', { type: 'string', minLength: 1, maxLength: 255 }, '1 to 255 characters', ''],
  ['description', { type: 'string', maxLength: 2000 }, 'at most 2000 characters', ''],
  ['tags', { type: 'array', maxItems: 20, uniqueItems: true }, 'at most 20 items, each at most once', ''],
  ['sort', { type: 'array', minItems: 1, uniqueItems: true }, 'each at most once', ''],
  ['anything', {}, '', ''],
]

test.each(cases)('says in words what %s may be', (field, schema, sent, answered) => {
  expect(limitsOf(schema, 'input', field)).toBe(sent)
  expect(limitsOf(schema, 'output', field)).toBe(answered)
})
