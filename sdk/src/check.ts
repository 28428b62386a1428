import { usageError } from './error.ts'
import { levels } from './log.ts'
import type { ClientOptions, RequestOptions, SharedOptions } from './types.ts'

/** What an option must be, and whether a value is it. Values are never quoted: a key may be among them. */
type Check = readonly [wanted: string, is: (value: unknown) => boolean]

type Checks<Options> = { readonly [name in keyof Options]-?: Check }

const number: Check = ['a number from 0', (value) => typeof value === 'number' && value >= 0]
const text: Check = ['text', (value) => typeof value === 'string']
const isFunction = (value: unknown) => typeof value === 'function'
const isObject = (value: unknown) => typeof value === 'object' && value !== null

const shared: Checks<SharedOptions> = {
  timeout: number,
  totalTimeout: number,
  retries: number,
  maxRetryDelay: number,
  maxResponseBytes: number,
  headers: ['an object of texts', (value) => isObject(value) && !(Symbol.iterator in Object(value))],
  workspaceId: text,
  middleware: ['a list of functions', (value) => Array.isArray(value) && value.every(isFunction)],
}

const ofCall: Checks<Omit<RequestOptions, keyof SharedOptions>> = {
  signal: ['an AbortSignal', (value) => isFunction(Object(value).addEventListener)],
  idempotencyKey: text,
  prefetch: ['true or false', (value) => typeof value === 'boolean'],
}

const ofClient: Checks<Omit<ClientOptions, keyof SharedOptions>> = {
  apiKey: ['text or a function', (value) => typeof value === 'string' || isFunction(value)],
  baseUrl: [
    'like https://host/path, with no credentials and no query',
    (value) => /^https?:\/\/[^\s?#@]+$/.test(`${value}`) && URL.canParse(`${value}`),
  ],
  fetch: ['a function', isFunction],
  onEvent: ['a function', isFunction],
  log: ['off, error, warn, info or debug', (value) => levels.some((level) => level === value)],
  logger: ['an object like console', isObject],
}

export const checkClientOptions = (options: ClientOptions): void => checkAll(options, ofClient, 'NarrowAPI')

export const checkCallOptions = (options: RequestOptions = {}, operation: string): void =>
  checkAll(options, ofCall, operation)

const checkAll = (options: object, own: Readonly<Record<string, Check>>, operation: string): void => {
  if (!isObject(options)) throw usageError('options must be an object', operation)
  // Joined in here: outside of functions bundlers keep a spread, also for those who import no check.
  const checks: Readonly<Record<string, Check>> = { ...shared, ...own }
  for (const [name, value] of Object.entries(options)) {
    if (!Object.hasOwn(checks, name)) {
      throw usageError(`there is no option "${name}"; there are ${Object.keys(checks).join(', ')}`, operation)
    }
    const [wanted, is] = checks[name] ?? text
    // Undefined is an option that somebody who passes options on was not given.
    if (value !== undefined && !is(value)) throw usageError(`${name} must be ${wanted}`, operation)
  }
}

/** Checked here, since the error of `fetch` for a header it cannot send quotes it. */
export const checkHeaders = (headers: Readonly<Record<string, string>>, operation: string): void => {
  for (const name in headers) {
    if (!/^[\w!#$%&'*+.^`|~-]+:[\t -~\x80-\xff]*$/.test(`${name}:${headers[name]}`)) {
      throw usageError(`the header "${name}" has characters that no header can have`, operation)
    }
  }
}

/** The management API takes keys and the execution of actions takes tokens; neither takes the other. */
export const checkKeyKind = (authorization = '', operation: string): void => {
  const [wanted, other] = operation.startsWith('x.') ? ['sxt_', 'sk_'] : ['sk_', 'sxt_']
  if (authorization.startsWith(`Bearer ${other}`)) {
    throw usageError(
      `needs an apiKey that starts with ${wanted}, and this one starts with ${other}`,
      operation,
    )
  }
}
