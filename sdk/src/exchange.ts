import { checkHeaders, checkKeyKind } from './check.ts'
import type { Exchange } from './config.ts'
import { type CallContext, NarrowError, usageError } from './error.ts'
import type { ClientOptions, NarrowRequest } from './types.ts'

/** One attempt: middleware around `fetch`, and a body that is read no further than allowed. */
export const toExchange = (
  { fetch, middleware = [] }: ClientOptions,
  onAnswer: (operation: string, headers: Headers) => void,
): Exchange => {
  const sendOnce = (request: NarrowRequest, context: CallContext): Promise<Response> => {
    const { url, method, headers, body = null, signal } = request
    const send = fetch ?? globalThis.fetch
    return connected(context, async () => send(url, { method, headers, body, signal, redirect: 'manual' }))
  }
  return async (url, { method, headers, body, signal }, context, settings) => {
    const { operation, attempts: attempt } = context
    checkKeyKind(headers.authorization, operation)
    checkHeaders(headers, operation)
    const layers = settings.middleware ? [...middleware, ...settings.middleware] : middleware
    const run = async (position: number, request: NarrowRequest): Promise<Response> => {
      const layer = layers[position]
      const next = (changed = request) => run(position + 1, changed)
      const response = await (layer
        ? layer(request, next, { operation, attempt })
        : sendOnce(request, context))
      if (response?.headers && !response.bodyUsed) return response
      throw usageError(
        'middleware and fetch must give a Response with its body unread, such as a clone',
        operation,
      )
    }
    const response = await run(0, { url, method, headers, body: body ?? undefined, signal })
    onAnswer(operation, response.headers)
    return {
      status: response.status,
      headers: response.headers,
      async text() {
        const { maxResponseBytes = 67_108_864 } = settings
        const text = await connected(context, () => readText(response, maxResponseBytes))
        if (text !== undefined) return text
        const message = `${operation}: the answer is larger than the maxResponseBytes of ${maxResponseBytes}`
        const facts = { ...context, status: response.status }
        throw new NarrowError('NarrowResponseError', 'response_too_large', message, facts)
      },
    }
  }
}

/** The body as text; undefined when it is larger than `maxBytes`, and then no more of it is read. */
const readText = async (response: Response, maxBytes: number): Promise<string | undefined> => {
  const { headers } = response
  const length = headers.get('content-length')
  // HTTP itself keeps an answer to the length it states, unless that is the length of a compressed one.
  const isExact = length !== null && !headers.has('content-encoding')
  if (isExact && Number(length) <= maxBytes) return response.text()
  const reader = response.body?.getReader()
  if (!reader) return response.text()
  const decoder = new TextDecoder()
  let text = ''
  for (let bytes = isExact ? Number(length) : 0; bytes <= maxBytes; ) {
    const { done, value } = await reader.read()
    text += decoder.decode(value, { stream: !done })
    if (done) return text
    bytes += value.length
  }
  // Not waited for: it only frees the connection, and a stream of the caller's may never come to an end.
  reader.cancel().catch(() => {})
  return undefined
}

const connected = async <T>(context: CallContext, work: () => Promise<T>): Promise<T> => {
  try {
    return await work()
  } catch (cause) {
    const message = `${context.operation}: the connection failed, see cause`
    const facts = { ...context, retryable: true, cause }
    throw new NarrowError('NarrowConnectionError', 'connection_failed', message, facts)
  }
}
