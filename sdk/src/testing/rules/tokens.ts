import type { CreatedToken, CreateToken, RotateToken, Token } from '../../generated/client.ts'
import { apiError, invalidBody } from '../api-error.ts'
import { type Filters, pageOf } from '../list.ts'
import { blank, describeCredential, getById, type State, type StoredToken } from '../state.ts'
import { checkFuture, keyOf, type Rule } from './call.ts'
import { checkConstraints, checkFixedInput } from './definition.ts'

export const tokens: Record<string, Rule> = {
  list: ({ state, query, listName }) =>
    pageOf(
      state.tokens
        .map((token) => shown(state, token))
        .filter(({ status }) => query.status !== undefined || status !== 'revoked'),
      query,
      listName,
      filters,
    ),

  create: (call) => createToken(call.state, call.body as unknown as CreateToken, keyOf(call).id),

  get: ({ state, params }) => shown(state, getById('token', state.tokens, params.id)),

  delete: ({ state, params, skipRecord }) => {
    const token = getById('token', state.tokens, params.id)
    if (token.revoked_at === null) revoke(state, token)
    else skipRecord()
  },

  rotate: ({ state, params, body, note }) => {
    const { grace_period_hours = 0 } = body as RotateToken
    const token = getById('token', state.tokens, params.id)
    const { status, last_four } = shown(state, token)
    if (status !== 'active') {
      throw apiError('invalid_state', {
        message: `A token that is ${status} cannot be rotated: create a new one`,
      })
    }
    const until = graceEnd(state, grace_period_hours, token.expires_at)
    const text = state.nextCredential('sxt')
    token.texts = [{ text, until: null }, ...token.texts.slice(0, 1).map((old) => ({ ...old, until }))]
    Object.assign(token, describeCredential(text), { updated_at: state.timestamp() })
    note([{ field: 'last_four', from: last_four, to: token.last_four }])
    return { ...shown(state, token), token: text }
  },
}

const filters: Filters<Token> = {
  action_id: ({ action_ids }, wanted) => action_ids.some((id) => id === wanted),
}

/** Makes a token; its text is in the answer and nowhere else. A seed may choose the text. */
export const createToken = (
  state: State,
  { action_ids, grants, ...rest }: CreateToken,
  createdBy: string | null,
  text = state.nextCredential('sxt'),
): CreatedToken => {
  checkFuture('expires_at', rest.expires_at, state.timestamp())
  if (rest.not_before && rest.expires_at && rest.not_before >= rest.expires_at)
    throw invalidBody([{ field: 'not_before', message: 'must be before expires_at' }])
  const named = grantsOf(action_ids, grants)
  const unknown = named.flatMap(({ action_id }, index) =>
    state.actions.some(({ id }) => id === action_id)
      ? []
      : [
          {
            field: grants ? `grants.${index}.action_id` : `action_ids.${index}`,
            message: 'is not an action of this workspace',
          },
        ],
  )
  if (unknown.length > 0) throw invalidBody(unknown)
  for (const [index, grant] of (grants ?? []).entries()) {
    const { input_schema, fixed_input } = getById('action', state.actions, grant.action_id)
    checkConstraints(grant.constraints ?? [], input_schema, `grants.${index}.constraints`)
    const field = `grants.${index}.fixed_input`
    checkFixedInput(grant.fixed_input ?? null, input_schema, field)
    const taken = Object.keys(grant.fixed_input ?? {}).filter((name) =>
      Object.hasOwn(fixed_input ?? {}, name),
    )
    if (taken.length > 0)
      throw invalidBody(
        taken.map((name) => ({ field: `${field}.${name}`, message: 'is fixed by the action already' })),
      )
  }
  const token = {
    ...blank<Token>('Token'),
    ...state.head('tok'),
    ...rest,
    ...describeCredential(text),
    // Defaults were filled in when the body was read.
    grants: named.map((grant) => ({ constraints: [], fixed_input: null, max_uses: null, ...grant, uses: 0 })),
    action_ids: named.map(({ action_id }) => action_id),
    uses: 0,
    created_by: createdBy,
    texts: [{ text, until: null }],
  } as StoredToken
  state.tokens.push(token)
  return { ...shown(state, token), token: text } as CreatedToken
}

const grantsOf = (actionIds: CreateToken['action_ids'], grants: CreateToken['grants']) => {
  if (actionIds && grants)
    throw invalidBody([{ field: 'action_ids', message: 'leave it out when grants are given' }])
  const all = grants ?? actionIds?.map((action_id) => ({ action_id }))
  if (!all) throw invalidBody([{ field: 'action_ids', message: 'is required, or grants' }])
  const twice = all.findIndex(
    ({ action_id }, index) => all.findIndex((one) => one.action_id === action_id) < index,
  )
  if (twice >= 0) {
    const field = `${grants ? 'grants' : 'action_ids'}.${twice}`
    throw invalidBody([{ field, message: 'names an action that is named before' }])
  }
  return all
}

/** A token as it is answered: its state follows from what happened to it, and its text is not told. */
export const shown = (state: State, { texts: _, ...token }: StoredToken): Token => ({
  ...token,
  status: statusOf(token, state.timestamp()),
})

const statusOf = (
  { revoked_at, expires_at, max_uses, uses }: Pick<Token, 'revoked_at' | 'expires_at' | 'max_uses' | 'uses'>,
  now: string,
): Token['status'] => {
  if (revoked_at !== null) return 'revoked'
  if (expires_at !== null && expires_at <= now) return 'expired'
  return max_uses !== null && uses >= max_uses ? 'exhausted' : 'active'
}

const revoke = (state: State, token: StoredToken): void => {
  const at = state.timestamp()
  token.revoked_at ??= at
  token.updated_at = at
}

/** The end of a grace period, which is never later than the expiry it shortens. */
const graceEnd = (state: State, hours: number, expiresAt: string | null): string => {
  const end = new Date(state.now().getTime() + hours * 3_600_000).toISOString()
  return expiresAt !== null && expiresAt < end ? expiresAt : end
}

/** Ends the tokens that name only this action; those that name others too are left alone and told. */
export const replaceTokensOf = (
  state: State,
  actionId: string,
  graceHours: number,
): { revoked_token_ids: string[]; unaffected_token_ids: string[] } => {
  const naming = state.tokens.filter(
    (token) => token.action_ids.some((id) => id === actionId) && shown(state, token).status === 'active',
  )
  const ending = naming.filter(({ action_ids }) => action_ids.length === 1)
  for (const token of ending) {
    if (graceHours === 0) revoke(state, token)
    else token.expires_at = graceEnd(state, graceHours, token.expires_at)
  }
  const idsOf = (tokens: readonly Token[]) => tokens.map(({ id }) => id)
  return {
    revoked_token_ids: idsOf(ending),
    unaffected_token_ids: idsOf(naming.filter(({ action_ids }) => action_ids.length > 1)),
  }
}

/** The token that a text opens now, and until when the text does. */
export const findToken = (
  state: State,
  text: string,
): { token: StoredToken; until: string | null } | undefined => {
  const now = state.timestamp()
  for (const token of state.tokens) {
    const known = token.texts.find((one) => one.text === text && (one.until === null || one.until > now))
    if (!known) continue
    // One that is used up still says so, call by call; the others open nothing.
    const isOpen =
      token.revoked_at === null &&
      (token.expires_at === null || token.expires_at > now) &&
      (token.not_before === null || token.not_before <= now)
    return isOpen ? { token, until: known.until } : undefined
  }
  return undefined
}
