import { WebhookError } from './errors.ts'

/** `whsec_…` as NarrowAPI made it, or the text or bytes you chose yourself when you created the endpoint. */
export type WebhookSecret = string | Uint8Array

/** Named by what makes it: where a project has the types of Node and not the DOM's, it has no global name. */
export type HmacKey = Awaited<ReturnType<typeof crypto.subtle.importKey>>

export const toKeys = (secrets: WebhookSecret | readonly WebhookSecret[]): Promise<HmacKey[]> => {
  const list = typeof secrets === 'string' || ArrayBuffer.isView(secrets) ? [secrets] : secrets
  if (!Array.isArray(list) || list.length === 0) throw invalid('Pass the secret of the endpoint, or several')
  if (!globalThis.crypto?.subtle) {
    throw new WebhookError(
      'invalid_usage',
      'Web Crypto is missing: use Node 20 or later, or https in a browser',
    )
  }
  return Promise.all(list.map((secret) => importKey(toBytes(secret))))
}

const importKey = (bytes: Uint8Array<ArrayBuffer>): Promise<HmacKey> =>
  crypto.subtle.importKey('raw', bytes, { name: 'HMAC', hash: 'SHA-256' }, false, ['sign'])

const toBytes = (secret: WebhookSecret): Uint8Array<ArrayBuffer> => {
  if (typeof secret === 'string' && secret.startsWith(PREFIX)) return fromBase64(secret.slice(PREFIX.length))
  if (typeof secret !== 'string' && !ArrayBuffer.isView(secret)) throw invalid('A secret is text or bytes')
  const bytes = typeof secret === 'string' ? new TextEncoder().encode(secret) : new Uint8Array(secret)
  if (bytes.length < MIN_OWN) throw invalid(`A secret without ${PREFIX} has at least ${MIN_OWN} characters`)
  return bytes
}

const fromBase64 = (text: string): Uint8Array<ArrayBuffer> => {
  // Characters are counted before they are decoded: `atob` forgives what a truncated copy looks like.
  if (!BASE64.test(text)) throw invalid(`After ${PREFIX} a secret is base64; copy it again, without spaces`)
  const bytes = Uint8Array.from(atob(text), (character) => character.charCodeAt(0))
  if (bytes.length < 24 || bytes.length > 64) {
    throw invalid(`After ${PREFIX} a secret is 24 to 64 bytes in base64; copy it again, whole`)
  }
  return bytes
}

const invalid = (message: string) => new WebhookError('invalid_secret', message)

const PREFIX = 'whsec_'
const MIN_OWN = 16
const BASE64 = /^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}(?:==)?|[A-Za-z0-9+/]{3}=?)?$/
