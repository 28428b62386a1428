export type FailureReason = 'blocked' | 'unreachable' | 'timeout' | 'aborted' | 'invalid'

const messages: Record<FailureReason, string> = {
  blocked: 'The target address is not allowed',
  unreachable: 'The upstream could not be reached',
  timeout: 'The upstream did not answer in time',
  aborted: 'The call was aborted',
  invalid: 'The request could not be sent or the answer could not be used',
}

/**
 * Why an upstream call has no answer. Errors of the network name addresses and ports, and those of the HTTP
 * parser hold bytes of the answer, which may repeat a secret; so neither their text nor the errors
 * themselves are kept, only their `code` (`ECONNREFUSED`, `CERT_HAS_EXPIRED`, `HPE_INVALID_CONSTANT`).
 */
export class UpstreamFailure extends Error {
  readonly reason: FailureReason
  /** True when the request may have reached the upstream: whether it acted is then unknown. */
  readonly sent: boolean
  readonly code: string | undefined
  /** How many tries it took to find out. */
  readonly attempts: number

  constructor(reason: FailureReason, sent: boolean, code?: string, attempts = 1) {
    super(messages[reason])
    this.name = 'UpstreamFailure'
    this.reason = reason
    this.sent = sent
    this.code = code
    this.attempts = attempts
  }
}
