import { type HttpHandler, HttpResponse, http } from 'msw'
import { ConnectionCut } from './fault.ts'
import { operations } from './generated/operations.ts'
import type { MockNarrowAPI } from './mock.ts'
import type { OperationRow } from './schema.ts'

/** Which requests the handlers take. */
export interface HandlerOptions {
  /** Match this server only. Default: any. */
  readonly baseUrl?: string
}

/**
 * The mock as handlers for msw 3: `setupServer(...handlers(mock))` where the code under test makes its own
 * client, or `getResponse(handlers(mock), request)` without interception.
 */
export const handlers = (mock: MockNarrowAPI, { baseUrl = '*' }: HandlerOptions = {}): HttpHandler[] =>
  Object.values<OperationRow>(operations)
    // `{` comes after every letter: fixed segments are tried before parameters.
    .sort((a, b) => (a.path < b.path ? -1 : 1))
    .map(({ method, path }) => {
      const pattern = `${baseUrl.replace(/\/+$/, '')}${path.replaceAll(/\{(\w+)\}/g, ':$1')}`
      // The table's methods are those of HTTP, and msw has a function for each.
      return http[method.toLowerCase() as 'get'](pattern, ({ request }) => answer(mock, request))
    })

const answer = async (mock: MockNarrowAPI, request: Request): Promise<Response> => {
  try {
    return await mock.fetch(request)
  } catch (error) {
    // msw breaks the connection where a handler answers so.
    if (error instanceof ConnectionCut) return HttpResponse.error()
    throw error
  }
}
