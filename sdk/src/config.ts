import type { CallContext, NarrowError } from './error.ts'
import type { CoreOptions, RequestOptions } from './types.ts'

/** What a client of more than the core may hang into it. */
export interface Hooks {
  /** What `fetch` is here, told about the call as well. Only a part of its response is used. */
  fetch?: Exchange | undefined
  /** Its errors are typed already; else any that it throws is a failed connection. */
  isTyped?: boolean
  /** Told before each wait for another attempt. */
  onRetry?: (error: NarrowError, delayMs: number) => void
}

export type Exchange = (
  url: string,
  init: ExchangeInit,
  context: CallContext,
  settings: Settings,
) => Promise<Pick<Response, 'status' | 'headers' | 'text'>>

export interface ExchangeInit {
  readonly method: string
  readonly headers: Record<string, string>
  readonly body: string | null
  readonly signal: AbortSignal
  readonly redirect: 'manual'
}

/** A client's options with every default filled in. */
export type Config = Omit<CoreOptions, 'fetch'> & Hooks & typeof defaults

/** The options of a call over those of its client. */
export type Settings = Config & RequestOptions

export const defaults = {
  timeout: 60_000,
  totalTimeout: Number.POSITIVE_INFINITY,
  retries: 2,
  maxRetryDelay: 30_000,
}

/** `over` on top of `under`, save what it leaves undefined. */
export const merge = <Under extends object, Over extends object>(
  under: Under,
  over: Over | undefined,
): Under & Over => {
  const merged: Partial<Under & Over> = { ...under } as Under & Over
  for (const name in over)
    if (over[name] !== undefined) merged[name] = over[name] as (Under & Over)[typeof name]
  // Complete, because it began as `under` and took all that `over` has.
  return merged as Under & Over
}
