import { expect, test } from 'vitest'
import type { Json } from './openapi.ts'
import { toParts } from './parts.ts'

const long = { type: 'string', minLength: 1, maxLength: 100 }

/** The constants, and the values as text and as what that text means. */
const partsOf = (...values: Json[]) => {
  const { constants, print } = toParts(values)
  const texts = values.map(print)
  const read: unknown = new Function(`${constants}return [${texts.join(',')}]`)()
  expect(JSON.stringify(read)).toBe(JSON.stringify(values))
  return { constants, texts }
}

test('writes once what stands in several places', () => {
  const { constants, texts } = partsOf({ name: long }, { label: [long] })
  expect(constants).toBe('const part1 = {"type":"string","minLength":1,"maxLength":100}\n')
  expect(texts).toEqual(['{"name":part1}', '{"label":[part1]}'])
})

test('leaves what is short, and what stands in one place only', () => {
  expect(partsOf({ a: { b: 1 } }, { c: { b: 1 } }, { d: long }).constants).toBe('')
})

test('makes no constant of what one other constant holds alone', () => {
  const { constants, texts } = partsOf({ a: { deep: long } }, { b: { deep: long } })
  expect(constants).toBe('const part1 = {"deep":{"type":"string","minLength":1,"maxLength":100}}\n')
  expect(texts).toEqual(['{"a":part1}', '{"b":part1}'])
})

test('spreads an object in another that has all of it, without a change of order', () => {
  const { texts } = partsOf(long, { default: 'a', ...long, pattern: 'b' })
  expect(texts).toEqual(['part1', '{"default":"a",...part1,"pattern":"b"}'])
})

test('spreads nothing that stands in another order', () => {
  const { type, ...limits } = long
  expect(partsOf(long, { ...limits, default: 'a', type }).constants).toBe('')
})
