import { createSecretKey, type KeyObject } from 'node:crypto'
import { decrypt } from './aes-gcm.ts'
import type { Keyring } from './keys.ts'
import { associated, installationContext, type SealContext, type Sealed } from './seal.ts'

/**
 * The one way back to a plaintext. Fails closed: a changed byte, a row moved to another workspace, kind, id or
 * version, and a missing master key all throw, and the error names the key id and nothing else.
 */
export const open = (keyring: Keyring, context: SealContext, sealed: Sealed): string => {
  const plaintext = openBytes(keyring, context, sealed)
  const text = plaintext.toString('utf8')
  plaintext.fill(0)
  return text
}

/** For sealed keys: a KeyObject is usable by node:crypto and prints none of its bytes. */
export const openKey = (keyring: Keyring, context: SealContext, sealed: Sealed): KeyObject => {
  const bytes = openBytes(keyring, context, sealed)
  const key = createSecretKey(bytes)
  bytes.fill(0)
  return key
}

/** Whether these are the master keys the installation was started with. */
export const checkOpens = (keyring: Keyring, stored: Sealed): boolean => {
  try {
    open(keyring, installationContext('check'), stored)
    return true
  } catch {
    return false
  }
}

const openBytes = (keyring: Keyring, context: SealContext, sealed: Sealed): Buffer => {
  // A row is untrusted until it opens, so even its key id is printed only if it looks like one.
  const id = /^[0-9a-f]{8}$/.test(sealed.key_id) ? sealed.key_id : 'malformed'
  if (!keyring.ids.includes(sealed.key_id)) {
    throw new Error(`No master key with id ${id} is configured; the value stays sealed`)
  }
  try {
    const dataKey = keyring.unwrap(sealed.key_id, sealed.wrapped_key, associated('data key', context))
    const plaintext = decrypt(
      createSecretKey(dataKey),
      sealed.nonce,
      associated('value', context),
      sealed.ciphertext,
    )
    dataKey.fill(0)
    return plaintext
  } catch {
    throw new Error(`A value sealed under master key ${id} does not open: it was changed or moved`)
  }
}
