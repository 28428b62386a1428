import { randomBytes } from 'node:crypto'
import { expect, test } from 'vitest'
import { base62Digits, createIds, idTime } from './ids.ts'

const noon = Date.UTC(2026, 10, 23, 12)

const uuidOf = (id: string): bigint =>
  [...id.slice(id.indexOf('_') + 1)].reduce(
    (sum, digit) => sum * 62n + BigInt(base62Digits.indexOf(digit)),
    0n,
  )

const isAscending = (ids: readonly string[]): boolean =>
  ids.every((id, index) => index === 0 || (ids[index - 1] ?? '') < id)

const take = (count: number, next: () => string): string[] => Array.from({ length: count }, next)

test('writes a prefix and 22 base62 digits', () => {
  const ids = createIds(Date.now, randomBytes)
  for (const id of take(1_000, () => ids.next('act'))) expect(id).toMatch(/^act_[0-9A-Za-z]{22}$/)
  expect(ids.next('exec')).toMatch(/^exec_/)
})

test('holds a UUID of version 7 and the RFC variant', () => {
  const ids = createIds(Date.now, randomBytes)
  for (const id of take(1_000, () => ids.next('act'))) {
    const uuid = uuidOf(id)
    expect((uuid >> 76n) & 0xfn).toBe(7n)
    expect((uuid >> 62n) & 3n).toBe(2n)
  }
})

test.each([
  ['all bits zero', 0x00, '017f22e279b070008000000000000000'],
  ['all bits one', 0xff, '017f22e279b077ffbfffffffffffffff'],
])('places time, counter and random bits as RFC 9562 says: %s', (_name, byte, hex) => {
  const ids = createIds(
    () => 0x017f22e279b0,
    (count) => Buffer.alloc(count, byte),
  )
  expect(uuidOf(ids.next('act')).toString(16).padStart(32, '0')).toBe(hex)
})

test('sorts as text in the order of creation within one millisecond', () => {
  const ids = createIds(() => noon, randomBytes)
  const made = take(50_000, () => ids.next('act'))
  expect(isAscending(made)).toBe(true)
  expect(new Set(made).size).toBe(made.length)
})

test('keeps the order when the clock moves, stands still and steps back', () => {
  let now = noon
  const ids = createIds(() => now, randomBytes)
  const made = [0, 1, 0, 5, -60_000, 1, 1, -3_600_000, 0, 3_700_000, 0.25, -1].flatMap((step) => {
    now += step
    return take(10, () => ids.next('act'))
  })
  expect(isAscending(made)).toBe(true)
})

test('keeps the order when the counter carries from its lower to its upper part', () => {
  const ids = createIds(
    () => noon,
    (count) => Buffer.alloc(count, Buffer.from('00000000fffffff8', 'hex')),
  )
  const made = take(20, () => ids.next('act'))
  expect(isAscending(made)).toBe(true)
  expect((uuidOf(made.at(-1) ?? '') >> 64n) & 0xfffn).toBe(1n)
})

test('sorts ids of different milliseconds by time, whatever the random bits say', () => {
  const early = createIds(
    () => noon,
    (count) => Buffer.alloc(count, 0xff),
  )
  const late = createIds(
    () => noon + 1,
    (count) => Buffer.alloc(count, 0),
  )
  expect(early.next('act') < late.next('act')).toBe(true)
})

test('gives different ids in two processes at the same time', () => {
  const one = createIds(() => noon, randomBytes)
  const other = createIds(() => noon, randomBytes)
  const made = [...take(10_000, () => one.next('act')), ...take(10_000, () => other.next('act'))]
  expect(new Set(made).size).toBe(20_000)
})

test('tells when an id was made', () => {
  const ids = createIds(() => noon, randomBytes)
  expect(idTime(ids.next('act'))).toEqual(new Date(noon))
  expect(idTime(`act_${'0'.repeat(22)}`)).toEqual(new Date(0))
})

test.each([
  '',
  'act',
  'act_',
  'act_123',
  `act_${'z'.repeat(22)}`,
  `act_${'0'.repeat(23)}`,
  `act_${'-'.repeat(22)}`,
])('finds no time in %j', (text) => {
  expect(() => idTime(text)).toThrow('Not an id')
})

test('names traces and spans with as many random digits as asked for, never the same twice', () => {
  const ids = createIds(() => noon, randomBytes)
  const spans = take(5_000, () => ids.hex(8))
  const traces = take(5_000, () => ids.hex(16))
  for (const digits of spans) expect(digits).toMatch(/^[0-9a-f]{16}$/)
  for (const digits of traces) expect(digits).toMatch(/^[0-9a-f]{32}$/)
  expect(new Set([...spans, ...traces]).size).toBe(10_000)
})
