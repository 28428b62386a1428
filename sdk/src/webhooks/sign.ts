import { WebhookError } from './errors.ts'
import type { UnknownEventType, WebhookData, WebhookEventType } from './events.ts'
import { toKeys, type WebhookSecret } from './secret.ts'
import { signaturesOf } from './signature.ts'

/** An event to sign. */
export interface TestEvent<Type extends string = string> {
  /** A known type, or any other, as a newer server may send. */
  readonly type: Type
  /** What it happened to; the parts that the code under test reads are enough. */
  readonly data: Type extends WebhookEventType ? Partial<WebhookData[Type]> : object
  /** When it happened. Default: when it is sent. */
  readonly timestamp?: string | undefined
}

/** What of a test event may be chosen. */
export interface TestEventOptions {
  /** When it is sent. Default: now. A time long ago makes what a replay looks like. */
  timestamp?: Date | undefined
  /** The id of the event. Default: one of its own for each call. */
  id?: string | undefined
}

/** What to post to the endpoint under test: `new Request(url, { method: 'POST', ...signed })`. */
export interface SignedTestEvent {
  /** The three of a delivery, and the type of the body. */
  readonly headers: {
    /** The type of the body. */
    'content-type': 'application/json'
    /** The id of the event. */
    'webhook-id': string
    /** When it was sent, in seconds since 1970. */
    'webhook-timestamp': string
    /** A signature for each secret. */
    'webhook-signature': string
  }
  /** Exactly what was signed. */
  readonly body: string
}

/**
 * Signs an event as NarrowAPI does, for tests of your endpoint. With several secrets it carries a signature of
 * each, as during a rotation.
 *
 * @throws {WebhookError}
 */
export const signTestEvent = async <const Type extends WebhookEventType | UnknownEventType | (string & {})>(
  event: TestEvent<Type>,
  secrets: WebhookSecret | readonly WebhookSecret[],
  options: TestEventOptions = {},
): Promise<SignedTestEvent> => {
  const { timestamp, id = newId() } = options
  const sentAt = new Date(timestamp ?? Date.now())
  const keys = await toKeys(secrets)
  const seconds = Math.floor(Number(sentAt) / 1000)
  if (Number.isNaN(seconds)) throw new WebhookError('invalid_usage', 'The option timestamp must be a date')
  const body = print({
    type: event.type,
    timestamp: event.timestamp ?? sentAt.toISOString(),
    data: event.data,
  })
  const signatures = await signaturesOf(keys, id, String(seconds), new TextEncoder().encode(body))
  const headers = {
    'content-type': 'application/json',
    'webhook-id': id,
    'webhook-timestamp': String(seconds),
    'webhook-signature': signatures.map((signature) => `v1,${signature}`).join(' '),
  } as const
  return { headers, body }
}

const print = (event: object): string => {
  try {
    return JSON.stringify(event)
  } catch (cause) {
    throw new WebhookError('invalid_usage', 'The event cannot be written as JSON', { cause })
  }
}

const newId = (): string =>
  `evt_${Array.from(crypto.getRandomValues(new Uint8Array(22)), (byte) => LETTERS[byte % LETTERS.length]).join('')}`

const LETTERS = '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz'
