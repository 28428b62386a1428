import { createCipheriv, createDecipheriv, type KeyObject } from 'node:crypto'

/** NIST SP 800-38D: 96-bit nonces, and never a shortened tag. */
export const nonceBytes = 12
const tagBytes = 16

/** Returns the ciphertext with its tag behind it. A key must never meet the same nonce twice. */
export const encrypt = (key: KeyObject, nonce: Buffer, associated: Buffer, plaintext: Buffer): Buffer => {
  const cipher = createCipheriv('aes-256-gcm', key, nonce, { authTagLength: tagBytes })
  cipher.setAAD(associated)
  return Buffer.concat([cipher.update(plaintext), cipher.final(), cipher.getAuthTag()])
}

/** Throws on any changed byte; what was decrypted up to then never leaves this function. */
export const decrypt = (key: KeyObject, nonce: Buffer, associated: Buffer, ciphertext: Buffer): Buffer => {
  if (nonce.length !== nonceBytes || ciphertext.length < tagBytes) throw new Error('The ciphertext is cut')
  const tagStart = ciphertext.length - tagBytes
  const decipher = createDecipheriv('aes-256-gcm', key, nonce, { authTagLength: tagBytes })
  decipher.setAAD(associated)
  decipher.setAuthTag(ciphertext.subarray(tagStart))
  return Buffer.concat([decipher.update(ciphertext.subarray(0, tagStart)), decipher.final()])
}
