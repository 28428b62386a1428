import { WebhookError } from './errors.ts'

/** `Headers`, a plain record, or Node's `request.headers`. The case of names makes no difference. */
export type WebhookHeaders =
  | {
      /** The value of a header, or null. */
      get(name: string): string | null
    }
  | { readonly [name: string]: string | readonly string[] | undefined }

/** What a delivery says about itself, checked in form only. */
export interface SignatureHeaders {
  readonly id: string
  /** Seconds since 1970, as sent: this text is what was signed. */
  readonly timestamp: string
  /** The signatures of version 1, without their prefix. */
  readonly signatures: readonly string[]
}

export const readHeaders = (headers: WebhookHeaders): SignatureHeaders => {
  if (typeof headers !== 'object' || headers === null) {
    throw new WebhookError('invalid_usage', 'Pass the headers of the request as the second argument')
  }
  const id = readHeader(headers, 'webhook-id')
  const timestamp = readHeader(headers, 'webhook-timestamp')
  const signature = readHeader(headers, 'webhook-signature')
  if (!ID.test(id)) throw malformed('webhook-id', 'must be up to 256 visible characters without a dot')
  if (!SECONDS.test(timestamp)) throw malformed('webhook-timestamp', 'must be whole seconds since 1970')
  return { id, timestamp, signatures: readSignatures(signature) }
}

const readHeader = (headers: WebhookHeaders, name: string): string => {
  const values = valuesOf(headers, name)
  const [value] = values
  if (value === undefined || value === '') {
    throw new WebhookError('missing_header', `The header ${name} is missing, so this is no signed webhook`)
  }
  if (values.length > 1) throw malformed(name, 'must stand once')
  if (typeof value !== 'string') throw malformed(name, 'must be text')
  if (value.length > MAX_LENGTH) throw malformed(name, `must have at most ${MAX_LENGTH} characters`)
  return value
}

const valuesOf = (headers: WebhookHeaders, name: string): unknown[] => {
  // Only a real Headers object has a function there: the values of a record are text.
  if (typeof headers.get === 'function') return [headers.get(name) ?? undefined]
  return Object.entries(headers).flatMap(([key, value]) =>
    key.toLowerCase() === name && value !== undefined && value !== null ? value : [],
  )
}

const readSignatures = (header: string): string[] => {
  const signatures = header
    .split(' ')
    .filter((part) => part.startsWith('v1,'))
    .map((part) => part.slice(3))
  if (signatures.length > MAX_SIGNATURES) {
    throw malformed('webhook-signature', `must hold at most ${MAX_SIGNATURES} signatures`)
  }
  if (signatures.length === 0) throw malformed('webhook-signature', 'must hold a signature of version v1')
  return signatures
}

const malformed = (name: string, rule: string) =>
  new WebhookError('malformed_header', `The header ${name} ${rule}`)

// A dot in the id would let its end pass for a timestamp: what is signed is `id.timestamp.body`.
const ID = /^[!-\-/-~]{1,256}$/
const SECONDS = /^\d{1,12}$/
const MAX_LENGTH = 4096
const MAX_SIGNATURES = 16
