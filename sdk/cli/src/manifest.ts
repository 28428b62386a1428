import { type Callable, isNarrowError, NarrowAPI, type NarrowError } from '@narrowapi/sdk'
import { Problem } from './problem.ts'
import { isObject } from './reference.ts'
import { isConstraint } from './rules.ts'

export interface Source {
  readonly token: string
  /** Undefined for the one the SDK assumes. */
  readonly baseUrl: string | undefined
}

/** What the token may run, as its server tells it. */
export const fetchCallables = async ({ token, baseUrl }: Source): Promise<readonly Callable[]> => {
  checkToken(token)
  const server = baseUrl ?? 'the default server'
  const manifest: unknown = await new NarrowAPI({
    apiKey: token,
    baseUrl,
    timeout: 15_000,
    totalTimeout: 30_000,
  }).x
    .manifest()
    .catch((error: unknown) => {
      throw isNarrowError(error) ? new Problem(explain(error, server)) : error
    })
  if (!isObject(manifest) || manifest.object !== 'manifest' || !Array.isArray(manifest.callables)) {
    throw new Problem(`What ${server} answers at /x is no manifest: is that the address of NarrowAPI?`)
  }
  if (!manifest.callables.every(isCallable)) {
    throw new Problem(`The manifest of ${server} is not as this version reads it: update @narrowapi/cli`)
  }
  return manifest.callables
}

const checkToken = (token: string): void => {
  if (token === '') {
    throw new Problem('No token: give --token sxt_… or set NARROWAPI_API_KEY to the execution token', 2)
  }
  if (token.startsWith('sk_')) {
    throw new Problem(
      'This is a management key (sk_…). A client is written for an execution token (sxt_…): create one with tokens.create',
      2,
    )
  }
  if (!/^sxt_[!-~]+$/.test(token)) throw new Problem('This is no execution token: one begins with sxt_', 2)
}

/** Checked as far as the rest relies on it: what answers may be anything. */
const isCallable = (value: unknown): value is Callable =>
  isObject(value) &&
  ['id', 'slug', 'name', 'description'].every((field) => typeof value[field] === 'string') &&
  value.id !== '' &&
  isObject(value.input_schema) &&
  value.input_schema.type === 'object' &&
  (value.output_schema === null || isObject(value.output_schema)) &&
  Array.isArray(value.constraints) &&
  value.constraints.every(isConstraint) &&
  Array.isArray(value.examples) &&
  isObject(value.limits) &&
  isObject(value.annotations)

const explain = (error: NarrowError, server: string): string => {
  switch (error.code) {
    case 'unauthorized':
      return `The token is not accepted by ${server}: it may be revoked, expired or of another server`
    case 'paused':
      return 'The workspace of the token is paused: nothing can be called until somebody resumes it'
    case 'connection_failed':
      return `No connection to ${server}${reasonOf(error)}: is it running, and is --base-url right?`
    case 'timeout':
      return `${server} did not answer in time`
    case 'not_found':
    case 'unexpected_response':
      return `What ${server} answers at /x is no manifest: is that the address of NarrowAPI?`
    default:
      return `${error.message} (${error.code})`
  }
}

/** Such as ECONNREFUSED, wherever the runtime has put it. */
const reasonOf = (error: unknown): string => {
  for (let cause = error; cause instanceof Error; cause = cause.cause) {
    if ('code' in cause && typeof cause.code === 'string' && /^[A-Z_]+$/.test(cause.code))
      return ` (${cause.code})`
  }
  return ''
}
