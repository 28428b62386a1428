import { type ErrorCode, errorStatuses } from '../generated/errors.ts'
import { type ApiErrorFields, apiError, MockApiError } from './api-error.ts'
import type { OperationRow } from './schema.ts'

/** A failure to make happen, or a slow answer. */
export type Fault =
  | StatusFault
  | {
      /** The connection breaks: `before` the request has any effect, or `after`, so that only the answer is lost. */
      readonly cut: 'before' | 'after'
    }
  | {
      /** Status and headers come, then half a body and nothing more. */
      readonly stall: true
    }
  | {
      /** The usual answer, this much later, in milliseconds. */
      readonly delayMs: number
    }

/** A refusal, or an answer of a proxy. */
export interface StatusFault {
  /** With a status that NarrowAPI never answers to the operation, such as 408, it is a proxy that answers. */
  readonly status: number
  /** Default: the first code of this status that the operation can answer. */
  readonly code?: ErrorCode
  /** Seconds, or the moment, that `Retry-After` asks to wait for. */
  readonly retryAfter?: number | Date
  /** For a person. Default: one that names the code. */
  readonly message?: string
  /** Added to those that the answer has anyway. */
  readonly headers?: Readonly<Record<string, string>>
}

/** The error that a fault is, or null for the answer of something in between. */
export const toFaultError = (
  { status, code, retryAfter, message }: StatusFault,
  row: OperationRow,
): MockApiError | null => {
  const known = code ?? [...(row.raises ?? []), ...COMMON].find((one) => errorStatuses[one] === status)
  if (!known) return null
  const fields: ApiErrorFields = {
    ...(message !== undefined && { message }),
    ...(typeof retryAfter === 'number' && { retry_after_seconds: retryAfter }),
  }
  const error = apiError(known, fields)
  return error.status === status ? error : new MockApiError(known, fields, status)
}

/** What any operation may answer. */
const COMMON: readonly ErrorCode[] = [
  'invalid_request',
  'unauthorized',
  'forbidden',
  'idempotency_in_progress',
  'payload_too_large',
  'unsupported_media_type',
  'validation_failed',
  'rate_limited',
  'internal_error',
  'unavailable',
]

/** What `fetch` throws when the connection breaks. */
export class ConnectionCut extends TypeError {
  constructor() {
    super('fetch failed', { cause: new Error('The mock cut the connection') })
  }
}

/** Waits, unless the request is aborted first, and leaves no listener behind. */
export const wait = (ms: number, signal: AbortSignal | undefined): Promise<void> =>
  new Promise((resolve, reject) => {
    const onAbort = () => {
      clearTimeout(timer)
      reject(signal?.reason)
    }
    if (signal?.aborted) return reject(signal.reason)
    const timer = setTimeout(() => {
      signal?.removeEventListener('abort', onAbort)
      resolve()
    }, ms)
    signal?.addEventListener('abort', onAbort, { once: true })
  })

/** The same answer with a body that never ends; an abort breaks it off. */
export const stalled = async (response: Response, signal: AbortSignal | undefined): Promise<Response> => {
  const bytes = new Uint8Array(await response.arrayBuffer())
  let onAbort: () => void
  const body = new ReadableStream<Uint8Array>({
    start(controller) {
      controller.enqueue(bytes.subarray(0, Math.max(1, bytes.length >> 1)))
      onAbort = () => controller.error(signal?.reason)
      if (signal?.aborted) onAbort()
      signal?.addEventListener('abort', onAbort, { once: true })
    },
    cancel: () => signal?.removeEventListener('abort', onAbort),
  })
  const headers = new Headers(response.headers)
  headers.set('content-length', String(Math.max(2, bytes.length)))
  // The one success that may have no body.
  const status = response.status === 204 ? 200 : response.status
  return new Response(body, { status, headers })
}
