import { WebhookError } from './errors.ts'
import type { WebhookEvent } from './events.ts'
import { readHeaders, type WebhookHeaders } from './headers.ts'
import { toKeys, type WebhookSecret } from './secret.ts'
import { isSame, signaturesOf } from './signature.ts'

/** The body exactly as it arrived. Parsing and printing it again would change the bytes that were signed. */
export type WebhookPayload = string | Uint8Array | ArrayBuffer

/** How strict `verify` is about time. */
export interface VerifyOptions {
  /** How far the time of sending may lie from now, in either direction. Default 300. */
  toleranceSeconds?: number | undefined
  /** Default: the clock of this machine. */
  now?: (() => Date | number) | undefined
}

/**
 * Gives the event of a delivery that NarrowAPI signed, and throws a `WebhookError` for anything else. While a
 * secret is being rotated, pass the old one and the new one. The same event may be delivered more than once:
 * handle each `id` once.
 *
 * @throws {WebhookError}
 */
export const verify = async (
  payload: WebhookPayload,
  headers: WebhookHeaders,
  secrets: WebhookSecret | readonly WebhookSecret[],
  options?: VerifyOptions,
): Promise<WebhookEvent> => {
  const keys = await toKeys(secrets)
  const body = toBytes(payload)
  const { id, timestamp, signatures } = readHeaders(headers)
  checkTime(Number(timestamp), options ?? {})
  const expected = await signaturesOf(keys, id, timestamp, body)
  // Every pair is compared, so the time taken does not tell which one fitted.
  const fitting = expected.flatMap((own) => signatures.filter((sent) => isSame(own, sent)))
  if (fitting.length === 0) {
    throw new WebhookError(
      'signature_mismatch',
      'No signature fits: check that the secret is of this endpoint and the body is as it arrived, unparsed',
    )
  }
  return toEvent(body, id)
}

const toBytes = (payload: WebhookPayload): Uint8Array => {
  if (typeof payload === 'string') return new TextEncoder().encode(payload)
  if (ArrayBuffer.isView(payload))
    return new Uint8Array(payload.buffer, payload.byteOffset, payload.byteLength)
  // By its name, because test runners have an ArrayBuffer of another realm.
  if (Object.prototype.toString.call(payload) === '[object ArrayBuffer]') return new Uint8Array(payload)
  throw new WebhookError(
    'invalid_usage',
    'Pass the body as it arrived, as text or bytes, and not what was parsed',
  )
}

const checkTime = (sent: number, { toleranceSeconds = 300, now = Date.now }: VerifyOptions): void => {
  const age = Math.floor(Number(now()) / 1000) - sent
  if (!(toleranceSeconds >= 0) || Number.isNaN(age)) {
    throw new WebhookError(
      'invalid_usage',
      'toleranceSeconds must be 0 or more, and now() a date or milliseconds',
    )
  }
  if (age > toleranceSeconds) {
    throw new WebhookError('timestamp_too_old', `Sent ${age} s ago; accepted are ${toleranceSeconds}`)
  }
  if (-age > toleranceSeconds) {
    throw new WebhookError('timestamp_too_new', `Sent ${-age} s from now; accepted are ${toleranceSeconds}`)
  }
}

const toEvent = (body: Uint8Array, id: string): WebhookEvent => {
  const event = parse(body)
  if (
    !isRecord(event) ||
    typeof event.type !== 'string' ||
    typeof event.timestamp !== 'string' ||
    !isRecord(event.data)
  ) {
    throw notAnEvent()
  }
  // True as far as a receiver can tell: signed by NarrowAPI, which sends each type with its own data.
  return { ...event, id } as unknown as WebhookEvent
}

const parse = (body: Uint8Array): unknown => {
  try {
    return JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(body))
  } catch (cause) {
    throw notAnEvent(cause)
  }
}

const notAnEvent = (cause?: unknown) =>
  new WebhookError('invalid_payload', 'The signature fits, and the body is not { type, timestamp, data }', {
    cause,
  })

const isRecord = (value: unknown): value is { readonly [name: string]: unknown } =>
  typeof value === 'object' && value !== null && !Array.isArray(value)
