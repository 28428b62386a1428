import { randomBytes } from 'node:crypto'
import { expect, test } from 'vitest'
import { Keyring } from './keys.ts'
import { open } from './open.ts'
import { seal, sealBytes } from './seal.ts'

const oldKey = randomBytes(32)
const newKey = randomBytes(32)
const keyring = new Keyring([oldKey])
const context = { workspace_id: 'ws_1', kind: 'secret', id: 'sec_1', version: 1 }
const canary = 'canary-7f3a9c-$^.*[regex]'

const bytesOf = (sealed: ReturnType<typeof seal>): Buffer =>
  Buffer.concat([Buffer.from(sealed.key_id), sealed.nonce, sealed.wrapped_key, sealed.ciphertext])

test('leaves no trace of the plaintext in what is stored', () => {
  const stored = bytesOf(seal(keyring, context, canary.repeat(4)))
  for (let start = 0; start + 6 <= canary.length; start += 1) {
    expect(stored.includes(canary.slice(start, start + 6))).toBe(false)
  }
})

test('gives different ciphertext, nonce and wrapped key for the same plaintext each time', () => {
  const all = Array.from({ length: 5_000 }, () => seal(keyring, context, canary))
  for (const part of ['nonce', 'wrapped_key', 'ciphertext'] as const) {
    expect(new Set(all.map((sealed) => sealed[part].toString('hex'))).size).toBe(all.length)
  }
  // The wrapping key is used many times, so its nonces matter most.
  expect(new Set(all.map((sealed) => sealed.wrapped_key.toString('hex', 0, 12))).size).toBe(all.length)
})

test('refuses text that UTF-8 cannot carry', () => {
  expect(() => seal(keyring, context, 'a\ud800b')).toThrow('lone surrogates')
})

test('seals under the first of several master keys, and all of them open what they sealed', () => {
  const sealed = seal(keyring, context, canary)
  const both = new Keyring([newKey, oldKey])
  const anew = seal(both, context, canary)
  expect(anew.key_id).toBe(both.currentId)
  expect([open(both, context, sealed), open(both, context, anew)]).toEqual([canary, canary])
  expect(open(new Keyring([newKey]), context, anew)).toBe(canary)
  expect(() => open(keyring, context, anew)).toThrow()
})

test('leaves the bytes it was given as they were', () => {
  const bytes = randomBytes(32)
  const copy = Buffer.from(bytes)
  sealBytes(keyring, context, bytes)
  expect(bytes).toEqual(copy)
})
