import type { ApiKey, CreateApiKey, CreatedApiKey } from '../../generated/client.ts'
import { apiError } from '../api-error.ts'
import { operations } from '../generated/operations.ts'
import { pageOf } from '../list.ts'
import type { OperationRow } from '../schema.ts'
import { blank, describeCredential, getById, type State, type StoredKey } from '../state.ts'
import { checkFuture, keyOf, type Rule } from './call.ts'

export const apiKeys: Record<string, Rule> = {
  list: ({ state, query, listName }) =>
    pageOf(
      state.apiKeys
        .map((key) => shown(state, key))
        .filter(({ status }) => query.status !== undefined || status !== 'revoked'),
      query,
      listName,
    ),

  create: (call) => createKey(call.state, call.body as unknown as CreateApiKey, keyOf(call)),

  get: ({ state, params }) => shown(state, getById('API key', state.apiKeys, params.id)),

  delete: ({ state, params, skipRecord }) => {
    const key = getById('API key', state.apiKeys, params.id)
    checkNotLastKeyMaker(state, key)
    if (key.revoked_at !== null) return skipRecord()
    key.revoked_at = state.timestamp()
    key.updated_at = key.revoked_at
  },
}

/** A key that ends earlier is no replacement: it can make none that lasts longer. */
const checkNotLastKeyMaker = (state: State, key: StoredKey): void => {
  const others = state.apiKeys.filter((one) => one !== key && makesKeys(state, one))
  const lastsAsLong = ({ expires_at }: StoredKey) =>
    expires_at === null || (key.expires_at !== null && expires_at >= key.expires_at)
  if (!makesKeys(state, key) || others.some(lastsAsLong)) return
  throw apiError('in_use', {
    message:
      others.length === 0
        ? 'This is the last key that can create keys: create another one first'
        : 'Other keys that can create keys end before this one: create one first that lasts as long',
  })
}

const makesKeys = (state: State, key: StoredKey): boolean =>
  shown(state, key).status === 'active' &&
  covers(key.scopes, 'api-keys:write') &&
  key.allowed_ips?.length !== 0

/** Without a maker it is the owner's, which may do everything. */
export const createKey = (
  state: State,
  { scopes, ...rest }: CreateApiKey,
  maker: StoredKey | null,
  text = state.nextCredential('sk'),
): CreatedApiKey => {
  checkFuture('expires_at', rest.expires_at, state.timestamp())
  const key = {
    ...blank<ApiKey>('ApiKey'),
    ...state.head('key'),
    ...rest,
    ...describeCredential(text),
    scopes: maker ? grantedScopes(maker.scopes, scopes) : (scopes ?? ['*']),
    expires_at: maker ? grantedExpiry(maker, rest.expires_at ?? null) : (rest.expires_at ?? null),
    allowed_ips: rest.allowed_ips ?? maker?.allowed_ips ?? null,
    created_by: maker?.id ?? null,
    text,
  } as StoredKey
  state.apiKeys.push(key)
  return { ...shown(state, key), key: text } as CreatedApiKey
}

/** Nothing its maker lacks; without a wish the default, narrowed to what the maker has. */
const grantedScopes = (own: readonly string[], wanted: readonly string[] | undefined): string[] => {
  const defaults = ['read', 'write']
  const isShorthand = (scope: string) => !scope.includes(':')
  const isMine = (scope: string) =>
    own.includes('*') || own.includes(scope) || (!isShorthand(scope) && covers(own, scope))
  if (wanted === undefined) {
    return defaults.every(isMine) ? defaults : expanded(defaults).filter((scope) => covers(own, scope))
  }
  const excess = wanted.find((scope) => !isMine(scope))
  if (excess === undefined) return [...new Set(wanted)]
  throw apiError('forbidden', {
    message: `A key cannot be wider than the key that makes it: yours lacks ${excess}`,
    required_scope: excess,
  })
}

const grantedExpiry = (maker: ApiKey, wanted: string | null): string | null => {
  if (maker.expires_at !== null && wanted !== null && wanted > maker.expires_at) {
    throw apiError('forbidden', {
      message: `A key cannot outlive the key that makes it: yours ends at ${maker.expires_at}`,
    })
  }
  return wanted ?? maker.expires_at
}

/** Every scope that some operation asks for. */
const allScopes = [
  ...new Set(Object.values<OperationRow>(operations).flatMap(({ scope }) => (scope ? [scope] : []))),
]

const expanded = (granted: readonly string[]): string[] => allScopes.filter((scope) => covers(granted, scope))

/** `read` stands for every read, `write` for what changes anything, `*` for all. */
export const covers = (granted: readonly string[], scope: string): boolean => {
  const isRead = scope.endsWith(':read')
  return granted.some(
    (one) => one === '*' || one === scope || (one === 'read' ? isRead : one === 'write' && !isRead),
  )
}

export const shown = (state: State, { text: _, ...key }: StoredKey): ApiKey => {
  const isExpired = key.expires_at !== null && key.expires_at <= state.timestamp()
  return { ...key, status: key.revoked_at !== null ? 'revoked' : isExpired ? 'expired' : 'active' }
}

/** The key that a text opens now. A text this mock never gave out opens what the owner's key does. */
export const findKey = (state: State, text: string): StoredKey | undefined => {
  const key = state.apiKeys.find((one) => one.text === text) ?? state.apiKeys[0]
  return key && shown(state, key).status === 'active' ? key : undefined
}
