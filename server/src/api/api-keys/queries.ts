import type { ApiKey, CreateApiKey, GrantedScope } from '@narrowapi/contract'
import { type CommonFilters, commonFilters } from '../../db/filters.ts'
import { type Keyset, keysetClauses } from '../../db/keyset.ts'
import { json, type Sql } from '../../db/sql.ts'
import { ApiError } from '../../errors.ts'
import { type KeyMaker, makesKeys } from './rules.ts'

const status = (sql: Sql, now: string) => sql`
  case
    when revoked_at is not null then 'revoked'
    when expires_at <= ${now}::timestamptz then 'expired'
    else 'active'
  end`

const columns = (sql: Sql, now: string) => sql`
  id, 'api_key' as object, workspace_id, name, prefix, last_four, ${status(sql, now)} as status, scopes,
  rate_limit_tier, allowed_ips, expires_at, last_used_at, revoked_at, created_by, metadata, created_at, updated_at`

/** Without a status revoked keys are left out. */
export const listApiKeys = (
  sql: Sql,
  workspaceId: string,
  filters: CommonFilters & { status?: ApiKey['status'] | undefined },
  now: string,
  keyset: Keyset,
) => sql<ApiKey[]>`
  select ${columns(sql, now)}
  from api_keys
  where workspace_id = ${workspaceId}
    ${filters.status ? sql`and ${status(sql, now)} = ${filters.status}` : sql`and revoked_at is null`}
    ${commonFilters(sql, filters)}
    ${keysetClauses(sql, keyset)}`

export const insertApiKey = async (
  sql: Sql,
  workspaceId: string,
  key: Omit<CreateApiKey, 'scopes'> & {
    id: string
    hash: string
    prefix: string
    last_four: string
    scopes: GrantedScope[]
    created_by: string
    now: string
  },
): Promise<ApiKey> => {
  const [created] = await sql<ApiKey[]>`
    insert into api_keys (
      workspace_id, id, name, hash, prefix, last_four, scopes, rate_limit_tier, allowed_ips, expires_at, created_by,
      metadata, created_at, updated_at
    ) values (
      ${workspaceId}, ${key.id}, ${key.name}, ${key.hash}, ${key.prefix}, ${key.last_four}, ${key.scopes},
      ${key.rate_limit_tier}, ${key.allowed_ips}, ${key.expires_at}, ${key.created_by}, ${json(sql, key.metadata)},
      ${key.now}, ${key.now}
    )
    returning ${columns(sql, key.now)}`
  return created ?? missing()
}

export const getApiKey = async (sql: Sql, workspaceId: string, id: string, now: string): Promise<ApiKey> => {
  const [key] = await sql<ApiKey[]>`
    select ${columns(sql, now)}
    from api_keys
    where workspace_id = ${workspaceId} and id = ${id}`
  return key ?? missing()
}

/** Locks the key together with every other that could make keys, so that two cannot be the last at once. */
export const getApiKeyForUpdate = async (
  sql: Sql,
  workspaceId: string,
  id: string,
  now: string,
): Promise<ApiKey> => {
  await sql`select id from api_keys where workspace_id = ${workspaceId} and revoked_at is null order by id for update`
  return getApiKey(sql, workspaceId, id, now)
}

export const listKeyMakers = async (sql: Sql, workspaceId: string, now: string): Promise<KeyMaker[]> => {
  const keys = await sql<KeyMaker[]>`
    select id, scopes, ${status(sql, now)} as status, allowed_ips, expires_at
    from api_keys
    where workspace_id = ${workspaceId} and revoked_at is null`
  return keys.filter(makesKeys)
}

export const revokeApiKey = async (sql: Sql, workspaceId: string, id: string, now: string): Promise<void> => {
  await sql`
    update api_keys
    set revoked_at = ${now}, updated_at = ${now}
    where workspace_id = ${workspaceId} and id = ${id}`
}

const missing = (): never => {
  throw new ApiError('not_found', 'There is no API key with this id')
}
