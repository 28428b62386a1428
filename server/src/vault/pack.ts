import type { Sealed } from './seal.ts'

const idBytes = 8
const wrappedBytes = 60 // nonce 12, data key 32, tag 16
const nonceBytes = 12

/** A sealed value as one column: key id, wrapped key, nonce, ciphertext. All parts but the last have fixed size. */
export const packSealed = ({ key_id, wrapped_key, nonce, ciphertext }: Sealed): Buffer =>
  Buffer.concat([Buffer.from(key_id, 'latin1'), wrapped_key, nonce, ciphertext])

/** Does not judge: a damaged column gives parts that do not open. */
export const unpackSealed = (packed: Buffer): Sealed => ({
  key_id: packed.toString('latin1', 0, idBytes),
  wrapped_key: packed.subarray(idBytes, idBytes + wrappedBytes),
  nonce: packed.subarray(idBytes + wrappedBytes, idBytes + wrappedBytes + nonceBytes),
  ciphertext: packed.subarray(idBytes + wrappedBytes + nonceBytes),
})
