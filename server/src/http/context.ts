import type { IncomingMessage as Request, ServerResponse as Response } from 'node:http'
import type { Holder, KeyHolder } from '../proxy/authority.ts'

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
  /** The bytes of the body, for the idempotency fingerprint. */
  rawBody: Buffer
}

const contexts = new WeakMap<Request, RequestContext>()

export const setContext = (req: Request, context: RequestContext): void => {
  contexts.set(req, context)
}

export const contextOf = (req: Request): RequestContext => {
  const context = contexts.get(req)
  if (!context) throw new Error('The request has no context: it did not pass the first step')
  return context
}

export const findContext = (req: Request): RequestContext | undefined => contexts.get(req)

/** Every value of a header, each sent line one value; Node itself keeps only the first of some. */
export const headerValues = (req: Request, name: string): string[] => {
  const values: string[] = []
  for (let index = 0; index < req.rawHeaders.length; index += 2) {
    if (req.rawHeaders[index]?.toLowerCase() === name) values.push(req.rawHeaders[index + 1] ?? '')
  }
  return values
}

export type { Request, Response }
