import { NarrowError } from './error.ts'
import type { Middleware, NarrowEvent, OnEvent } from './types.ts'

/** Tells all who listen. */
export const toTell =
  (listeners: readonly OnEvent[]): OnEvent =>
  (event: NarrowEvent) => {
    for (const listener of listeners) {
      try {
        listener(event)
      } catch {
        // Whoever watches a call must not be able to break it.
      }
    }
  }

/** Tells of every attempt. */
export const watchAttempts =
  (tell: OnEvent): Middleware =>
  async (request, next, { operation, attempt }) => {
    const startedAt = performance.now()
    tell({ type: 'request', operation, attempt })
    const response = await next(request)
    const durationMs = performance.now() - startedAt
    const requestId = response.headers.get('x-request-id') ?? undefined
    tell({ type: 'response', operation, attempt, status: response.status, durationMs, requestId })
    return response
  }

export const watchRetries = (tell: OnEvent) => (error: NarrowError, delayMs: number) => {
  const { operation, attempts: attempt, code } = error
  tell({ type: 'retry', operation, attempt, delayMs, code })
}

export const watchFailures = (tell: OnEvent) => (operation: string, error: unknown) => {
  const code = error instanceof NarrowError ? error.code : undefined
  tell({ type: 'failure', operation, code, error })
}

export const watchDeprecations = (tell: OnEvent) => (operation: string, headers: Headers) => {
  const [deprecation, sunset] = [headers.get('deprecation'), headers.get('sunset')]
  if (deprecation ?? sunset) {
    // Others, such as that of the next page, hold what was asked for, which is nothing for a log.
    const links = headers
      .get('link')
      ?.split(/,\s*(?=<)/)
      .filter((link) => ABOUT.test(link))
    tell({ type: 'deprecation', operation, deprecation, sunset, link: links?.join(', ') || null })
  }
}

const ABOUT = /^<[^>]*>.*;\s*rel="?[^;"]*\b(deprecation|sunset)\b/i
