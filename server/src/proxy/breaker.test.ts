import { expect, test } from 'vitest'
import {
  type BreakerChange,
  Breakers,
  failuresToOpen,
  firstOpenMs,
  maxOpenMs,
  probeStartMs,
  recordedRefusals,
} from './breaker.ts'
import { type FailureReason, UpstreamFailure } from './egress-failure.ts'

const origin = 'https://api.example.com'
const refused = new UpstreamFailure('unreachable', false, 'ECONNREFUSED')

/** Breakers whose clock stands still until it is moved. */
const held = (capacity?: number) => {
  let now = 1_000
  const changes: string[] = []
  const breakers = new Breakers({
    now: () => now,
    tell: ({ workspaceId, state }: BreakerChange) => changes.push(`${workspaceId} ${state}`),
    ...(capacity === undefined ? {} : { capacity }),
  })
  const fail = (times: number, { failure = refused, at = origin, workspace = 'ws' } = {}) => {
    for (let n = 0; n < times; n += 1) breakers.note(workspace, at, failure, now)
  }
  const answer = (status: number) => breakers.note('ws', origin, { status }, now)
  const admit = () => breakers.admit('ws', origin)
  return {
    breakers,
    changes,
    fail,
    answer,
    admit,
    now: () => now,
    pass: (ms: number) => {
      now += ms
    },
  }
}

test('opens after so many failures in a row and says how long it stays open', () => {
  const { fail, admit, pass, changes } = held()
  fail(failuresToOpen - 1)
  expect(admit()).toBeNull()
  fail(1)
  expect(admit()).toEqual({ retryAfterMs: firstOpenMs, isRecorded: true })
  pass(firstOpenMs - 1)
  expect(admit()).toMatchObject({ retryAfterMs: 1 })
  expect(changes).toEqual(['ws open'])
})

test.each([200, 301, 404, 429, 500])('an answer %i between the failures begins the count anew', (status) => {
  const { fail, answer, admit, breakers } = held()
  fail(failuresToOpen - 1)
  answer(status)
  fail(failuresToOpen - 1)
  expect(admit()).toBeNull()
  answer(status)
  expect(breakers.list()).toEqual([])
})

test.each([502, 503, 504])('an answer %i is a failure', (status) => {
  const { answer, admit } = held()
  for (let n = 0; n < failuresToOpen; n += 1) answer(status)
  expect(admit()).not.toBeNull()
})

test.each<[FailureReason, sent: boolean, counts: boolean]>([
  ['unreachable', false, true],
  ['unreachable', true, true],
  ['timeout', false, true],
  ['timeout', true, true],
  ['invalid', true, true],
  ['invalid', false, false],
  ['blocked', false, false],
  ['aborted', true, false],
])('a failure that is %s (sent: %s) counts: %s', (reason, sent, counts) => {
  const { fail, admit } = held()
  fail(failuresToOpen, { failure: new UpstreamFailure(reason, sent) })
  expect(admit() !== null).toBe(counts)
})

test('lets one call through after its time, and closes when that is answered', () => {
  const { fail, answer, admit, pass, changes, breakers } = held()
  fail(failuresToOpen)
  pass(firstOpenMs)
  expect(admit()).toBeNull()
  expect(admit()).not.toBeNull()
  expect(breakers.list()).toEqual([
    { workspaceId: 'ws', origin, state: 'half_open', failures: failuresToOpen },
  ])
  answer(200)
  expect([admit(), admit()]).toEqual([null, null])
  expect(changes).toEqual(['ws open', 'ws half_open', 'ws closed'])
})

test('doubles its time with each probe that fails, up to the longest', () => {
  const { fail, admit, pass } = held()
  fail(failuresToOpen)
  const times: number[] = []
  for (let probe = 0; probe < 6; probe += 1) {
    const openMs = admit()?.retryAfterMs ?? 0
    times.push(openMs)
    pass(openMs)
    expect(admit()).toBeNull()
    fail(1)
  }
  expect(times).toEqual([
    firstOpenMs,
    2 * firstOpenMs,
    4 * firstOpenMs,
    8 * firstOpenMs,
    maxOpenMs,
    maxOpenMs,
  ])
})

test('takes the failure of a call from before the probe for no failure of the probe', () => {
  const { breakers, fail, admit, pass, now } = held()
  fail(failuresToOpen)
  const before = now()
  pass(firstOpenMs)
  expect(admit()).toBeNull()
  breakers.note('ws', origin, refused, before)
  expect(breakers.list()).toMatchObject([{ state: 'half_open' }])
})

test('keeps the place of a probe for its whole deadline', () => {
  const { breakers, fail, admit, pass } = held()
  fail(failuresToOpen)
  pass(firstOpenMs)
  expect(admit()).toBeNull()
  breakers.sending('ws', origin, 30_000)
  pass(30_000)
  expect(admit()).not.toBeNull()
})

test('gives the place of a probe that was never sent to another call', () => {
  const { fail, admit, pass } = held()
  fail(failuresToOpen)
  pass(firstOpenMs)
  expect(admit()).toBeNull()
  pass(probeStartMs)
  expect(admit()).toBeNull()
})

test('has only the first refusals of an opening recorded', () => {
  const { fail, admit, pass } = held()
  const recorded = () => Array.from({ length: 50 }, admit).filter((open) => open?.isRecorded).length
  fail(failuresToOpen)
  expect(recorded()).toBe(recordedRefusals)
  pass(firstOpenMs)
  admit()
  fail(1)
  expect(recorded()).toBe(recordedRefusals)
})

test('is one for each workspace and each origin', () => {
  const { breakers, fail } = held()
  fail(failuresToOpen)
  expect(breakers.admit('ws', 'https://api.example.com:8443')).toBeNull()
  expect(breakers.admit('other', origin)).toBeNull()
  expect([breakers.isOpen('ws', origin), breakers.isOpen('other', origin)]).toEqual([true, false])
})

test('keeps a bounded number of targets in trouble', () => {
  const { breakers, fail, changes } = held(3)
  for (const workspace of ['a', 'b', 'c', 'd']) fail(failuresToOpen, { workspace })
  expect(breakers.list().map(({ workspaceId }) => workspaceId)).toEqual(['b', 'c', 'd'])
  expect(changes).toEqual(['a open', 'b open', 'c open', 'a closed', 'd open'])
})
