import type { HmacKey } from './secret.ts'

/** The base64 HMAC-SHA256 of `id.timestamp.body`, by each key. */
export const signaturesOf = (
  keys: readonly HmacKey[],
  id: string,
  timestamp: string,
  body: Uint8Array,
): Promise<string[]> => {
  const head = new TextEncoder().encode(`${id}.${timestamp}.`)
  const signed = new Uint8Array(head.length + body.length)
  signed.set(head)
  signed.set(body, head.length)
  return Promise.all(
    keys.map(async (key) => toBase64(new Uint8Array(await crypto.subtle.sign('HMAC', key, signed)))),
  )
}

/** In a time that does not depend on where two texts of one length differ. */
export const isSame = (a: string, b: string): boolean => {
  if (a.length !== b.length) return false
  let difference = 0
  for (let index = 0; index < a.length; index += 1) difference |= a.charCodeAt(index) ^ b.charCodeAt(index)
  return difference === 0
}

const toBase64 = (bytes: Uint8Array): string => btoa(String.fromCharCode(...bytes))
