import type { Read } from './answer.ts'
import { type Config, merge, type Settings } from './config.ts'
import { NarrowError, usageError } from './error.ts'
import { fillPath, toQuery } from './path.ts'
import { AnsweredCall, remember } from './response.ts'
import { backOffMs } from './retry.ts'
import { STOPPED, within } from './time.ts'
import type { RequestOptions, WithResponse } from './types.ts'

/** A call as its caller meant it: one of these, however many attempts it takes. */
export interface Operation {
  /** For example `actions.create`. */
  readonly name: string
  readonly method: string
  /** A template such as `/api/v1/actions/{id}`, and what fills it. */
  readonly path: string
  readonly params: readonly unknown[]
  /** The query of a GET, the body of anything else. */
  readonly input: object | undefined
  readonly options: RequestOptions | undefined
  readonly read: Read
}

/** Sends an operation until it succeeds, fails for good, or may not be tried again. */
export const send = async (
  config: Config,
  { name, method, path, params, input, options, read }: Operation,
): Promise<WithResponse<unknown>> => {
  const settings: Settings = merge(config, options)
  const { apiKey, fetch = globalThis.fetch, signal, timeout, totalTimeout, maxRetryDelay } = settings
  const deadline = performance.now() + totalTimeout
  let { baseUrl: url } = config
  let body: string | undefined
  const headers: Record<string, string> = { accept: 'application/json' }
  try {
    const json = JSON.stringify(input)
    url += fillPath(path, params)
    if (method === 'GET') url += toQuery(json)
    else body = json
  } catch (cause) {
    // What is in the way of JSON or of a URL is for the caller to change.
    throw usageError((cause as Error)?.message, name, { cause })
  }
  if (body) headers['content-type'] = 'application/json'
  // Deletes have one too: when the answer to one is lost, its repetition is told that it worked instead of
  // `not_found`.
  if (method !== 'GET') headers['idempotency-key'] = settings.idempotencyKey ?? newKey()
  for (const given of [config.headers, options?.headers]) {
    for (const header in given) headers[header.toLowerCase()] = given[header] as string
  }

  for (let attempts = 1; ; attempts++) {
    // As it is sent, which is how the caller's own headers may have it.
    const context = { operation: name, attempts, idempotencyKey: headers['idempotency-key'] }
    const fail = (kind: string, code: string, message: string, facts: object) =>
      new NarrowError(`Narrow${kind}Error`, code, `${name}: ${message}`, { ...context, ...facts })
    const left = deadline - performance.now()

    const attempt = async (signal: AbortSignal) => {
      const key = `${(typeof apiKey === 'function' ? await apiKey() : apiKey) ?? ''}`.trim()
      // What no header can carry, the error of `fetch` would quote.
      if (needsKey(path) && !/^[!-~]+$/.test(key)) throw usageError('needs an apiKey', name)
      const init = {
        method,
        headers: { ...(key && { authorization: `Bearer ${key}` }), ...headers },
        body: body ?? null,
        signal,
        // The API sends none, and that of an upstream is the caller's to see, not a place to carry this to.
        redirect: 'manual',
      } as const
      let response: AnsweredCall
      let text: string
      try {
        const answer = await fetch(url, init, context, settings)
        response = new AnsweredCall(answer, context)
        text = await answer.text()
      } catch (cause) {
        if (config.isTyped) throw cause
        const message = 'the connection failed, see cause'
        throw fail('Connection', 'connection_failed', message, { retryable: true, cause })
      }
      const data = read(response, text, key)
      remember(data, response)
      return { data, response }
    }

    try {
      return await within(Math.min(timeout, left), signal, attempt)
    } catch (reason) {
      let error = reason
      if (reason === STOPPED) {
        const limit = timeout <= left ? 'timeout' : 'totalTimeout'
        const timeoutMs = settings[limit]
        error = fail('Timeout', 'timeout', `no answer in a ${limit} of ${timeoutMs} ms`, {
          retryable: true,
          limit,
          timeoutMs,
        })
      }
      if (!signal?.aborted) {
        if (!(error instanceof NarrowError) || !error.retryable || attempts > settings.retries) throw error
        // A server's wish is kept exactly or, when it is too long, not at all.
        const delayMs = error.retryAfterMs ?? Math.min(backOffMs(attempts), maxRetryDelay)
        if (delayMs > maxRetryDelay || performance.now() + delayMs >= deadline) throw error
        config.onRetry?.(error, delayMs)
        await within(delayMs, signal, () => new Promise(() => {})).catch(() => {})
      }
      if (signal?.aborted) throw fail('Abort', 'aborted', 'aborted', { cause: signal.reason })
    }
  }
}

/** The management API and the execution of actions do. What lies elsewhere, such as health, is for everybody. */
export const needsKey = (path: string): boolean => /^\/(api|x)/.test(path)

/** 128 random bits. Works outside secure contexts too, where browsers have no `crypto.randomUUID`. */
const newKey = (): string => `sdk-${crypto.getRandomValues(Uint32Array.of(0, 0, 0, 0)).join('-')}`
