import { randomBytes } from 'node:crypto'
import type { CreatedToken, Token } from '@narrowapi/contract'
import { describeCredential, hashCredential, newCredential } from '../../credentials.ts'
import type { Ctx } from '../../http/handlers.ts'
import { checkFuture } from '../../times.ts'
import {
  endTokens,
  getGrantedActions,
  getToken,
  getTokenForUpdate,
  insertToken,
  listTokensOfAction,
  replaceTokenText,
} from './queries.ts'
import { checkGrants, checkRotation, checkTerm, graceEnd, type NewToken } from './rules.ts'

/** Makes a token. Its text is in the answer and nowhere else. */
export const createToken = async (
  ctx: Ctx,
  token: NewToken,
  given: 'grants' | 'action_ids' = 'grants',
): Promise<CreatedToken> => {
  const { sql, actor, clock, ids } = ctx
  const now = clock.now()
  checkFuture('expires_at', token.expires_at, now)
  checkTerm(token)
  const granted = await getGrantedActions(
    sql,
    actor.workspaceId,
    token.grants.map((grant) => grant.action_id),
  )
  checkGrants(token.grants, granted, given)
  const { text, ...credential } = newText(ctx)
  const made = await insertToken(sql, actor.workspaceId, {
    ...token,
    ...credential,
    id: ids.next('tok'),
    created_by: actor.id,
    now: now.toISOString(),
  })
  return { ...made, token: text }
}

/** Another text for the same token; the old one works until the grace period ends, never past the expiry. */
export const rotateToken = async (ctx: Ctx, id: string, graceHours: number): Promise<CreatedToken> => {
  const { sql, actor, clock, note } = ctx
  const now = clock.now()
  const token = await getTokenForUpdate(sql, actor.workspaceId, id, now.toISOString())
  checkRotation(token)
  const { text, ...credential } = newText(ctx)
  const until = graceEnd(now, graceHours, token.expires_at)
  await replaceTokenText(sql, actor.workspaceId, id, { ...credential, until, now: now.toISOString() })
  note([{ field: 'last_four', from: token.last_four, to: credential.last_four }])
  return { ...(await getToken(sql, actor.workspaceId, id, now.toISOString())), token: text }
}

/**
 * A new token for one action. Tokens that name only this action end with the grace period; those that name
 * others too are left alone and told.
 */
export const issueTokenFor = async (
  ctx: Ctx,
  action: { id: string; name: string },
  request: { name?: string | undefined; expires_at: string | null; grace_period_hours: number },
): Promise<CreatedToken & { revoked_token_ids: string[]; unaffected_token_ids: string[] }> => {
  const { sql, actor, clock, touch } = ctx
  const now = clock.now()
  const old = await listTokensOfAction(sql, actor.workspaceId, action.id, now.toISOString())
  const ending = old.filter((token) => token.action_ids.length === 1)
  await endTokens(
    sql,
    actor.workspaceId,
    ending.map((token) => token.id),
    {
      now: now.toISOString(),
      until: request.grace_period_hours === 0 ? null : graceEnd(now, request.grace_period_hours, null),
    },
  )
  touch(ending.map(({ id }) => ({ type: 'token', id })))
  const created = await createToken(ctx, {
    ...plain,
    name: request.name ?? action.name,
    expires_at: request.expires_at,
    grants: [{ action_id: action.id, constraints: [], fixed_input: null, max_uses: null }],
  })
  const idsOf = (tokens: readonly Token[]) => tokens.map((token) => token.id)
  return {
    ...created,
    revoked_token_ids: idsOf(ending),
    unaffected_token_ids: idsOf(old.filter((token) => token.action_ids.length > 1)),
  }
}

const plain = {
  not_before: null,
  max_uses: null,
  allowed_ips: null,
  rate_limit_rpm: null,
  metadata: {},
} as const

const newText = ({ deps }: Ctx) => {
  const text = newCredential('sxt', randomBytes)
  return { text, hash: hashCredential(text, deps.pepper), ...describeCredential(text) }
}
