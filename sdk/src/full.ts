import { checkCallOptions, checkClientOptions } from './check.ts'
import { type Client, createHookedClient } from './core.ts'
import { environment } from './environment.ts'
import { usageError } from './error.ts'
import { toExchange } from './exchange.ts'
import { logEvents, toLevel } from './log.ts'
import { toTell, watchAttempts, watchDeprecations, watchFailures, watchRetries } from './observe.ts'
import { needsKey } from './request.ts'
import { publishCalls } from './trace.ts'
import type { ClientOptions } from './types.ts'

/** A client with everything: what `NarrowAPI` is made of, for the functions. */
export const createFullClient = (options: ClientOptions = {}): Client => {
  checkClientOptions(options)
  const {
    apiKey = environment('API_KEY'),
    baseUrl = environment('BASE_URL') ?? 'http://127.0.0.1:3000',
    fetch,
    onEvent,
    log,
    logger,
    middleware = [],
    workspaceId: ownWorkspace,
    ...rest
  } = options
  checkClientOptions({ baseUrl })
  const level = log ?? toLevel(environment('LOG'))
  const write = logEvents(level, logger)
  const tell = toTell(onEvent ? [onEvent, write] : [write])
  const tellFailure = watchFailures(tell)
  // Attempts are told only where somebody wants to know: it costs about as much as the rest of a call.
  const outermost = onEvent || level === 'debug' ? [watchAttempts(tell)] : []
  const client = createHookedClient({
    ...rest,
    apiKey: apiKey ?? '',
    baseUrl: baseUrl.replace(/\/+$/, ''),
    fetch: toExchange({ fetch, middleware: [...outermost, ...middleware] }, watchDeprecations(tell)),
    isTyped: true,
    onRetry: watchRetries(tell),
  })
  const send: Client['send'] = async (operation) => {
    const { name, options } = operation
    try {
      checkCallOptions(options, name)
      if (!apiKey && needsKey(operation.path)) {
        throw usageError('pass an apiKey or set NARROWAPI_API_KEY', name)
      }
      const workspaceId = options?.workspaceId ?? ownWorkspace
      if (workspaceId === undefined) return await client.send(operation)
      const headers = { 'x-workspace-id': workspaceId, ...options?.headers }
      return await client.send({ ...operation, options: { ...options, headers } })
    } catch (error) {
      tellFailure(name, error)
      throw error
    }
  }
  return publishCalls({ send })
}
