import type { CreateSecret, Secret, UpdateSecret } from '@narrowapi/contract'
import { type CommonFilters, commonFilters } from '../../db/filters.ts'
import { type Keyset, keysetClauses } from '../../db/keyset.ts'
import { json, type Sql } from '../../db/sql.ts'
import { ApiError } from '../../errors.ts'

const expiringDays = 14

const status = (sql: Sql, now: Date) => sql`
  case
    when expires_at <= ${now.toISOString()}::timestamptz then 'expired'
    when expires_at <= ${soon(now)}::timestamptz then 'expiring'
    else 'active'
  end`

/** Every column that may be shown: the sealed value is not among them. */
const columns = (sql: Sql, now: Date) => sql`
  id, 'secret' as object, workspace_id, name, type,
  ${status(sql, now)} as status,
  version, fingerprint, expires_at, last_rotated_at,
  (
    select coalesce(array_agg(a.id order by a.id), '{}')
    from actions a
    where a.workspace_id = secrets.workspace_id and a.secret_id = secrets.id
  ) as used_by,
  metadata, created_at, updated_at`

const soon = (now: Date): string => new Date(now.getTime() + expiringDays * 86_400_000).toISOString()

export const listSecrets = (
  sql: Sql,
  workspaceId: string,
  filters: CommonFilters & { type?: string | undefined; status?: string | undefined },
  now: Date,
  keyset: Keyset,
) => sql<Secret[]>`
  select ${columns(sql, now)}
  from secrets
  where workspace_id = ${workspaceId}
    ${filters.type ? sql`and type = ${filters.type}` : sql``}
    ${filters.status ? sql`and ${status(sql, now)} = ${filters.status}` : sql``}
    ${commonFilters(sql, filters)}
    ${keysetClauses(sql, keyset)}`

export const insertSecret = async (
  sql: Sql,
  workspaceId: string,
  secret: Omit<CreateSecret, 'value'> & {
    id: string
    key_id: string
    sealed: Buffer
    fingerprint: string
    now: Date
  },
): Promise<Secret> => {
  const now = secret.now.toISOString()
  const [created] = await sql<Secret[]>`
    insert into secrets (
      workspace_id, id, name, type, version, key_id, sealed, fingerprint, expires_at, last_rotated_at, metadata,
      created_at, updated_at
    ) values (
      ${workspaceId}, ${secret.id}, ${secret.name}, ${secret.type}, 1, ${secret.key_id}, ${secret.sealed},
      ${secret.fingerprint}, ${secret.expires_at}, ${now}, ${json(sql, secret.metadata)}, ${now}, ${now}
    )
    returning ${columns(sql, secret.now)}`
  return created ?? missing()
}

export const getSecret = async (sql: Sql, workspaceId: string, id: string, now: Date): Promise<Secret> => {
  const [secret] = await sql<Secret[]>`
    select ${columns(sql, now)}
    from secrets
    where workspace_id = ${workspaceId} and id = ${id}`
  return secret ?? missing()
}

export const getSecretForUpdate = async (
  sql: Sql,
  workspaceId: string,
  id: string,
  now: Date,
): Promise<Secret> => {
  await sql`select id from secrets where workspace_id = ${workspaceId} and id = ${id} for update`
  return getSecret(sql, workspaceId, id, now)
}

export const updateSecret = async (
  sql: Sql,
  workspaceId: string,
  id: string,
  { name, expires_at, metadata }: UpdateSecret,
  now: Date,
): Promise<Secret> => {
  const [updated] = await sql<Secret[]>`
    update secrets
    set updated_at = ${now.toISOString()}
      ${name === undefined ? sql`` : sql`, name = ${name}`}
      ${expires_at === undefined ? sql`` : sql`, expires_at = ${expires_at}`}
      ${metadata === undefined ? sql`` : sql`, metadata = ${json(sql, metadata)}`}
    where workspace_id = ${workspaceId} and id = ${id}
    returning ${columns(sql, now)}`
  return updated ?? missing()
}

export const updateSecretValue = async (
  sql: Sql,
  workspaceId: string,
  id: string,
  value: { version: number; key_id: string; sealed: Buffer; fingerprint: string; now: Date },
): Promise<void> => {
  const now = value.now.toISOString()
  await sql`
    update secrets
    set version = ${value.version}, key_id = ${value.key_id}, sealed = ${value.sealed},
      fingerprint = ${value.fingerprint}, last_rotated_at = ${now}, updated_at = ${now}
    where workspace_id = ${workspaceId} and id = ${id}`
}

export const deleteSecret = async (sql: Sql, workspaceId: string, id: string): Promise<void> => {
  await sql`delete from secrets where workspace_id = ${workspaceId} and id = ${id}`
}

const missing = (): never => {
  throw new ApiError('not_found', 'There is no secret with this id')
}
