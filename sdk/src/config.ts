import type { ClientOptions, Credential, LogLevel, Middleware, NarrowEvent } from './types.ts'

/** A client's options with every default filled in. */
export interface Config {
  readonly apiKey: Credential | undefined
  readonly baseUrl: string
  readonly timeout: number
  readonly totalTimeout: number
  readonly retries: number
  readonly maxRetryDelay: number
  readonly headers: Readonly<Record<string, string>> | undefined
  readonly workspaceId: string | undefined
  readonly middleware: readonly Middleware[]
  readonly fetch: typeof fetch | undefined
  /** Undefined when nobody listens, so that an unobserved call makes no events. */
  readonly emit: ((event: NarrowEvent) => void) | undefined
}

export const toConfig = (options: ClientOptions): Config => ({
  apiKey: options.apiKey ?? environment('API_KEY'),
  baseUrl: (options.baseUrl ?? environment('BASE_URL') ?? 'http://127.0.0.1:3000').replace(/\/+$/, ''),
  timeout: options.timeout ?? 60_000,
  totalTimeout: options.totalTimeout ?? Number.POSITIVE_INFINITY,
  retries: options.retries ?? 2,
  maxRetryDelay: options.maxRetryDelay ?? 30_000,
  headers: options.headers,
  workspaceId: options.workspaceId,
  middleware: options.middleware ?? [],
  fetch: options.fetch,
  emit: toEmit(options),
})

/** Browsers and some workers have no environment; Deno throws when the program may not read it. */
const environment = (name: string): string | undefined => {
  try {
    return globalThis.process?.env?.[`NARROWAPI_${name}`] || undefined
  } catch {
    return undefined
  }
}

const toEmit = (options: ClientOptions): Config['emit'] => {
  const { onEvent, logger = globalThis.console } = options
  const chosen = LEVELS.indexOf((options.log ?? environment('LOG') ?? 'off') as LogLevel)
  if (!onEvent && chosen <= 0) return undefined
  return (event) => {
    try {
      const level = levelOf(event)
      if (LEVELS.indexOf(level) <= chosen) logger[level](toLine(event))
      onEvent?.(event)
    } catch {
      // Whoever watches a call must not be able to break it.
    }
  }
}

/** From nothing to everything; a level includes those before it. */
const LEVELS: readonly LogLevel[] = ['off', 'error', 'info', 'debug']

const levelOf = ({ type }: NarrowEvent) =>
  type === 'failure' ? 'error' : type === 'retry' ? 'info' : 'debug'

/** `narrowapi actions.create retry: attempt=1 delayMs=412 code=unavailable` */
const toLine = ({ type, operation, ...facts }: NarrowEvent): string => {
  const shown = Object.entries(facts).filter(([name]) => name !== 'error')
  return `narrowapi ${operation} ${type}: ${shown.map(([name, value]) => `${name}=${value}`).join(' ')}`
}
