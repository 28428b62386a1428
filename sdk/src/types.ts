import type { NarrowErrorCode } from './error.ts'
import type { CallResponse, RateLimit } from './response.ts'

/** @internal One row of the generated route table: everything the client knows about an operation at run time. */
export type Route = {
  readonly method: string
  /** A template such as `/api/v1/actions/{id}`; its parameters are the first arguments of the call. */
  readonly path: string
  readonly paged?: true
  readonly query?: true
  readonly body?: true
  readonly idempotent?: true
}

/** @internal */
export type Routes = { readonly [noun: string]: { readonly [verb: string]: Route } }

/** The key itself, or a function asked before every attempt, for keys that rotate while a process runs. */
export type Credential = string | (() => string | Promise<string>)

/** What every client keeps to. */
export interface CallLimits {
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
  /** Sent with every request; those of a call win over those of its client. */
  headers?: Readonly<Record<string, string>> | undefined
}

/** What may be said once for a client and again for a single call, where it wins. */
export interface SharedOptions extends CallLimits {
  /**
   * The largest answer that is read, in bytes. Default 67 108 864 (64 MiB); more is `response_too_large`. This and
   * the next two need a `NarrowAPI` or a client made by `createFullClient`.
   */
  maxResponseBytes?: number | undefined
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
  /** While a list is gone over, ask for the next page before it is needed. Default false. */
  prefetch?: boolean | undefined
}

/** Options of the small client that `createClient` makes. */
export interface CoreOptions extends CallLimits {
  /** An `sk_…` key, or an `sxt_…` token for `execute`. */
  apiKey: Credential
  /** Where the server is, such as `https://narrow.example.com`, with nothing after its path and no `/` at its end. */
  baseUrl: string
  /** Default: the global `fetch` at the moment of each attempt. */
  fetch?: typeof fetch | undefined
}

/** Options of a `NarrowAPI`, or of a client made by `createFullClient`. */
export interface ClientOptions extends SharedOptions {
  /** Default: the environment variable `NARROWAPI_API_KEY`. An `sk_…` key, or an `sxt_…` token for `execute`. */
  apiKey?: Credential | undefined
  /** Default: `NARROWAPI_BASE_URL`, else `http://127.0.0.1:3000`, where a server started with no options listens. */
  baseUrl?: string | undefined
  /** Default: the global `fetch` at the moment of each attempt. */
  fetch?: typeof fetch | undefined
  /** Told about every attempt. What it throws is ignored, so observing a call cannot break it. */
  onEvent?: OnEvent | undefined
  /**
   * How much is written to `logger`. Default: `NARROWAPI_LOG`, else deprecations only. Keys, headers, queries
   * and bodies are never logged.
   */
  log?: LogLevel | undefined
  /** Default: the console. */
  logger?: Logger | undefined
}

/** Told of events as they happen. */
export type OnEvent = (event: NarrowEvent) => void

/** From nothing to everything; a level includes those before it. */
export type LogLevel = 'off' | 'error' | 'warn' | 'info' | 'debug'

/** A function for each level, as the console has them. */
export type Logger = { readonly [level in Exclude<LogLevel, 'off'>]: (message: string) => void }

/** What happens during a call. Holds no key, header, query or body, save what `error` may hold. */
export type NarrowEvent =
  | {
      /** An attempt is sent. */
      readonly type: 'request'
      /** For example `actions.create`. */
      readonly operation: string
      /** 1 for the first attempt. */
      readonly attempt: number
    }
  | {
      /** An attempt was answered, well or not. */
      readonly type: 'response'
      /** For example `actions.create`. */
      readonly operation: string
      /** 1 for the first attempt. */
      readonly attempt: number
      /** The HTTP status. */
      readonly status: number
      /** From sending to the headers of the answer, in milliseconds. */
      readonly durationMs: number
      /** Quote it when you ask for help. */
      readonly requestId: string | undefined
    }
  | {
      /** An attempt failed, and another follows. */
      readonly type: 'retry'
      /** For example `actions.create`. */
      readonly operation: string
      /** 1 for the first attempt. */
      readonly attempt: number
      /** How long is waited, in milliseconds. */
      readonly delayMs: number
      /** Why the attempt failed. */
      readonly code: NarrowErrorCode
    }
  | {
      /** Sent with every answer of such an operation. The texts are those of the answer's headers. */
      readonly type: 'deprecation'
      /** For example `actions.create`. */
      readonly operation: string
      /** Since when, or from when on. */
      readonly deprecation: string | null
      /** When it ends. */
      readonly sunset: string | null
      /** Where to read about it. */
      readonly link: string | null
    }
  | {
      /** The call is over and failed. */
      readonly type: 'failure'
      /** For example `actions.create`. */
      readonly operation: string
      /** Undefined when the caller's own code threw: a middleware or an `apiKey` function. */
      readonly code: NarrowErrorCode | undefined
      /** What the call is rejected with. */
      readonly error: unknown
    }

/** A request as middleware sees it. The body is text, so it can be sent again. Header names are lower case. */
export interface NarrowRequest {
  /** The whole URL, query included. */
  readonly url: string
  /** In capitals. */
  readonly method: string
  /** Authorization included. */
  readonly headers: Readonly<Record<string, string>>
  /** JSON; undefined when nothing is sent. */
  readonly body: string | undefined
  /** Ends the attempt: the timeouts and the caller's own signal in one. */
  readonly signal: AbortSignal
}

/** Which attempt of which call a middleware is run for. */
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

/** What `fields` may name: fields of what is answered. */
export type Fields<T> = readonly (keyof T)[] | undefined

/**
 * What is answered when `fields` names these: they, `id` and `object`. Without `fields` it is all of `T`; when
 * only the running program knows which ones are named, any of them may be absent.
 */
export type Selection<T, F extends Fields<T>> = F extends readonly (keyof T)[]
  ? number extends F['length']
    ? Pick<T, Extract<keyof T, 'id' | 'object'>> & Partial<Pick<T, F[number]>>
    : Pick<T, Extract<keyof T, 'id' | 'object'> | F[number]>
  : T

/** The promise of an operation's data. The request is already on its way. */
export interface Call<T> extends Promise<T> {
  /** The same data together with status, headers, request id and rate limit; nothing is sent again. */
  withResponse(): Promise<WithResponse<T>>
}

/** Data together with what its answer said beside it. */
export interface WithResponse<T> {
  /** What `await` gives as well. */
  readonly data: T
  /** Status, headers, request id and rate limit. */
  readonly response: CallResponse
}

/** One page of a list. `JSON.stringify` gives what the server sent. */
export interface Page<T> {
  /** Always `list`. */
  readonly object: 'list'
  /** The objects of this page. */
  readonly data: T[]
  /** Whether another page follows. */
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
  toArray(options: {
    /** The most items to take. */
    max: number
  }): Promise<T[]>
}

export type { RateLimit }
