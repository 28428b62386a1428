import type { Ids } from './ids.ts'

/** Where a request stands in a trace (W3C Trace Context). */
export type Trace = {
  /** 32 hexadecimal digits. */
  readonly traceId: string
  /** The bits of `trace-flags` that we understand. */
  readonly flags: number
  /** What is exported of the request; null where nothing is. */
  readonly span: RequestSpan | null
}

/** The part of a request in an exported trace. */
export type RequestSpan = {
  upstream(call: { method: string; origin: string; actionId: string }): UpstreamSpan
  end(answer: {
    method: string
    /** The pattern; null when no route fits. */
    route: string | null
    /** Null when the caller went away before. */
    status: number | null
    requestId: string
    executionId: string | null
    /** The code of a refusal. */
    error: string | null
  }): void
}

/** One upstream call in an exported trace. */
export type UpstreamSpan = {
  traceparent: string
  /** With the status of the answer, or why there is none. */
  end(status: number | null, failure: string | null): void
}

/** What a caller said of the trace it is in. */
export type Traceparent = Pick<Trace, 'traceId' | 'flags'> & { readonly parentId: string }

const form = /^([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?$/
const zeroTraceId = '0'.repeat(32)
const zeroParentId = '0'.repeat(16)

/** `sampled` and, of level 2, `random`; a bit that is not known is not passed on. */
const knownFlags = 0b11
const random = 0b10

/**
 * Reads `traceparent`, or answers null for one that is absent or must be ignored. A version above 00 is read by
 * the part that every version has in common, and may go on after it; ff is no version (section 3.2 of level 1).
 * One that was sent twice has been joined with a comma, and has not the form.
 */
export const readTraceparent = (text: string | undefined): Traceparent | null => {
  if (text === undefined) return null
  const [, version, traceId, parentId, flags, rest] = form.exec(text) ?? []
  if (version === undefined || traceId === undefined || parentId === undefined || flags === undefined)
    return null
  if (version === 'ff' || (version === '00' && rest !== undefined)) return null
  if (traceId === zeroTraceId || parentId === zeroParentId) return null
  return { traceId, parentId, flags: Number.parseInt(flags, 16) & knownFlags }
}

/** The trace a request belongs to: its caller's, or a new one when that says none that can be continued. */
export const traceOf = (ids: Ids, traceparent: string | undefined): Trace => {
  const parent = readTraceparent(traceparent)
  return parent === null
    ? { traceId: ids.hex(16), flags: random, span: null }
    : { traceId: parent.traceId, flags: parent.flags, span: null }
}

/** What an upstream is told: the same trace, and a span of its own for this one call. */
export const childTraceparent = (ids: Ids, { traceId, flags }: Trace): string =>
  traceparentText(traceId, ids.hex(8), flags)

export const traceparentText = (traceId: string, spanId: string, flags: number): string =>
  `00-${traceId}-${spanId}-0${flags & knownFlags}`
