import type { Request, Response } from 'express'
import { type KeyScope, readIdempotencyKey, type StoredReply } from '../db/idempotency.ts'
import type { KeyHolder } from '../proxy/authority.ts'
import { headerValues } from './context.ts'
import type { AnyReply } from './reply.ts'

/** What the Idempotency-Key of a change names, or null when it has none. */
export const keyScope = (req: Request, key: KeyHolder): KeyScope | null => {
  const text = readIdempotencyKey(headerValues(req, 'idempotency-key'))
  return text === null
    ? null
    : { workspaceId: key.workspaceId, credentialId: key.id, method: req.method, path: req.path, key: text }
}

const kept = ['etag', 'location']

/** What of a reply is told again. */
export const keep = (res: Response, { status, body }: AnyReply): StoredReply => ({
  status,
  headers: kept.flatMap((name): [string, string][] => {
    const value = res.getHeader(name)
    return typeof value === 'string' ? [[name, value]] : []
  }),
  body: body === undefined ? null : JSON.stringify(body),
})

export const replay = (res: Response, { status, headers, body }: StoredReply): AnyReply => {
  for (const [name, value] of headers) res.setHeader(name, value)
  res.setHeader('Idempotent-Replayed', 'true')
  return { status, body: body === null ? undefined : JSON.parse(body) }
}
