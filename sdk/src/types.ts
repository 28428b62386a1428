import type { NarrowErrorCode } from './errors.ts'
import type { CallResponse, RateLimit } from './response.ts'

/** One row of the generated route table: everything the client knows about an operation at run time. */
export type Route = {
  readonly method: string
  /** A template such as `/api/v1/actions/{id}`; its parameters are the first arguments of the call. */
  readonly path: string
  readonly paged?: true
  readonly query?: true
  readonly body?: true
  readonly idempotent?: true
}

export type Routes = { readonly [noun: string]: { readonly [verb: string]: Route } }

/** The key itself, or a function asked before every attempt, for keys that rotate while a process runs. */
export type Credential = string | (() => string | Promise<string>)

/** What may be said once for a client and again for a single call, where it wins. */
export interface SharedOptions {
  /** Milliseconds one attempt may take, its body included. Default 60 000; `Infinity` for no bound. */
  timeout?: number | undefined
  /** Milliseconds the whole call may take: all attempts and the waits between them. Default no bound. */
  totalTimeout?: number | undefined
  /** How often a failed attempt is repeated. Default 2; 0 means never. */
  retries?: number | undefined
  /**
   * The longest wait between two attempts, in milliseconds. Default 30 000. When the server asks for a longer
   * one, that is neither slept nor shortened: the call fails at once, with `retryAfterMs` on the error.
   */
  maxRetryDelay?: number | undefined
  /** Sent with every request; wins over the client's own headers. */
  headers?: Readonly<Record<string, string>> | undefined
  /** Which workspace an account key means. Workspace keys imply theirs. */
  workspaceId?: string | undefined
  /** Run around every attempt, the first one outermost; those of a call run inside those of its client. */
  middleware?: readonly Middleware[] | undefined
}

/** Options of one call, always its last argument. */
export interface RequestOptions extends SharedOptions {
  /** Ends the call at once: while sending, while reading the body, and between two attempts. */
  signal?: AbortSignal | undefined
  /**
   * Replaces the key the client makes. Pass the `idempotencyKey` of an earlier error to resume that call
   * after a crash without doing its work twice.
   */
  idempotencyKey?: string | undefined
}

/** Options of a client. */
export interface ClientOptions extends SharedOptions {
  /** Default: the environment variable `NARROWAPI_API_KEY`. An `sk_…` key, or an `sxt_…` token for `execute`. */
  apiKey?: Credential | undefined
  /** Default: `NARROWAPI_BASE_URL`, else `http://127.0.0.1:3000`, where a server started with no options listens. */
  baseUrl?: string | undefined
  /** Default: the global `fetch` at the moment of each attempt. */
  fetch?: typeof fetch | undefined
  /** Told about every attempt. What it throws is ignored, so observing a call cannot break it. */
  onEvent?: ((event: NarrowEvent) => void) | undefined
  /** Default: `NARROWAPI_LOG`, else `off`. Keys, headers, queries and bodies are never logged. */
  log?: LogLevel | undefined
  /** Default: the console. */
  logger?: Logger | undefined
}

export type LogLevel = 'off' | 'error' | 'info' | 'debug'

export type Logger = { readonly [level in Exclude<LogLevel, 'off'>]: (message: string) => void }

/** What happens during a call. Holds no key, header, query or body, save what `error` may hold. */
export type NarrowEvent =
  | { readonly type: 'request'; readonly operation: string; readonly attempt: number }
  | {
      readonly type: 'response'
      readonly operation: string
      readonly attempt: number
      readonly status: number
      readonly durationMs: number
      readonly requestId: string | undefined
    }
  | {
      readonly type: 'retry'
      readonly operation: string
      readonly attempt: number
      readonly delayMs: number
      readonly code: NarrowErrorCode
    }
  | {
      readonly type: 'failure'
      readonly operation: string
      /** Undefined when the caller's own code threw: a middleware or an `apiKey` function. */
      readonly code: NarrowErrorCode | undefined
      /** What the call is rejected with. */
      readonly error: unknown
    }

/** A request as middleware sees it. The body is text, so it can be sent again. Header names are lower case. */
export interface NarrowRequest {
  readonly url: string
  readonly method: string
  readonly headers: Readonly<Record<string, string>>
  readonly body: string | undefined
  readonly signal: AbortSignal
}

export interface MiddlewareContext {
  /** For example `actions.create`. */
  readonly operation: string
  /** 1 for the first attempt. */
  readonly attempt: number
}

/** May change the request, change the response, answer by itself, or call `next` more than once. */
export type Middleware = (
  request: NarrowRequest,
  next: (request: NarrowRequest) => Promise<Response>,
  context: MiddlewareContext,
) => Promise<Response>

/** The promise of an operation's data. The request is already on its way. */
export interface Call<T> extends Promise<T> {
  /** The same data together with status, headers, request id and rate limit; nothing is sent again. */
  withResponse(): Promise<WithResponse<T>>
}

export interface WithResponse<T> {
  readonly data: T
  readonly response: CallResponse
}

/** One page of a list. `JSON.stringify` gives what the server sent. */
export interface Page<T> {
  readonly object: 'list'
  readonly data: T[]
  readonly has_more: boolean
  /** Store it and pass it as `cursor`, with the same filters, to go on later. */
  readonly next_cursor: string | null
  /** The page after this one, or null after the last. */
  nextPage(): Promise<Page<T> | null>
}

/**
 * A list call. `await` it for its first page, or go over every item of every page with `for await`.
 * When a page fails, calling `next()` on the same iterator asks for that page again.
 */
export interface PageCall<T> extends Call<Page<T>>, AsyncIterable<T> {
  [Symbol.asyncIterator](): AsyncIterableIterator<T>
  /** Goes over the pages instead of their items. */
  pages(): AsyncIterableIterator<Page<T>>
  /** The first `max` items; fetches no page beyond them. */
  toArray(options: { max: number }): Promise<T[]>
}

export type { RateLimit }
