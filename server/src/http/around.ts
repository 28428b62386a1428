import { createHash } from 'node:crypto'
import type { AuditAction, ContractRoute } from '@narrowapi/contract'
import type { Request } from 'express'
import type { Change } from '../changes.ts'
import { type AuditTarget, appendAudit } from '../db/audit.ts'
import { claimKey, storeReply } from '../db/idempotency.ts'
import { page } from '../db/keyset.ts'
import { type Sql, sqlState } from '../db/sql.ts'
import { changeWorkspace, readWorkspace } from '../db/transaction.ts'
import type { Deps } from '../deps.ts'
import { ApiError } from '../errors.ts'
import type { KeyHolder } from '../proxy/authority.ts'
import { contextOf, headerValues } from './context.ts'
import type { Ctx, OpenCtx, TokenCtx } from './handlers.ts'
import { keep, keyScope, replay } from './replay.ts'
import { type AnyInput, type AnyReply, finish, memberOf } from './reply.ts'

/** A handler as the router sees it. Which parts of the context it may use, its own type has said. */
type AnyHandler = (input: AnyInput, ctx: Ctx & TokenCtx & OpenCtx) => Promise<AnyReply>

/** What a handler tells of a change, for its audit event. */
type Notes = { changes: Change[]; targets: AuditTarget[]; isSkipped: boolean }

const emptyNotes = (): Notes => ({ changes: [], targets: [], isSkipped: false })

type Served = { deps: Deps; noun: string; name: string; route: ContractRoute; handler: AnyHandler }

/**
 * What happens around every handler, after validation: the transaction and its workspace, the idempotency key,
 * the check of the reply against the contract, the audit event. All of it commits together or not at all.
 */
export const around = (deps: Deps, noun: string, name: string, route: ContractRoute, handler: AnyHandler) => {
  const served = { deps, noun, name, route, handler }
  if ((route.metadata.auth ?? 'key') !== 'key') return (input: AnyInput) => answerHolder(served, input)
  return route.method === 'GET'
    ? (input: AnyInput) => answerRead(served, input)
    : (input: AnyInput) => answerChange(served, input)
}

/** The token holder's surface and the open routes: their handlers read what they need by themselves. */
const answerHolder = async ({ deps, route, handler }: Served, input: AnyInput): Promise<AnyReply> => {
  const { token } = contextOf(input.req)
  // Handlers of open routes read nothing but deps; those of token routes are behind `authenticate`.
  const ctx = { deps, clock: deps.clock, holder: token } as Ctx & TokenCtx & OpenCtx
  return finish(deps, route, input, await handler(input, ctx))
}

const answerRead = async (served: Served, input: AnyInput): Promise<AnyReply> => {
  const { deps, route } = served
  const key = keyOf(input)
  const reply = await readWorkspace(deps.app, key.workspaceId, (sql) =>
    handle(served, input, key, sql, emptyNotes()),
  )
  return finish(deps, route, input, reply)
}

const answerChange = async (served: Served, input: AnyInput): Promise<AnyReply> => {
  const { deps, route } = served
  const { audit } = route.metadata
  const key = keyOf(input)
  const scope = keyScope(input.req, key)
  const changed = changeWorkspace(deps.app, key.workspaceId, async (sql) => {
    const now = deps.clock.now()
    const fingerprint = createHash('sha256').update(contextOf(input.req).rawBody).digest('hex')
    const stored = scope && (await claimKey(sql, scope, fingerprint, now))
    if (stored) return replay(input.res, deps.replies.open(scope, stored))
    const notes = emptyNotes()
    const done = finish(deps, route, input, await handle(served, input, key, sql, notes))
    if (audit && !notes.isSkipped) await recordChange(deps, sql, key, { audit, input, done, notes })
    if (scope) await storeReply(sql, scope, fingerprint, deps.replies.seal(scope, keep(input.res, done)), now)
    return done
  })
  const reply = await changed.catch((error: unknown) => refuseUnstorable(deps, input, error))
  // The notification comes a moment later; whoever made the change sees it at once on this server. What is new was
  // not remembered before, so it makes nothing stale.
  if (audit && !audit.endsWith('.created')) deps.expire()
  return reply
}

/**
 * What no check before caught and the database still refuses: a value it cannot hold (class 22) or that breaks a
 * rule of the data (class 23), of this request or of one at the same moment. Nothing was changed; that it came so
 * far is a gap in our checks, so the operator is told.
 */
const refuseUnstorable = ({ log }: Deps, { req }: AnyInput, error: unknown): never => {
  if (!/^2[23]/.test(sqlState(error) ?? '')) throw error
  log.error({ error, request_id: contextOf(req).requestId }, 'the database refused a value')
  throw new ApiError('validation_failed', 'A value of this request cannot be stored; change it', {
    cause: error,
  })
}

const keyOf = ({ req }: AnyInput): KeyHolder => {
  const { key } = contextOf(req)
  if (!key) throw new Error('A key route ran without a key')
  return key
}

const handle = (
  { deps, noun, name, handler }: Served,
  input: AnyInput,
  key: KeyHolder,
  sql: Sql,
  notes: Notes,
): Promise<AnyReply> => {
  const ctx: Ctx = {
    sql,
    actor: key,
    clock: deps.clock,
    ids: deps.ids,
    deps,
    ifVersion: readIfMatch(input.req),
    note: (changes) => notes.changes.push(...changes),
    touch: (targets) => notes.targets.push(...targets),
    skipRecord: () => {
      notes.isSkipped = true
    },
    page: (query, find) =>
      page(deps.cursors, { workspaceId: key.workspaceId, list: listName(noun, name, input) }, query, find),
  }
  // Key routes get no holder, and their handlers' type has none.
  return handler(input, ctx as Ctx & TokenCtx & OpenCtx)
}

/** Fails closed: a change that leaves no record is not made. The transaction ends with this. */
const recordChange = async (
  deps: Deps,
  sql: Sql,
  key: KeyHolder,
  change: { audit: AuditAction; input: AnyInput; done: AnyReply; notes: Notes },
): Promise<void> => {
  const { audit, input, done, notes } = change
  const { ip, userAgent, requestId } = contextOf(input.req)
  const entry = {
    action: audit,
    outcome: 'success' as const,
    actor: { type: 'api_key' as const, id: key.id, name: key.name },
    targets: [...targetsOf(audit, input, done), ...notes.targets],
    changes: notes.changes,
    context: { ip, user_agent: userAgent, request_id: requestId },
  }
  const place = { nextId: () => deps.ids.next('aud'), now: () => deps.clock.now() }
  try {
    await appendAudit(sql, key.workspaceId, entry, place)
  } catch (cause) {
    throw new ApiError('unavailable', 'The change could not be recorded, so it was not made; try again', {
      retry_after_seconds: 1,
      cause,
    })
  }
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
