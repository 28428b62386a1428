import { createHmac, type KeyObject } from 'node:crypto'
import { crc32 } from 'node:zlib'
import { base62Digits } from './ids.ts'

/** `sk_` opens the management API, `sxt_` runs actions. */
export type CredentialKind = 'sk' | 'sxt'

const secretDigits = 43 // 32 random bytes: 62^43 is just above 2^256
const checksumDigits = 6 // a CRC-32: 62^6 is above 2^32
const digitsShown = 4

/** Published for secret scanners. What fits the pattern but fails the checksum was never a credential. */
export const credentialPattern = {
  sk: /^sk_[0-9A-Za-z]{49}$/,
  sxt: /^sxt_[0-9A-Za-z]{49}$/,
} as const satisfies Record<CredentialKind, RegExp>

/** `sk_` or `sxt_`, 43 digits of secret, 6 digits of CRC-32 over all that stands before them. */
export const newCredential = (kind: CredentialKind, random: (bytes: number) => Buffer): string => {
  const secret = base62(BigInt(`0x${random(32).toString('hex')}`), secretDigits)
  return withChecksum(`${kind}_${secret}`)
}

/**
 * Says what a text is without asking anyone, so that a mistyped or invented credential costs a microsecond
 * and no query. Not a proof of anything: only the stored hash is.
 */
export const checkCredential = (text: string): CredentialKind | null => {
  const kind = credentialPattern.sk.test(text) ? 'sk' : credentialPattern.sxt.test(text) ? 'sxt' : null
  if (kind === null) return null
  return withChecksum(text.slice(0, -checksumDigits)) === text ? kind : null
}

/**
 * What is stored and looked up instead of the credential: HMAC-SHA-256 in hex. The pepper is a KeyObject
 * because node:crypto takes one six times faster than bytes, and printing it shows nothing.
 */
export const hashCredential = (text: string, pepper: KeyObject): string =>
  createHmac('sha256', pepper).update(text).digest('hex')

/**
 * What may be shown of a credential so that its owner recognises it. The last four digits are of the
 * checksum, so together with the first four about 200 of the 256 bits stay unknown.
 */
export const describeCredential = (text: string): { prefix: string; last_four: string } => ({
  prefix: text.slice(0, text.indexOf('_') + 1 + digitsShown),
  last_four: text.slice(-digitsShown),
})

const withChecksum = (text: string): string => text + base62(BigInt(crc32(text)), checksumDigits)

const base62 = (value: bigint, width: number): string => {
  let text = ''
  for (let rest = value; text.length < width; rest /= 62n)
    text = base62Digits.charAt(Number(rest % 62n)) + text
  return text
}
