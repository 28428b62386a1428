import type { Logger, LogLevel, NarrowEvent, OnEvent } from './types.ts'

/**
 * Writes what happens as lines: with a level, all up to it; without, only that an operation is deprecated. That
 * is written once for each operation, however many clients call it.
 */
export const logEvents =
  (log: LogLevel | undefined, logger: Logger = globalThis.console): OnEvent =>
  (event) => {
    const level = levelOf[event.type]
    const isWanted = log ? levels.indexOf(level) <= levels.indexOf(log) : level === 'warn'
    if (!isWanted || (level === 'warn' && warned.has(event.operation))) return
    if (level === 'warn') warned.add(event.operation)
    logger[level](toLine(event))
  }

/** What else stands in the environment is no level. */
export const toLevel = (text: string | undefined): LogLevel | undefined =>
  levels.find((level) => level === text)

/** From nothing to everything; a level includes those before it. */
export const levels: readonly LogLevel[] = ['off', 'error', 'warn', 'info', 'debug']

const levelOf = {
  failure: 'error',
  deprecation: 'warn',
  retry: 'info',
  request: 'debug',
  response: 'debug',
} as const

const warned = new Set<string>()

/** `narrowapi actions.create retry: attempt=1 delayMs=412 code=unavailable` */
const toLine = ({ type, operation, ...facts }: NarrowEvent): string => {
  const shown = Object.entries(facts).filter(([name, value]) => name !== 'error' && value !== null)
  return `narrowapi ${operation} ${type}: ${shown.map(([name, value]) => `${name}=${value}`).join(' ')}`
}
