import { expect, test } from 'vitest'
import { ApiError } from '../errors.ts'
import { checkRetry, retryOf } from './retry.ts'

type Definition = Parameters<typeof checkRetry>[0]

const definition = (more: Partial<Definition>): Definition => ({
  retry: null,
  idempotency: null,
  annotations: { read_only: false, destructive: false, idempotent: false, open_world: true },
  auth_type: 'header',
  auth_name: 'X-Key',
  ...more,
})
const idempotent = { read_only: false, destructive: false, idempotent: true, open_world: true }

const problems = (more: Partial<Definition>): unknown => {
  try {
    checkRetry(definition(more), new Set(['content-type', 'x-tenant']))
    return []
  } catch (error) {
    return error instanceof ApiError ? error.details?.map(({ field }) => field) : error
  }
}

test('an action that says nothing is called at most once', () => {
  expect(retryOf(definition({}))).toBeNull()
  expect(retryOf(definition({ retry: { max: 0, on: ['connection'] } }))).toBeNull()
})

test.each<[string, Partial<Definition>, boolean]>([
  ['nothing', {}, false],
  ['an idempotent annotation', { annotations: idempotent }, true],
  ['a safe repetition', { idempotency: { header: null, safe: true } }, true],
  ['a key header', { idempotency: { header: 'Idempotency-Key', safe: false } }, true],
  ['neither a key nor safety', { idempotency: { header: null, safe: false } }, false],
])('with %s a call may be repeated after it was sent: %s', (_, more, expected) => {
  const retry = { max: 2, on: ['connection' as const, '503' as const, 'timeout' as const] }
  expect(retryOf(definition({ ...more, retry }))?.mayRepeat).toBe(expected)
  expect(problems({ ...more, retry })).toEqual(expected ? [] : ['retry.on.1', 'retry.on.2'])
  expect(problems({ ...more, retry: { max: 2, on: ['connection'] } })).toEqual([])
})

test.each([
  'Content-Type',
  'x-tenant',
  'X-KEY',
  'Authorization',
  'CDN-Loop',
  'Host',
  'X-Forwarded-For',
  'with_underscore',
  'with space',
  'a\r\nb',
])('the key header %j is refused', (header) => {
  expect(problems({ idempotency: { header, safe: false } })).toEqual(['idempotency.header'])
})
