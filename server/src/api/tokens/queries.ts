import type { ActionDefinition, Token } from '@narrowapi/contract'
import { type CommonFilters, commonFilters } from '../../db/filters.ts'
import { type Keyset, keysetClauses } from '../../db/keyset.ts'
import { json, type Sql } from '../../db/sql.ts'
import { ApiError } from '../../errors.ts'
import type { NewToken } from './rules.ts'

const status = (sql: Sql, now: string) => sql`
  case
    when revoked_at is not null then 'revoked'
    when expires_at <= ${now}::timestamptz then 'expired'
    when uses >= max_uses then 'exhausted'
    else 'active'
  end`

const columns = (sql: Sql, now: string) => sql`
  id, 'token' as object, workspace_id, name, prefix, last_four, ${status(sql, now)} as status,
  (
    select array_agg(g.action_id order by g.position)
    from token_grants g
    where g.workspace_id = tokens.workspace_id and g.token_id = tokens.id
  ) as action_ids,
  (
    select json_agg(
      json_build_object(
        'action_id', g.action_id, 'constraints', g.constraints, 'fixed_input', g.fixed_input,
        'max_uses', g.max_uses, 'uses', g.uses
      )
      order by g.position
    )
    from token_grants g
    where g.workspace_id = tokens.workspace_id and g.token_id = tokens.id
  ) as grants,
  not_before, expires_at, max_uses, uses, allowed_ips, rate_limit_rpm, last_used_at, revoked_at, created_by,
  metadata, created_at, updated_at`

/** Without a status revoked tokens are left out. */
export const listTokens = (
  sql: Sql,
  workspaceId: string,
  filters: CommonFilters & { status?: Token['status'] | undefined; action_id?: string | undefined },
  now: string,
  keyset: Keyset,
) => sql<Token[]>`
  select ${columns(sql, now)}
  from tokens
  where workspace_id = ${workspaceId}
    ${filters.status ? sql`and ${status(sql, now)} = ${filters.status}` : sql`and revoked_at is null`}
    ${
      filters.action_id
        ? sql`and exists (
            select from token_grants g
            where g.workspace_id = ${workspaceId} and g.token_id = tokens.id and g.action_id = ${filters.action_id}
          )`
        : sql``
    }
    ${commonFilters(sql, filters)}
    ${keysetClauses(sql, keyset)}`

/** Answers the token as it then is. The statements go out together: none waits for an answer to another. */
export const insertToken = async (
  sql: Sql,
  workspaceId: string,
  token: NewToken & {
    id: string
    hash: string
    prefix: string
    last_four: string
    created_by: string
    now: string
  },
): Promise<Token> => {
  const grants = token.grants.map((grant, position) => ({ ...grant, position }))
  const inserted = sql`
    insert into tokens (
      workspace_id, id, name, hash, prefix, last_four, not_before, expires_at, max_uses, allowed_ips, rate_limit_rpm,
      created_by, metadata, created_at, updated_at
    ) values (
      ${workspaceId}, ${token.id}, ${token.name}, ${token.hash}, ${token.prefix}, ${token.last_four},
      ${token.not_before}, ${token.expires_at}, ${token.max_uses}, ${token.allowed_ips}, ${token.rate_limit_rpm},
      ${token.created_by}, ${json(sql, token.metadata)}, ${token.now}, ${token.now}
    )`.execute()
  const granted = sql`
    insert into token_grants (workspace_id, token_id, action_id, position, constraints, fixed_input, max_uses)
    select ${workspaceId}, ${token.id}, action_id, position, constraints, fixed_input, max_uses
    from json_to_recordset(${JSON.stringify(grants)}::text::json)
      as row (action_id text, position int, constraints json, fixed_input json, max_uses int)`.execute()
  const [, , made] = await Promise.all([inserted, granted, getToken(sql, workspaceId, token.id, token.now)])
  return made
}

export const getToken = async (sql: Sql, workspaceId: string, id: string, now: string): Promise<Token> => {
  const [token] = await sql<Token[]>`
    select ${columns(sql, now)}
    from tokens
    where workspace_id = ${workspaceId} and id = ${id}`
  return token ?? missing()
}

export const getTokenForUpdate = async (
  sql: Sql,
  workspaceId: string,
  id: string,
  now: string,
): Promise<Token> => {
  await sql`select id from tokens where workspace_id = ${workspaceId} and id = ${id} for update`
  return getToken(sql, workspaceId, id, now)
}

export const revokeToken = async (sql: Sql, workspaceId: string, id: string, now: string): Promise<void> => {
  await sql`
    update tokens
    set revoked_at = ${now}, updated_at = ${now}
    where workspace_id = ${workspaceId} and id = ${id}`
}

export const replaceTokenText = async (
  sql: Sql,
  workspaceId: string,
  id: string,
  text: { hash: string; prefix: string; last_four: string; until: string; now: string },
): Promise<void> => {
  await sql`
    update tokens
    set previous_hash = hash, previous_expires_at = ${text.until}, hash = ${text.hash}, prefix = ${text.prefix},
      last_four = ${text.last_four}, updated_at = ${text.now}
    where workspace_id = ${workspaceId} and id = ${id}`
}

/** The active tokens that name an action, locked, so that a rotation misses none that is being made. */
export const listTokensOfAction = async (
  sql: Sql,
  workspaceId: string,
  actionId: string,
  now: string,
): Promise<Token[]> => {
  const ids = await sql<{ id: string }[]>`
    select id
    from tokens
    where workspace_id = ${workspaceId} and ${status(sql, now)} = 'active'
      and id in (select token_id from token_grants where workspace_id = ${workspaceId} and action_id = ${actionId})
    order by id
    for update`
  return sql<Token[]>`
    select ${columns(sql, now)}
    from tokens
    where workspace_id = ${workspaceId} and id = any (${ids.map(({ id }) => id)})
    order by id`
}

/** Ends tokens now, or at `until` unless they end earlier by themselves. */
export const endTokens = async (
  sql: Sql,
  workspaceId: string,
  ids: readonly string[],
  { now, until }: { now: string; until: string | null },
): Promise<void> => {
  await sql`
    update tokens
    set updated_at = ${now},
      ${until === null ? sql`revoked_at = ${now}` : sql`expires_at = least(expires_at, ${until}::timestamptz)`}
    where workspace_id = ${workspaceId} and id = any (${[...ids]})`
}

export const getGrantedActions = (sql: Sql, workspaceId: string, ids: readonly string[]) => sql<
  { id: string; status: 'draft' | 'active' | 'paused' | 'archived'; definition: ActionDefinition }[]
>`
  select id, status, definition
  from actions
  where workspace_id = ${workspaceId} and id = any (${[...ids]})`

const missing = (): never => {
  throw new ApiError('not_found', 'There is no token with this id')
}
