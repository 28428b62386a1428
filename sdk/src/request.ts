import type { Config } from './config.ts'
import {
  type CallContext,
  type ErrorDetail,
  NarrowAbortError,
  NarrowApiError,
  NarrowConnectionError,
  NarrowError,
  NarrowTimeoutError,
  NarrowUsageError,
  UpstreamResponseError,
} from './errors.ts'
import { countParameters, fillPath, toQuery } from './path.ts'
import { CallResponse, remember } from './response.ts'
import { backOffMs, isRetryable, serverWishMs } from './retry.ts'
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
export const send = async (config: Config, operation: Operation): Promise<WithResponse<unknown>> => {
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
      const delayMs = attempt <= retries ? retryDelayMs(error, attempt, maxRetryDelay) : undefined
      const code = error instanceof NarrowError ? error.code : 'unexpected_response'
      if (delayMs === undefined || performance.now() + delayMs >= deadline) {
        config.emit?.({ type: 'failure', operation: name, attempt, code })
        throw error
      }
      config.emit?.({ type: 'retry', operation: name, attempt, delayMs, code })
      await sleep(delayMs, signal, onAbort)
    }
  }
}

/** Undefined when the error must reach the caller now. A server's wish is kept exactly or not at all. */
const retryDelayMs = (error: unknown, attempt: number, maxRetryDelay: number): number | undefined => {
  if (!(error instanceof NarrowError) || !error.retryable) return undefined
  const wish = error instanceof NarrowApiError ? error.retryAfterMs : undefined
  if (wish === undefined) return backOffMs(attempt)
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
  // Every mutating call has a key, deletes too: when the answer to one is lost, the repetition is told that
  // it worked instead of `not_found`.
  const idempotencyKey = route.method === 'GET' ? undefined : (options.idempotencyKey ?? newKey())
  if (idempotencyKey !== undefined) headers['idempotency-key'] = idempotencyKey
  for (const given of [config.headers, options.headers]) {
    for (const key in given) headers[key.toLowerCase()] = given[key] ?? ''
  }
  const query = route.query && input ? toQuery(input) : ''
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
  const key = await readKey(config, operation.name)
  const startedAt = performance.now()
  config.emit?.({ type: 'request', operation: operation.name, attempt })
  const response = await throughMiddleware(config, operation, draft, context, {
    url: draft.url,
    method: operation.route.method,
    headers: { authorization: `Bearer ${key}`, ...draft.headers },
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
  if (!response.ok) throw toError(response, text.replaceAll(key, '[secret]'), context)
  const data = readData(response, text, context)
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
  const run = (position: number, { url, method, headers, body, signal }: NarrowRequest): Promise<Response> => {
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
const readKey = async ({ apiKey }: Config, operation: string): Promise<string> => {
  const key = (typeof apiKey === 'function' ? await apiKey() : apiKey)?.trim()
  if (!key) throw new NarrowUsageError('Pass an apiKey or set NARROWAPI_API_KEY', operation)
  if (/[^\x21-\x7e]/.test(key)) {
    throw new NarrowUsageError('The API key contains characters that no key contains', operation)
  }
  return key
}

const readData = (response: Response, text: string, context: CallContext): unknown => {
  if (text === '') return undefined
  const data = parseJson(text)
  if (data !== undefined) return data
  // An upstream may answer in any text; NarrowAPI itself never does, so then something else answered.
  if (context.operation === EXECUTE) return text
  const message = `The answer to ${context.operation} is not JSON; check that baseUrl is that of NarrowAPI`
  const answer = { status: response.status, headers: response.headers, body: text, retryAfterMs: undefined }
  throw new NarrowApiError('unexpected_response', message, context, {
    ...answer,
    retryable: false,
    details: [],
  })
}

const toError = ({ status, headers }: Response, text: string, context: CallContext): NarrowError => {
  const parsed = parseJson(text)
  const answer = { status, headers, body: parsed ?? text, retryAfterMs: serverWishMs(status, headers) }
  const header = headers.get('x-narrowapi-error')
  // Every refusal of ours carries that header on this route; what does not carry it, the upstream said.
  if (context.operation === EXECUTE && header === null) return new UpstreamResponseError(context, answer)
  const { error, message, details } = (parsed ?? {}) as { error?: unknown; message?: unknown; details?: unknown }
  const code = header ?? (typeof error === 'string' ? error : 'unexpected_response')
  return new NarrowApiError(
    code,
    typeof message === 'string' ? message : `NarrowAPI answered ${context.operation} with ${status}`,
    context,
    {
      ...answer,
      retryable: isRetryable(status, headers, code),
      // The contract's error body: a list of field and message.
      details: Array.isArray(details) ? (details as ErrorDetail[]) : [],
    },
  )
}

/** Undefined, which no JSON text means, when the text is not JSON. */
const parseJson = (text: string): unknown => {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

/** 128 random bits. Works outside secure contexts too, where browsers have no `crypto.randomUUID`. */
const newKey = (): string => `sdk-${crypto.getRandomValues(new Uint32Array(4)).join('-')}`

/** The one operation that is answered by somebody else's API. */
const EXECUTE = 'x.execute'
