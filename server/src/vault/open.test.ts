import { createHmac, randomBytes } from 'node:crypto'
import { inspect } from 'node:util'
import { expect, test } from 'vitest'
import { Keyring } from './keys.ts'
import { checkOpens, open, openKey } from './open.ts'
import { installationContext, type SealContext, type Sealed, seal, sealBytes, sealCheck } from './seal.ts'

const keyring = new Keyring([randomBytes(32), randomBytes(32)])
const context: SealContext = { workspace_id: 'ws_1', kind: 'secret', id: 'sec_1', version: 3 }
const canary = 'canary-7f3a9c1e'
const sealed = seal(keyring, context, canary)

test.each([
  '',
  'x',
  canary,
  'line\nbreak and \0 and \r\n',
  '{"json":"é 😀"}',
  '\ufeffstarts with a mark',
  'x'.repeat(4_096),
  '日本語'.repeat(10_000),
])('gives back what was sealed: %#', (plaintext) => {
  expect(open(keyring, context, seal(keyring, context, plaintext))).toBe(plaintext)
})

const failure = (at: SealContext, row: Sealed, ring = keyring): Error => {
  try {
    open(ring, at, row)
  } catch (error) {
    if (error instanceof Error) return error
  }
  throw new Error('The row opened')
}

test.each(['nonce', 'wrapped_key', 'ciphertext'] as const)('refuses any flipped bit of the %s', (part) => {
  for (let index = 0; index < sealed[part].length; index += 1) {
    const changed = Buffer.from(sealed[part])
    changed[index] = (changed[index] ?? 0) ^ (1 << (index % 8))
    const error = failure(context, { ...sealed, [part]: changed })
    expect(inspect(error)).not.toContain('canary')
  }
})

test.each(['nonce', 'wrapped_key', 'ciphertext'] as const)(
  'refuses a %s that is cut, longer or empty',
  (part) => {
    for (let length = 0; length < sealed[part].length; length += 1) {
      failure(context, { ...sealed, [part]: sealed[part].subarray(0, length) })
    }
    failure(context, { ...sealed, [part]: Buffer.concat([sealed[part], Buffer.of(0)]) })
  },
)

test.each<[string, Partial<SealContext>]>([
  ['workspace', { workspace_id: 'ws_2' }],
  ['kind', { kind: 'connection' }],
  ['row', { id: 'sec_2' }],
  ['earlier version', { version: 2 }],
  ['later version', { version: 4 }],
  ['shifted boundary', { workspace_id: 'ws_1","secret', kind: '' }],
])('refuses a row moved to another %s', (_name, change) => {
  failure({ ...context, ...change }, sealed)
})

test('refuses parts of two rows put together', () => {
  const again = seal(keyring, context, 'another value')
  failure(context, { ...sealed, ciphertext: again.ciphertext, nonce: again.nonce })
  failure(context, { ...sealed, wrapped_key: again.wrapped_key })
})

test('refuses a key id of another key at hand', () => {
  failure(context, { ...sealed, key_id: keyring.ids[1] ?? '' })
})

test('names the missing master key by its id and nothing else', () => {
  const error = failure(context, sealed, new Keyring([randomBytes(32)]))
  expect(error.message).toBe(
    `No master key with id ${keyring.currentId} is configured; the value stays sealed`,
  )
})

test.each(['', 'constructor', '../../etc', 'x'.repeat(10_000), `${keyring.currentId}\n`])(
  'prints no key id that does not look like one: %#',
  (key_id) => {
    expect(failure(context, { ...sealed, key_id }).message).toContain('id malformed')
  },
)

test('opens an installation key as one that works and cannot be printed', () => {
  const pepper = randomBytes(32)
  const place = installationContext('credential_pepper')
  const opened = openKey(keyring, place, sealBytes(keyring, place, pepper))
  expect(createHmac('sha256', opened).update('a').digest('hex')).toBe(
    createHmac('sha256', pepper).update('a').digest('hex'),
  )
  expect(inspect(opened, { showHidden: true }) + JSON.stringify(opened)).not.toContain(
    pepper.toString('hex').slice(0, 8),
  )
  const elsewhere = installationContext('cursor_mac')
  expect(() => openKey(keyring, elsewhere, sealBytes(keyring, place, pepper))).toThrow()
})

test('knows the master keys of its installation', () => {
  const stored = sealCheck(keyring)
  expect(checkOpens(keyring, stored)).toBe(true)
  expect(checkOpens(new Keyring([randomBytes(32)]), stored)).toBe(false)
  expect(checkOpens(keyring, { ...stored, ciphertext: Buffer.alloc(20) })).toBe(false)
  expect(checkOpens(keyring, sealed)).toBe(false)
})
