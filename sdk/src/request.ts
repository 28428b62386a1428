import { toData, toError, withoutKey } from './answer.ts'
import type { Config } from './config.ts'
import {
  type CallContext,
  NarrowAbortError,
  NarrowApiError,
  NarrowConnectionError,
  NarrowError,
  NarrowTimeoutError,
  NarrowUsageError,
} from './errors.ts'
import { countParameters, fillPath, toQuery } from './path.ts'
import { CallResponse, remember } from './response.ts'
import { backOffMs } from './retry.ts'
import { sleep, within } from './time.ts'
import type { Middleware, NarrowRequest, RequestOptions, Route, WithResponse } from './types.ts'

/** A call as its caller meant it: one of these, however many attempts it takes. */
export interface Operation {
  /** For example `actions.create`. */
  readonly name: string
  readonly route: Route
  /** The arguments that fill the path. */
  readonly params: readonly unknown[]
  /** The body or the query, whichever the route takes. */
  readonly input: object | undefined
  readonly options: RequestOptions
}

/** Sorts positional arguments: path parameters, then a body or a query if the route takes one, then options. */
export const toOperation = (name: string, route: Route, args: readonly unknown[]): Operation => {
  const count = countParameters(route.path)
  const rest = args.slice(count)
  // The generated interfaces type the arguments; these are the positions they promise.
  const input = (route.body || route.query ? rest.shift() : undefined) as object | undefined
  const options = (rest[0] ?? {}) as RequestOptions
  return { name, route, params: args.slice(0, count), input, options }
}

/** Sends an operation until it succeeds, fails for good, or may not be tried again. */
export const send = (config: Config, operation: Operation): Promise<WithResponse<unknown>> => {
  const { emit } = config
  const answer = attemptAll(config, operation)
  if (emit) {
    answer.catch((error: unknown) => {
      const code = error instanceof NarrowError ? error.code : undefined
      emit({ type: 'failure', operation: operation.name, code, error })
    })
  }
  return answer
}

const attemptAll = async (config: Config, operation: Operation): Promise<WithResponse<unknown>> => {
  const { name, options } = operation
  const { signal } = options
  const retries = options.retries ?? config.retries
  const timeout = options.timeout ?? config.timeout
  const totalTimeout = options.totalTimeout ?? config.totalTimeout
  const maxRetryDelay = options.maxRetryDelay ?? config.maxRetryDelay
  const deadline = performance.now() + totalTimeout
  const draft = toDraft(config, operation)

  for (let attempt = 1; ; attempt++) {
    const context = { operation: name, attempts: attempt, idempotencyKey: draft.idempotencyKey }
    const onAbort = (reason: unknown) => new NarrowAbortError(context, reason)
    try {
      const left = deadline - performance.now()
      return await within(
        Math.min(timeout, left),
        signal,
        (attemptSignal) => attemptOnce(config, operation, draft, context, attemptSignal),
        () =>
          timeout <= left
            ? new NarrowTimeoutError('timeout', timeout, context)
            : new NarrowTimeoutError('totalTimeout', totalTimeout, context),
        onAbort,
      )
    } catch (error) {
      if (!(error instanceof NarrowError) || !error.retryable || attempt > retries) throw error
      const delayMs = retryDelayMs(error, attempt, maxRetryDelay)
      if (delayMs === undefined || performance.now() + delayMs >= deadline) throw error
      config.emit?.({ type: 'retry', operation: name, attempt, delayMs, code: error.code })
      await sleep(delayMs, signal, onAbort)
    }
  }
}

/** A server's wish is kept exactly or, when it is too long, not at all: then there is no delay to wait. */
const retryDelayMs = (error: NarrowError, attempt: number, maxRetryDelay: number): number | undefined => {
  const wish = error instanceof NarrowApiError ? error.retryAfterMs : undefined
  if (wish === undefined) return Math.min(backOffMs(attempt), maxRetryDelay)
  return wish <= maxRetryDelay ? wish : undefined
}

/** What stays byte for byte the same in every attempt. */
interface Draft {
  readonly url: string
  readonly headers: Readonly<Record<string, string>>
  readonly body: string | undefined
  readonly idempotencyKey: string | undefined
  readonly middleware: readonly Middleware[]
}

