import { apiError } from './api-error.ts'
import { countRequest, unknownLimit } from './limits.ts'
import { covers, findKey } from './rules/api-keys.ts'
import { contextOf, recordRefusal } from './rules/audit.ts'
import type { Actor } from './rules/call.ts'
import { findToken } from './rules/tokens.ts'
import type { OperationRow } from './schema.ts'
import type { State } from './state.ts'

/** Who asks. Every refusal has one text, so that nothing can be learned by trying. */
export const authenticate = (
  state: State,
  { auth = 'key' }: OperationRow,
  sent: Headers,
  headers: Headers,
): Actor => {
  if (auth === 'none') return { kind: 'nobody' }
  const actor = findActor(state, auth, sent)
  if (actor) return actor
  noteRefusal(state, sent, headers)
  countRequest(state, [unknownLimit], headers)
  throw apiError('unauthorized', {
    message:
      auth === 'key'
        ? 'Send a valid API key: Authorization: Bearer sk_…'
        : 'Send an execution token that this mock gave out: create or seed one',
  })
}

/** Undefined for a credential that opens nothing, or nothing of this kind. */
export const findActor = (
  state: State,
  auth: OperationRow['auth'] = 'key',
  sent: Headers,
): Actor | undefined => {
  const text = credentialOf(sent)
  if (auth === 'key' && text.startsWith('sk_')) {
    const key = findKey(state, text)
    return key && { kind: 'key', key }
  }
  const held = auth === 'token' ? findToken(state, text) : undefined
  return held && { kind: 'token', ...held }
}

/** Whether a key may do this, and in this workspace. */
export const checkScope = (
  state: State,
  { scope }: OperationRow,
  actor: Actor,
  sent: Headers,
  headers: Headers,
): void => {
  if (actor.kind !== 'key') return
  const { key } = actor
  const named = sent.get('x-workspace-id')
  if (named !== null && named !== state.workspace.id) {
    throw apiError('forbidden', {
      message: 'This key belongs to another workspace than X-Workspace-ID names',
    })
  }
  if (scope === undefined || covers(key.scopes, scope)) return
  const { id, name } = key
  recordRefusal(state, { kind: 'api_key', id, name }, `scope ${scope}`, contextOf(sent, headers))
  throw apiError('forbidden', { message: `This key lacks the scope ${scope}`, required_scope: scope })
}

/** A credential that this mock gave out and that opens nothing any more. */
const noteRefusal = (state: State, sent: Headers, headers: Headers): void => {
  const text = credentialOf(sent)
  const key = state.apiKeys.find((one) => one.text === text)
  const token = state.tokens.find(({ texts }) => texts.some((one) => one.text === text))
  const known = key ?? token
  if (!known) return
  const { id, name, revoked_at } = known
  const who = { kind: key ? 'api_key' : 'token', id, name } as const
  recordRefusal(state, who, revoked_at === null ? 'expired' : 'revoked', contextOf(sent, headers))
}

const credentialOf = (sent: Headers): string =>
  /^bearer +(\S+)$/i.exec(sent.get('authorization') ?? '')?.[1] ?? ''
