import { createSecretKey, randomBytes } from 'node:crypto'
import { encrypt, nonceBytes } from './aes-gcm.ts'
import type { Keyring } from './keys.ts'

/**
 * A value under its own random key (AES-256-GCM), and that key under the master key `key_id`, which is
 * therefore used on 32 random bytes and nothing else.
 */
export type Sealed = { key_id: string; wrapped_key: Buffer; nonce: Buffer; ciphertext: Buffer }

/** Where a sealed value belongs. It opens there and nowhere else. */
export type SealContext = { workspace_id: string; kind: string; id: string; version: number }

export const seal = (keyring: Keyring, context: SealContext, plaintext: string): Sealed => {
  // UTF-8 has no lone surrogates: they would come back as other characters.
  if (!plaintext.isWellFormed()) throw new Error('A value with lone surrogates cannot be sealed')
  return sealBytes(keyring, context, Buffer.from(plaintext))
}

export const sealBytes = (keyring: Keyring, context: SealContext, plaintext: Buffer): Sealed => {
  const dataKey = randomBytes(32)
  const nonce = randomBytes(nonceBytes)
  const ciphertext = encrypt(createSecretKey(dataKey), nonce, associated('value', context), plaintext)
  const wrapped = keyring.wrap(dataKey, associated('data key', context))
  dataKey.fill(0)
  return { ...wrapped, nonce, ciphertext }
}

/**
 * What both ciphertexts are bound to. JSON keeps the parts apart, so no two contexts give the same bytes, and
 * the purpose keeps a wrapped key from passing for a value.
 */
export const associated = (purpose: 'value' | 'data key', context: SealContext): Buffer => {
  const { workspace_id, kind, id, version } = context
  return Buffer.from(JSON.stringify(['narrowapi v1', purpose, workspace_id, kind, id, version]))
}

/**
 * Keys that must outlive the master key (the pepper of credentials, the key of cursors) are random, drawn once
 * at the first start, and kept sealed in the database under this context.
 */
export const installationContext = (name: 'credential_pepper' | 'cursor_mac' | 'check'): SealContext => ({
  workspace_id: 'installation',
  kind: 'installation',
  id: name,
  version: 1,
})

/** Stored at the first start, so that a later start with another master key is noticed before it serves. */
export const sealCheck = (keyring: Keyring): Sealed =>
  seal(keyring, installationContext('check'), 'narrowapi')
