/** Why a delivery was not taken. */
export type WebhookErrorCode =
  /** A header of the signature is not there: no webhook, or a proxy that drops headers. */
  | 'missing_header'
  /** A header of the signature is there and cannot be read. */
  | 'malformed_header'
  /** Sent too long ago: a late copy, a replay, or a clock that is wrong. */
  | 'timestamp_too_old'
  /** Sent in the future: a clock that is wrong. */
  | 'timestamp_too_new'
  /** No signature fits: a changed body, another endpoint's secret, or a forgery. */
  | 'signature_mismatch'
  /** A secret of yours cannot be used. */
  | 'invalid_secret'
  /** Signed as it should be, and no event. */
  | 'invalid_payload'
  /** The call itself is wrong: a parsed body instead of the raw one, a tolerance that is no number. */
  | 'invalid_usage'

const KIND: unique symbol = Symbol.for('@narrowapi/sdk/webhook-error') as never

/** Everything that this entry throws. Decide by `code`; neither secrets nor signatures are in its text. */
export class WebhookError extends Error {
  // Two installed copies of this package recognise each other's errors.
  static override [Symbol.hasInstance](value: unknown): boolean {
    return typeof value === 'object' && value !== null && KIND in value
  }

  readonly [KIND] = true
  /** Why the delivery is not to be trusted, or what is wrong with the call. */
  readonly code: WebhookErrorCode

  constructor(code: WebhookErrorCode, message: string, options?: ErrorOptions) {
    super(message, options)
    this.name = 'WebhookError'
    this.code = code
  }
}

/** Whether a thrown value is an error of this entry, and if codes are given, one with any of them. */
export function isWebhookError<const C extends WebhookErrorCode = WebhookErrorCode>(
  error: unknown,
  ...codes: readonly C[]
): error is WebhookError & { readonly code: C } {
  return (
    error instanceof WebhookError && (codes.length === 0 || (codes as readonly string[]).includes(error.code))
  )
}
