import { expect, test } from 'vitest'
import { leastRetries, RetryBudget, share } from './retry-budget.ts'

const held = (capacity?: number) => {
  let now = 0
  const budget = new RetryBudget(() => now, capacity)
  const call = (times: number, target = 'a') => {
    for (let n = 0; n < times; n += 1) budget.count(target)
  }
  const takeAll = (target = 'a') => {
    let taken = 0
    while (taken < 1_000 && budget.take(target)) taken += 1
    return taken
  }
  const pass = (ms: number) => {
    now += ms
  }
  return { call, takeAll, pass }
}

test('gives a fifth of the calls', () => {
  const { call, takeAll } = held()
  call(500)
  expect(takeAll()).toBe(500 * share)
  expect(takeAll()).toBe(0)
  call(10)
  expect(takeAll()).toBe(2)
})

test('gives the least to a target that is seldom called', () => {
  const { call, takeAll } = held()
  call(1)
  expect(takeAll()).toBe(leastRetries)
})

test('slides: after its window what was called and taken is forgotten, and not before', () => {
  const { call, takeAll, pass } = held()
  call(100)
  expect(takeAll()).toBe(20)
  pass(9_999)
  expect(takeAll()).toBe(0)
  pass(1)
  expect(takeAll()).toBe(leastRetries)
  pass(60_000)
  call(50)
  expect(takeAll()).toBe(10)
})

test('gives no retry that would be more than the share of the ten seconds before it, whenever calls come', () => {
  const { call, takeAll, pass } = held()
  const callsIn = (second: number) => 10 + (second % 7) * 20
  const taken: number[] = []
  for (let second = 0; second < 60; second += 1) {
    call(callsIn(second))
    taken.push(takeAll())
    if (taken[second] !== 0) {
      const before = Array.from({ length: Math.min(10, second + 1) }, (_, ago) => second - ago)
      const calls = before.reduce((sum, one) => sum + callsIn(one), 0)
      const retries = before.reduce((sum, one) => sum + (taken[one] ?? 0), 0)
      expect(retries).toBeLessThanOrEqual(Math.max(leastRetries, calls * share))
    }
    pass(1_000)
  }
  expect(Math.max(...taken)).toBeGreaterThan(leastRetries)
})

test('is one for each target, and forgets the oldest of too many', () => {
  const { takeAll } = held(2)
  expect(['a', 'b', 'a'].map((target) => takeAll(target))).toEqual([leastRetries, leastRetries, 0])
  takeAll('c')
  expect(takeAll('a')).toBe(leastRetries)
})
