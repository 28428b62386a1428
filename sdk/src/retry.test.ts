import { errorCodes } from '@narrowapi/contract'
import { describe, expect, it } from 'vitest'
import { backOffMs, isRetryable, serverWishMs } from './retry.ts'

const NOW = Date.UTC(2026, 4, 1, 12, 0, 0)
const seconds = (n: number) => new Date(NOW + n * 1000).toUTCString()

describe('isRetryable', () => {
  it.each([
    [408, {}, '', true],
    [425, {}, '', true],
    [429, {}, 'rate_limited', true],
    [500, {}, '', true],
    [501, {}, '', false],
    [503, {}, 'something_new', true],
    [599, {}, '', true],
    [302, {}, '', false],
    [400, {}, 'invalid_request', false],
    [404, {}, 'not_found', false],
    [409, {}, 'in_use', false],
    [409, {}, 'idempotency_in_progress', true],
    [502, { 'x-narrowapi-error': 'upstream_error' }, 'upstream_error', false],
    [504, { 'x-narrowapi-error': 'upstream_timeout' }, 'upstream_timeout', false],
    [503, { 'x-narrowapi-error': 'unavailable' }, 'unavailable', true],
    [503, { 'x-should-retry': 'false' }, '', false],
    [400, { 'x-should-retry': 'true' }, '', true],
    [503, { 'x-should-retry': 'perhaps' }, '', false],
  ])('answers %i %j with code "%s" by %s', (status, headers, code, expected) => {
    expect(isRetryable({ status, headers: new Headers(headers) }, code)).toBe(expected)
  })

  it.each(Object.entries(errorCodes))('follows the registry for %s', (code, { status, retryable }) => {
    const headers = new Headers({ 'x-narrowapi-error': code })
    expect(isRetryable({ status, headers }, code)).toBe(retryable)
  })
})

describe('serverWishMs', () => {
  it.each<[string, number, Record<string, string>, number | undefined]>([
    ['no header', 503, {}, undefined],
    ['seconds', 503, { 'retry-after': '2' }, 2000],
    ['zero', 503, { 'retry-after': '0' }, 0],
    ['milliseconds before seconds', 429, { 'retry-after-ms': '150', 'retry-after': '2' }, 150],
    ['unreadable milliseconds', 429, { 'retry-after-ms': 'soon', 'retry-after': '2' }, 2000],
    ['a date', 503, { 'retry-after': seconds(3) }, 3000],
    ['a past date', 503, { 'retry-after': seconds(-3) }, 0],
    ["a date by the server's clock", 503, { 'retry-after': seconds(303), date: seconds(300) }, 3000],
    ['words', 503, { 'retry-after': 'tomorrow 12' }, undefined],
    ['a negative number', 503, { 'retry-after': '-5' }, undefined],
    ['Infinity', 503, { 'retry-after': 'Infinity' }, undefined],
    ['the reset of an exhausted policy', 429, { ratelimit: '"default";r=0;t=7' }, 7000],
    ['the exhausted policy of two', 429, { ratelimit: '"default";r=0;t=7, "quota";r=12;t=9000' }, 7000],
    ['the later of two exhausted', 429, { ratelimit: '"default";r=0;t=7, "quota";t=9;r=0' }, 9000],
    ['a reset beside another failure', 503, { ratelimit: '"default";r=0;t=7' }, undefined],
    ['Retry-After before the reset', 429, { 'retry-after': '1', ratelimit: '"default";r=0;t=7' }, 1000],
  ])('reads %s', (_, status, headers, expected) => {
    expect(serverWishMs({ status, headers: new Headers(headers) }, NOW)).toBe(expected)
  })
})

describe('backOffMs', () => {
  it('doubles from half a second up to eight seconds', () => {
    const almostOne = () => 1
    expect([1, 2, 3, 4, 5, 6, 50].map((attempt) => backOffMs(attempt, almostOne))).toEqual([
      500, 1000, 2000, 4000, 8000, 8000, 8000,
    ])
  })

  it('is spread over its whole range', () => {
    expect(backOffMs(3, () => 0)).toBe(0)
    expect(backOffMs(3, () => 0.25)).toBe(500)
  })
})
