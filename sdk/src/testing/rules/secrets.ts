import type { CreateSecret, Secret, UpdateSecret } from '../../generated/client.ts'
import { apiError } from '../api-error.ts'
import { pageOf } from '../list.ts'
import { blank, getById, remove, type State } from '../state.ts'
import { changesBetween, checkFuture, checkVersion, type Rule } from './call.ts'

export const secrets: Record<string, Rule> = {
  list: ({ state, query, listName }) =>
    pageOf(
      state.secrets.map((secret) => shown(state, secret)),
      query,
      listName,
    ),

  create: ({ state, body }) => {
    const secret = body as unknown as CreateSecret
    checkFuture('expires_at', secret.expires_at, state.timestamp())
    return createSecret(state, secret)
  },

  get: ({ state, params }) => shown(state, getById('secret', state.secrets, params.id)),

  update: ({ state, params, body, note, ifVersion }) => {
    const { value, version, ...rest } = body as UpdateSecret
    checkFuture('expires_at', rest.expires_at, state.timestamp())
    const secret = getById('secret', state.secrets, params.id)
    checkVersion(secret, ifVersion, version)
    const before = shown(state, secret)
    const at = state.timestamp()
    Object.assign(secret, rest, { updated_at: at })
    if (value !== undefined) {
      Object.assign(secret, {
        version: secret.version + 1,
        fingerprint: fingerprintOf(value),
        last_rotated_at: at,
      })
    }
    const after = shown(state, secret)
    note(changesBetween(before, after, ['fingerprint']))
    return after
  },

  delete: ({ state, params, ifVersion }) => {
    const secret = getById('secret', state.secrets, params.id)
    checkVersion(secret, ifVersion)
    const { used_by } = shown(state, secret)
    if (used_by.length > 0) {
      throw apiError('in_use', {
        message: 'Give these actions another secret, or delete them, before deleting this one',
        details: used_by.map((id) => ({ field: 'used_by', message: id })),
      })
    }
    remove(state.secrets, secret)
  },
}

/** The value itself is not kept: nothing of the API ever tells it. */
export const createSecret = (state: State, { value, ...rest }: CreateSecret): Secret => {
  const { used_by: _, status: __, ...empty } = blank<Secret>('Secret')
  const head = state.head('sec')
  const secret = {
    ...empty,
    ...head,
    type: 'generic',
    expires_at: null,
    metadata: {},
    ...rest,
    version: 1,
    fingerprint: fingerprintOf(value),
    last_rotated_at: head.created_at,
  } as Secret
  state.secrets.push(secret)
  return shown(state, secret)
}

const shown = (state: State, secret: Omit<Secret, 'used_by' | 'status'>): Secret => {
  const now = state.timestamp()
  const soon = new Date(state.now().getTime() + 14 * 86_400_000).toISOString()
  const { expires_at } = secret
  const status =
    expires_at === null || expires_at > soon ? 'active' : expires_at > now ? 'expiring' : 'expired'
  const used_by = state.actions.flatMap(({ id, secret_id }) => (secret_id === secret.id ? [id] : []))
  return { ...secret, status, used_by } as Secret
}

/** Tells values apart (FNV-1a, twice); the real one is keyed as well. */
const fingerprintOf = (value: string): string => {
  let [left, right] = [0x811c9dc5, 0x01000193]
  for (const character of value) {
    const code = character.codePointAt(0) ?? 0
    left = Math.imul(left ^ code, 0x01000193) >>> 0
    right = Math.imul(right ^ left, 0x01000193) >>> 0
  }
  return (left.toString(16) + right.toString(16)).padStart(16, '0').slice(0, 16)
}
