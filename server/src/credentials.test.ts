import { createHmac, createSecretKey, randomBytes } from 'node:crypto'
import { inspect } from 'node:util'
import { expect, test } from 'vitest'
import {
  checkCredential,
  credentialPattern,
  describeCredential,
  hashCredential,
  newCredential,
} from './credentials.ts'

const key = newCredential('sk', randomBytes)
const token = newCredential('sxt', randomBytes)

test('makes 10 000 different credentials that fit the pattern and their checksum', () => {
  const made = Array.from({ length: 10_000 }, (_, index) =>
    newCredential(index % 2 ? 'sk' : 'sxt', randomBytes),
  )
  expect(new Set(made).size).toBe(10_000)
  for (const text of made) {
    const kind = checkCredential(text)
    expect(kind).not.toBeNull()
    if (kind !== null) expect(text).toMatch(credentialPattern[kind])
  }
})

test('has one length for each kind and carries 256 bits', () => {
  const none = newCredential('sk', (count) => Buffer.alloc(count))
  const all = newCredential('sk', (count) => Buffer.alloc(count, 0xff))
  expect(none).toHaveLength(52)
  expect(all).toHaveLength(52)
  expect(token).toHaveLength(53)
  expect(none.slice(3, 46)).toBe('0'.repeat(43))
  expect(checkCredential(all)).toBe('sk')
})

test('keeps its published form', () => {
  expect(newCredential('sk', (count) => Buffer.alloc(count, 0xab))).toMatchInlineSnapshot(
    `"sk_ehv1hsdOHPxDuX3xn9YyIKbgl4yJuySCWzdimD4heup1cKQDV"`,
  )
  expect(newCredential('sxt', (count) => Buffer.alloc(count, 0xab))).toMatchInlineSnapshot(
    `"sxt_ehv1hsdOHPxDuX3xn9YyIKbgl4yJuySCWzdimD4heup3rxFep"`,
  )
})

test('tells the two kinds apart', () => {
  expect(checkCredential(key)).toBe('sk')
  expect(checkCredential(token)).toBe('sxt')
})

const replaceAt = (text: string, index: number, digit: string): string =>
  text.slice(0, index) + digit + text.slice(index + 1)

test('notices any single changed digit', () => {
  for (let index = 3; index < key.length; index += 1) {
    const changed = replaceAt(key, index, key.charAt(index) === 'a' ? 'b' : 'a')
    expect(checkCredential(changed)).toBeNull()
  }
})

test.each([
  ['nothing', ''],
  ['the prefix alone', 'sk_'],
  ['a cut key', key.slice(0, -1)],
  ['a longer key', `${key}0`],
  ['a key twice', key + key],
  ['upper case', key.toUpperCase()],
  ['sk as sxt', key.replace('sk_', 'sxt_')],
  ['sxt as sk', token.replace('sxt_', 'sk_')],
  ['another prefix', key.replace('sk_', 'pk_')],
  ['a space before', ` ${key}`],
  ['a newline after', `${key}\n`],
  ['a NUL after', `${key}\0`],
  [
    'two swapped digits',
    key.slice(0, 3) + key.charAt(4) + (key.charAt(3) === key.charAt(4) ? '_' : key.charAt(3)) + key.slice(5),
  ],
  ['percent signs', `sk_${'%41'.repeat(16)}a`],
  ['SQL', `sk_' or 1=1 --${' '.repeat(36)}`],
  ['bytes above 7f', `sk_${'é'.repeat(49)}`],
  ['8 kB', `sk_${'a'.repeat(8_000)}`],
  ['8 kB behind a real key', key + 'a'.repeat(8_000)],
])('refuses %s', (_name, text) => {
  expect(checkCredential(text)).toBeNull()
})

test('refuses 20 000 invented credentials of the right form', () => {
  const digits = (): string => newCredential('sk', randomBytes).slice(3, 46) + randomBytes(3).toString('hex')
  for (let tries = 0; tries < 20_000; tries += 1) {
    // Six hex digits as checksum: about one in 2^32 may pass.
    if (checkCredential(`sk_${digits()}`) !== null) throw new Error('An invented credential passed')
  }
})

test('hashes with HMAC-SHA-256 under the pepper', () => {
  const bytes = randomBytes(32)
  const expected = createHmac('sha256', bytes).update(key).digest('hex')
  expect(hashCredential(key, createSecretKey(bytes))).toBe(expected)
  expect(hashCredential(key, createSecretKey(randomBytes(32)))).not.toBe(expected)
})

test('prints nothing of the pepper', () => {
  const bytes = randomBytes(32)
  const pepper = createSecretKey(bytes)
  const printed =
    inspect({ pepper }, { depth: 10, showHidden: true }) + JSON.stringify({ pepper }) + String(pepper)
  for (const form of ['hex', 'base64', 'base64url'] as const)
    expect(printed).not.toContain(bytes.toString(form))
})

test('describes a credential by its first and last four digits only', () => {
  expect(describeCredential(key)).toEqual({ prefix: key.slice(0, 7), last_four: key.slice(-4) })
  expect(describeCredential(token)).toEqual({ prefix: token.slice(0, 8), last_four: token.slice(-4) })
})
