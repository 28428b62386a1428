import { createHash } from 'node:crypto'
import type { ContractRoute } from '@narrowapi/contract'
import type { Request, Response } from 'express'
import type { z } from 'zod'
import type { Change } from '../changes.ts'
import { type AuditTarget, appendAudit } from '../db/audit.ts'
import {
  claimKey,
  type KeyScope,
  readIdempotencyKey,
  type StoredReply,
  storeReply,
} from '../db/idempotency.ts'
import { page } from '../db/keyset.ts'
import type { Sql } from '../db/sql.ts'
import { changeWorkspace, readWorkspace } from '../db/transaction.ts'
import type { Deps } from '../deps.ts'
import { ApiError } from '../errors.ts'
import type { KeyHolder } from '../proxy/authority.ts'
import { contextOf, headerValues, type RequestContext } from './context.ts'
import type { Ctx, OpenCtx, TokenCtx } from './handlers.ts'
import { locationOf } from './location.ts'

type AnyReply = { status: number; body: unknown }
type AnyInput = { params: unknown; query: unknown; body: unknown; req: Request; res: Response }
type AnyHandler = (input: AnyInput, ctx: Ctx & TokenCtx & OpenCtx) => Promise<AnyReply>

/**
 * What happens around every handler, after validation: the transaction and its workspace, the idempotency key,
 * the check of the reply against the contract, the audit event. All of it commits together or not at all.
 */
export const around = (deps: Deps, noun: string, name: string, route: ContractRoute, handler: AnyHandler) => {
  const { auth = 'key', audit } = route.metadata
  const isChange = route.method !== 'GET'
  const finish = (input: AnyInput, reply: AnyReply): AnyReply => finished(deps, route, input, reply)

  return async (input: AnyInput): Promise<AnyReply> => {
    const context = contextOf(input.req)
    if (auth !== 'key') {
      const { token } = context
      // Handlers of open routes read nothing but deps; those of token routes are behind `authenticate`.
      return finish(
        input,
        await handler(input, { deps, clock: deps.clock, holder: token } as Ctx & TokenCtx & OpenCtx),
      )
    }
    const { key } = context
    if (!key) throw new Error('A key route ran without a key')
    const changes: Change[] = []
    const ctxFor = (sql: Sql): Ctx => ({
      sql,
      actor: key,
      clock: deps.clock,
      ids: deps.ids,
      deps,
      ifVersion: readIfMatch(input.req),
      note: (noted) => changes.push(...noted),
      page: (query, find) =>
        page(deps.cursors, { workspaceId: key.workspaceId, list: listName(noun, name, input) }, query, find),
    })
    // Key routes get no holder, and their handlers' type has none.
    const handle = (sql: Sql) => handler(input, ctxFor(sql) as Ctx & TokenCtx & OpenCtx)
    if (!isChange) {
      const reply = await readWorkspace(deps.app, key.workspaceId, handle)
      return finish(input, reply)
    }
    const scope = keyScope(input.req, key)
    const reply = await changeWorkspace(deps.app, key.workspaceId, async (sql) => {
      const now = deps.clock.now()
      const fingerprint = createHash('sha256').update(context.rawBody).digest('hex')
      const stored = scope && (await claimKey(sql, scope, fingerprint, now))
      if (stored) {
        return replay(input.res, deps.replies.open(scope, stored))
      }
      const done = finish(input, await handle(sql))
      if (audit) {
        await appendAudit(
          sql,
          key.workspaceId,
          {
            action: audit,
            outcome: 'success',
            actor: { type: 'api_key', id: key.id, name: key.name },
            targets: targetsOf(audit, input, done),
            changes,
            context: auditContext(context),
          },
          { nextId: () => deps.ids.next('aud'), now: () => deps.clock.now() },
        ).catch(refuseUnrecorded)
      }
      if (scope)
        await storeReply(sql, scope, fingerprint, deps.replies.seal(scope, keep(input.res, done)), now)
      return done
    })
    // The notification comes a moment later; whoever made the change sees it at once on this server.
    if (audit) deps.expire()
    return reply
  }
}

export const auditContext = ({ ip, userAgent, requestId }: RequestContext) => ({
  ip,
  user_agent: userAgent,
  request_id: requestId,
})

/** Fails closed: a change that leaves no record is not made. The transaction ends with this. */
const refuseUnrecorded = (cause: unknown): never => {
  throw new ApiError('unavailable', 'The change could not be recorded, so it was not made; try again', {
    retry_after_seconds: 1,
    cause,
  })
}

