import { expect, test } from 'vitest'
import { createLoopGuard, maxInstallations } from './loop.ts'

const [own, other] = ['0123456789abcdef', 'fedcba9876543210']
const guard = createLoopGuard(own)

test('names this installation behind those a request has passed, and nothing else that a caller wrote', () => {
  expect(guard.passOn(undefined)).toBe(`narrowapi-${own}`)
  expect(guard.passOn(`cloudflare; x="y", narrowapi-${other}`)).toBe(`narrowapi-${other}, narrowapi-${own}`)
  expect(guard.passOn('a\u00ff, Bearer secret')).toBe(`narrowapi-${own}`)
})

test('refuses what has passed this installation before', () => {
  for (const received of [
    guard.passOn(undefined),
    `cloudflare, narrowapi-${own}`,
    createLoopGuard(other).passOn(guard.passOn(undefined)),
    `narrowapi-${own}; hops=1`,
  ]) {
    expect(() => guard.check(received)).toThrow(expect.objectContaining({ code: 'upstream_blocked' }))
  }
  for (const received of [undefined, '', 'cloudflare', `narrowapi-${other}`, `xnarrowapi-${own}`, own]) {
    expect(() => guard.check(received)).not.toThrow()
  }
})

test('refuses what has passed too many installations', () => {
  const passed = (count: number) =>
    Array.from({ length: count }, (_, n) => `narrowapi-${String(n).padStart(16, '0')}`).join(', ')
  expect(() => guard.check(passed(maxInstallations - 1))).not.toThrow()
  expect(() => guard.check(passed(maxInstallations))).toThrow(/passed 8/)
})
