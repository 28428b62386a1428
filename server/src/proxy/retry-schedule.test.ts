import { describe, expect, test } from 'vitest'
import { type FailureReason, UpstreamFailure } from './egress-failure.ts'
import type { Retry, RetryCause } from './retry.ts'
import { causeOfFailure, causeOfStatus, retryAfterMs, tryMs, waitMs } from './retry-schedule.ts'

const every: RetryCause[] = ['connection', 'timeout', '429', '502', '503', '504']
const retry = (mayRepeat: boolean, on = every): Retry => ({ max: 2, on: new Set(on), mayRepeat })

test.each<[FailureReason, sent: boolean, once: RetryCause | null, repeated: RetryCause | null]>([
  ['unreachable', false, 'connection', 'connection'],
  ['timeout', false, 'connection', 'connection'],
  ['unreachable', true, null, 'connection'],
  ['timeout', true, null, 'timeout'],
  ['invalid', true, null, null],
  ['invalid', false, null, null],
  ['blocked', false, null, null],
  ['aborted', false, null, null],
])('a failure %s (sent: %s) is tried again for %s, and where it may be repeated for %s', (...row) => {
  const [reason, sent, once, repeated] = row
  const failure = new UpstreamFailure(reason, sent)
  expect([causeOfFailure(failure, retry(false)), causeOfFailure(failure, retry(true))]).toEqual([
    once,
    repeated,
  ])
  expect(causeOfFailure(failure, retry(true, ['503']))).toBeNull()
})

test('a status is tried again where it is named and the call may be repeated', () => {
  expect([200, 429, 500, 502, 503, 504].map((status) => causeOfStatus(status, retry(true)))).toEqual([
    null,
    '429',
    null,
    '502',
    '503',
    '504',
  ])
  expect(causeOfStatus(503, retry(true, ['connection', '502']))).toBeNull()
  expect(causeOfStatus(503, retry(false))).toBeNull()
})

describe('the wait', () => {
  const wait = (tries: number, random: number, askedMs = 0, leftMs = 60_000) =>
    waitMs({ tries, askedMs, leftMs }, () => random)

  test('is anything below a bound that doubles up to five seconds', () => {
    expect([1, 2, 3, 4, 5, 6, 7, 8].map((tries) => wait(tries, 1))).toEqual([
      100, 200, 400, 800, 1_600, 3_200, 5_000, 5_000,
    ])
    expect(wait(4, 0)).toBe(0)
    expect(wait(4, 0.25)).toBe(200)
  })

  test('is never shorter than what the upstream asks for', () => {
    expect(wait(1, 0, 2_000)).toBe(2_000)
    expect(wait(1, 0.5, 2_000)).toBe(2_050)
  })

  test('that leaves too little time for a try is none', () => {
    expect(wait(1, 0, 2_000, 2_100)).toBe(2_000)
    expect(wait(1, 0, 2_000, 2_099)).toBeNull()
    expect(wait(1, 0, 0, 99)).toBeNull()
  })
})

test('the tries share what is left where a timeout is tried again, and else each has all of it', () => {
  expect([1, 2, 3].map((tries) => tryMs(retry(true), tries, 3_000))).toEqual([1_000, 1_500, 3_000])
  expect(tryMs(retry(true, ['503']), 1, 3_000)).toBe(3_000)
  expect(tryMs(retry(false), 1, 3_000)).toBe(3_000)
})

const date = 'Sun, 29 Nov 2026 10:00:00 GMT'
test.each<[string | undefined, number | null]>([
  ['0', 0],
  ['7', 7_000],
  [' 120 ', 120_000],
  ['Sun, 29 Nov 2026 10:00:30 GMT', 30_000],
  ['Sun, 29 Nov 2026 09:59:30 GMT', 0],
  [undefined, null],
  ['', null],
  ['-1', null],
  ['1.5', null],
  ['soon', null],
  ['2026-11-29', null],
  ['99999999999', null],
])('Retry-After %j asks for %s ms', (value, expected) => {
  const asked: [string, string][] = value === undefined ? [] : [['retry-after', value]]
  expect(retryAfterMs([['date', date], ...asked])).toBe(expected)
})

test('a date without the clock that it is meant by asks for nothing', () => {
  expect(retryAfterMs([['retry-after', date]])).toBeNull()
})