/** Checks a reply and sets the headers that follow from it. */
const finished = (
  deps: Deps,
  route: ContractRoute,
  { req, res, query }: AnyInput,
  reply: AnyReply,
): AnyReply => {
  const { status } = reply
  if (reply.body === undefined) return reply
  const body = deps.config.checkReplies ? checkReply(route, status, reply.body) : reply.body
  const version = memberOf(body, 'version')
  if (route.metadata.versioned && typeof version === 'number') res.setHeader('ETag', `"${version}"`)
  const location = status === 201 ? locationOf(body) : null
  if (location) res.setHeader('Location', location)
  const next = memberOf(body, 'next_cursor')
  if (typeof next === 'string') res.appendHeader('Link', `<${nextPage(req, next)}>; rel="next"`)
  return { status, body: project(body, fieldsOf(query)) }
}

/** A reply that breaks the contract is our fault, and never leaves: it might show what nobody may see. */
const checkReply = (route: ContractRoute, status: number, body: unknown): unknown => {
  // Success responses of the contract are Zod schemas; `c.noBody()` never comes here.
  const schema = route.responses[status] as z.ZodType | undefined
  if (!schema) throw new Error(`The contract has no reply ${status} for ${route.method} ${route.path}`)
  const checked = schema.safeParse(body)
  if (checked.success) return checked.data
  throw new Error(`The reply of ${route.method} ${route.path} does not fit the contract`, {
    cause: checked.error,
  })
}

const keyScope = (req: Request, key: KeyHolder): KeyScope | null => {
  const text = readIdempotencyKey(headerValues(req, 'idempotency-key'))
  return text === null
    ? null
    : { workspaceId: key.workspaceId, credentialId: key.id, method: req.method, path: req.path, key: text }
}

const kept = ['etag', 'location']

const keep = (res: Response, { status, body }: AnyReply): StoredReply => ({
  status,
  headers: kept.flatMap((name): [string, string][] => {
    const value = res.getHeader(name)
    return typeof value === 'string' ? [[name, value]] : []
  }),
  body: body === undefined ? null : JSON.stringify(body),
})

const replay = (res: Response, { status, headers, body }: StoredReply): AnyReply => {
  for (const [name, value] of headers) res.setHeader(name, value)
  res.setHeader('Idempotent-Replayed', 'true')
  return { status, body: body === null ? undefined : JSON.parse(body) }
}

/** The version a caller says it has read. `*` matches whatever there is (RFC 9110, section 13.1.1). */
const readIfMatch = (req: Request): number | null => {
  const [text] = headerValues(req, 'if-match')
  if (text === undefined || text === '*') return null
  const version = /^(?:W\/)?"(\d{1,9})"$/.exec(text)?.[1]
  if (version === undefined)
    throw new ApiError('invalid_request', 'If-Match must be an ETag of this object, such as "3"')
  return Number(version)
}

/** What the audit names: the object of the reply, or the one in the path; both when they differ in kind. */
const targetsOf = (audit: string, { params }: AnyInput, { body }: AnyReply): AuditTarget[] => {
  const [object, id] = [memberOf(body, 'object'), memberOf(body, 'id')]
  const made = typeof object === 'string' && typeof id === 'string' ? [{ type: object, id }] : []
  const inPath = memberOf(params, 'id')
  if (typeof inPath !== 'string' || inPath === id) return made
  const named = { type: inPath.startsWith('act_') ? 'action' : (audit.split('.')[0] ?? ''), id: inPath }
  return [...made, named]
}

/** Nested lists are lists of their own: a cursor of one parent's list is not one of another's. */
const listName = (noun: string, name: string, { params }: AnyInput): string =>
  `${noun}.${name}:${String(memberOf(params, 'id') ?? '')}`

const nextPage = (req: Request, cursor: string): string => {
  const parameters = new URLSearchParams(req.originalUrl.split('?', 2)[1] ?? '')
  parameters.set('cursor', cursor)
  return `${req.path}?${parameters}`
}

const fieldsOf = (query: unknown): ReadonlySet<string> | null => {
  const fields = memberOf(query, 'fields')
  return typeof fields === 'string' ? new Set(['id', 'object', ...fields.split(',')]) : null
}

const project = (body: unknown, fields: ReadonlySet<string> | null): unknown => {
  if (!fields || typeof body !== 'object' || body === null) return body
  const data = memberOf(body, 'data')
  if (Array.isArray(data)) return { ...body, data: data.map((item) => project(item, fields)) }
  return Object.fromEntries(Object.entries(body).filter(([name]) => fields.has(name)))
}

const memberOf = (value: unknown, name: string): unknown =>
  typeof value === 'object' && value !== null && Object.hasOwn(value, name)
    ? Reflect.get(value, name)
    : undefined
