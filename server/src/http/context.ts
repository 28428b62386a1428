import type { IncomingMessage as Request, ServerResponse as Response } from 'node:http'
import type { Holder, KeyHolder } from '../proxy/authority.ts'
import type { Trace } from '../trace.ts'

/** What is known of a request while it is served. The steps fill it in, in their order. */
export type RequestContext = {
  requestId: string
  /** Address of the peer, without the prefix of mapped IPv4. Forwarding headers are not believed. */
  ip: string
  userAgent: string | null
  startedAt: number
  /** Who opened it: an API key, a token, or (with the open routes) nobody. */
  key: KeyHolder | null
  token: Holder | null
  /** Known once somebody has asked for it: `requestTrace`. */
  trace: Trace | null
  /** The bytes of the body, for the idempotency fingerprint. */
  rawBody: Buffer
  /** Headers that every answer to this request has, names and values in turn. */
  head: string[]
}

/** A member of the request itself: a WeakMap would make every collection of garbage walk all open requests. */
const context = Symbol('context')

type WithContext = Request & { [context]?: RequestContext }

export const setContext = (req: WithContext, known: RequestContext): void => {
  req[context] = known
}

export const contextOf = (req: Request): RequestContext => {
  const known = findContext(req)
  if (!known) throw new Error('The request has no context: it did not pass the first step')
  return known
}

export const findContext = (req: WithContext): RequestContext | undefined => req[context]

/** Every value of a header, each sent line one value; Node itself keeps only the first of some. */
export const headerValues = (req: Request, name: string): string[] => {
  const values: string[] = []
  for (let index = 0; index < req.rawHeaders.length; index += 2) {
    if (req.rawHeaders[index]?.toLowerCase() === name) values.push(req.rawHeaders[index + 1] ?? '')
  }
  return values
}

export type { Request, Response }