const toDraft = (config: Config, { name, route, params, input, options }: Operation): Draft => {
  const headers: Record<string, string> = { accept: 'application/json' }
  const workspaceId = options.workspaceId ?? config.workspaceId
  if (workspaceId !== undefined) headers['x-workspace-id'] = workspaceId
  if (route.body) headers['content-type'] = 'application/json'
  for (const given of [config.headers, options.headers]) {
    for (const key in given) headers[key.toLowerCase()] = given[key] ?? ''
  }
  const idempotencyKey = isMutation(route) ? (options.idempotencyKey ?? newKey()) : undefined
  if (idempotencyKey !== undefined) headers['idempotency-key'] = idempotencyKey
  const query = input && !route.body ? toQuery(input) : ''
  return {
    url: `${config.baseUrl}${fillPath(route.path, params, name)}${query}`,
    headers,
    body: route.body ? JSON.stringify(input ?? {}) : undefined,
    idempotencyKey,
    middleware: [...config.middleware, ...(options.middleware ?? [])],
  }
}

const attemptOnce = async (
  config: Config,
  operation: Operation,
  draft: Draft,
  context: CallContext,
  signal: AbortSignal,
): Promise<WithResponse<unknown>> => {
  const attempt = context.attempts
  const key = await readKey(config, operation)
  const startedAt = performance.now()
  config.emit?.({ type: 'request', operation: operation.name, attempt })
  const response = await throughMiddleware(config, operation, draft, context, {
    url: draft.url,
    method: operation.route.method,
    headers: key === '' ? draft.headers : { authorization: `Bearer ${key}`, ...draft.headers },
    body: draft.body,
    signal,
  })
  const text = await orConnectionError(response.text(), context)
  const known = new CallResponse(response, attempt, context.idempotencyKey)
  config.emit?.({
    type: 'response',
    operation: operation.name,
    attempt,
    status: response.status,
    durationMs: performance.now() - startedAt,
    requestId: known.requestId,
  })
  if (!response.ok) throw toError(response, withoutKey(text, key), context)
  const data = toData(operation.route, response, text, context)
  remember(data, known)
  return { data, response: known }
}

const throughMiddleware = (
  config: Config,
  { name }: Operation,
  { middleware }: Draft,
  context: CallContext,
  request: NarrowRequest,
): Promise<Response> => {
  // Taken out of the config, because browsers refuse to run `fetch` as the method of another object.
  const { fetch = globalThis.fetch } = config
  const run = (
    position: number,
    { url, method, headers, body, signal }: NarrowRequest,
  ): Promise<Response> => {
    const layer = middleware[position]
    if (layer) {
      const given = { url, method, headers, body, signal }
      return layer(given, (next) => run(position + 1, next), { operation: name, attempt: context.attempts })
    }
    // Redirects are not followed: the API sends none, and that of an upstream is the caller's to see, not
    // a place to carry this request to.
    const init = { method, headers, body: body ?? null, signal, redirect: 'manual' } as const
    return orConnectionError(fetch(url, init), context)
  }
  return run(0, request)
}

const orConnectionError = async <T>(promise: Promise<T>, context: CallContext): Promise<T> => {
  try {
    return await promise
  } catch (cause) {
    throw new NarrowConnectionError(context, cause)
  }
}

/** Checked here, since the error of `fetch` for a header it cannot send would quote the key. */
const readKey = async ({ apiKey }: Config, { name, route }: Operation): Promise<string> => {
  const key = (typeof apiKey === 'function' ? await apiKey() : (apiKey ?? '')).trim()
  if (key === '' && NEEDS_KEY.test(route.path)) {
    throw new NarrowUsageError('Pass an apiKey or set NARROWAPI_API_KEY', name)
  }
  if (/[^\x21-\x7e]/.test(key)) {
    throw new NarrowUsageError('The API key contains characters that no key contains', name)
  }
  return key
}

/** The management API and the execution of actions. What lies elsewhere, such as health, anybody may read. */
const NEEDS_KEY = /^\/(api|x)\b/

/**
 * Every mutating call has a key, deletes too: when the answer to one is lost, its repetition is told that it
 * worked instead of `not_found`.
 */
const isMutation = ({ method }: Route): boolean => method !== 'GET'

/** 128 random bits. Works outside secure contexts too, where browsers have no `crypto.randomUUID`. */
const newKey = (): string => `sdk-${crypto.getRandomValues(new Uint32Array(4)).join('-')}`
