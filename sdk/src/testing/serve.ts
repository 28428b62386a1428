import { authenticate, checkScope } from './actor.ts'
import { apiError, MockApiError, notFound, toProblem } from './api-error.ts'
import { execute } from './execute.ts'
import { type Incoming, readBody, readIdempotencyKey, readIfMatch, readQuery } from './incoming.ts'
import { countRequest, keyLimit, unknownLimit, workspaceLimit } from './limits.ts'
import { findOperation, type OperationName, rowOf } from './operations.ts'
import type { Override } from './override.ts'
import { once } from './replies.ts'
import { completed, toResponse, withHeaders } from './reply.ts'
import { contextOf, record } from './rules/audit.ts'
import type { Actor, Target } from './rules/call.ts'
import { ruleFor } from './rules/index.ts'
import { isObject } from './schema.ts'
import type { Change, State } from './state.ts'

export interface ServeOptions {
  /** What to refuse with, once the caller is known and counted. */
  readonly refusal: MockApiError | null
  /** The override of this request, taken when its turn has come; undefined where there is none. */
  readonly takeOverride: (name: OperationName) => Override | undefined
}

/** One request in the order of the real server: who asks, how often, may they, what do they say, do it. */
export const serve = async (state: State, incoming: Incoming, options: ServeOptions): Promise<Response> => {
  const given = incoming.headers.get('x-request-id') ?? ''
  const requestId = /^[A-Za-z0-9_-]{1,64}$/.test(given) ? given : state.nextId('req')
  const headers = new Headers({
    'x-request-id': requestId,
    'cache-control': 'no-store',
    'x-content-type-options': 'nosniff',
    date: state.now().toUTCString(),
  })
  try {
    return await run(state, incoming, headers, options)
  } catch (error) {
    if (!(error instanceof MockApiError)) throw error
    headers.delete('etag')
    headers.set('content-type', 'application/json; charset=utf-8')
    const { status, body } = toProblem(error, requestId, headers)
    return new Response(body, { status, headers })
  }
}

const run = async (
  state: State,
  incoming: Incoming,
  headers: Headers,
  { refusal, takeOverride }: ServeOptions,
): Promise<Response> => {
  const found = findOperation(incoming.method, incoming.path)
  if (Array.isArray(found)) {
    const limited = countRequest(state, [unknownLimit], headers)
    if (limited) throw limited
    if (found.length === 0) throw notFound()
    const allowed = [...new Set([...found, ...(found.includes('GET') ? ['HEAD'] : []), 'OPTIONS'])].sort()
    headers.set('allow', allowed.join(', '))
    if (incoming.method === 'OPTIONS') return new Response(null, { status: 204, headers })
    throw apiError('method_not_allowed', { message: `This path takes ${allowed.join(', ')}` })
  }
  const { name, params } = found
  const row = rowOf(name)
  const actor = authenticate(state, row, incoming.headers, headers)
  if (actor.kind !== 'nobody')
    (actor.kind === 'key' ? actor.key : actor.token).last_used_at = state.timestamp()
  // Runs are counted against more than the workspace, and by themselves.
  if (actor.kind === 'token' && name === 'x.execute' && !refusal) {
    const called = { name: params.action_id ?? '', incoming, headers, takeUpstream: () => takeOverride(name) }
    return execute(state, actor.token, called)
  }
  const limits = actor.kind === 'key' ? [keyLimit(actor.key.id)] : []
  const limited =
    actor.kind === 'nobody' ? null : countRequest(state, [...limits, workspaceLimit(state)], headers)
  if (limited) throw limited
  if (refusal) throw refusal
  checkScope(state, row, actor, incoming.headers, headers)

  const body = readBody(name, incoming)
  const query = readQuery(name, incoming)
  const ifVersion = readIfMatch(incoming)
  const changes: Change[] = []
  const targets: Target[] = []
  const original = async (): Promise<unknown> => {
    const listName = `${name}:${params.id ?? ''}`
    const note = (more: readonly Change[]) => changes.push(...more)
    const touch = (more: readonly Target[]) => targets.push(...more)
    let isSkipped = false
    const skipRecord = () => {
      isSkipped = true
    }
    const asked = { state, actor, params, query, body, ifVersion, listName, note, touch, skipRecord }
    const done = await ruleFor(name)(asked)
    if (row.audit && !isSkipped)
      recordChange(state, row.audit, { actor, params, done, changes, targets, headers, incoming })
    return done
  }
  const answer = async (): Promise<Response> => {
    const override = takeOverride(name)
    const done = override
      ? await override({
          operation: name,
          params,
          query,
          body,
          headers: incoming.headers,
          original: copyOf(original),
        })
      : await original()
    if (done instanceof MockApiError) throw done
    if (done instanceof Response) return withHeaders(done, headers)
    return toResponse(row, override ? completed(row, done) : done, { query, incoming, headers })
  }
  if (actor.kind !== 'key' || row.method === 'GET') return answer()
  const key = readIdempotencyKey(incoming)
  if (key === null) return answer()
  const keyed = [actor.key.id, incoming.method, incoming.path, key].join('\n')
  return once(state, { name: keyed, body: incoming.text }, headers, answer, () => false)
}

/** What an override is shown stays as it is, whatever the override makes of it. */
const copyOf = (original: () => Promise<unknown>) => async () => structuredClone(await original())

interface Recorded {
  readonly actor: Actor
  readonly params: Readonly<Record<string, string>>
  readonly done: unknown
  readonly changes: readonly Change[]
  readonly targets: readonly Target[]
  readonly headers: Headers
  readonly incoming: Incoming
}

const recordChange = (
  state: State,
  audit: string,
  { actor, params, done, changes, targets, headers, incoming }: Recorded,
): void => {
  if (actor.kind !== 'key') return
  const { object, id } = isObject(done) ? done : {}
  const made = typeof object === 'string' && typeof id === 'string' ? [{ type: object, id }] : []
  const inPath =
    params.id === undefined || params.id === id
      ? []
      : [{ type: params.id.startsWith('act_') ? 'action' : (audit.split('.')[0] ?? ''), id: params.id }]
  record(state, {
    action: audit,
    outcome: 'success',
    actor: { type: 'api_key', id: actor.key.id, name: actor.key.name },
    targets: [...made, ...inPath, ...targets],
    changes: [...changes],
    context: contextOf(incoming.headers, headers),
  })
}
