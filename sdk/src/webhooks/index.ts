/**
 * Standard Webhooks for NarrowAPI's events, by Web Crypto alone: Node 20 or later, Deno, Bun, workers and
 * browsers. `verify` in the endpoint, `signTestEvent` in its tests.
 */
export { isWebhookError, WebhookError, type WebhookErrorCode } from './errors.ts'
export type {
  KnownWebhookEvent,
  UnknownEventType,
  UnknownWebhookEvent,
  WebhookData,
  WebhookEvent,
  WebhookEventType,
} from './events.ts'
export type { WebhookHeaders } from './headers.ts'
export type { WebhookSecret } from './secret.ts'
export { type SignedTestEvent, signTestEvent, type TestEvent, type TestEventOptions } from './sign.ts'
export { type VerifyOptions, verify, type WebhookPayload } from './verify.ts'
