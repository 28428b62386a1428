/**
 * Rate limits of the management API come from the workspace's plan (model: plans); this table names what else
 * bounds a request. Sizes in bytes, times in milliseconds.
 */
export const limits = {
  bodyBytes: 1_048_576,
  executeBodyBytes: 1_048_576,
  page: { default: 20, max: 100 },
  metadata: { keys: 20, keyLength: 40, valueLength: 500 },
  idempotencyKeyLength: 255,
  idempotencyHours: 24,
  upstream: {
    timeoutMs: 30_000,
    maxTimeoutMs: 120_000,
    responseBytes: 1_048_576,
    maxResponseBytes: 10_485_760,
  },
} as const
