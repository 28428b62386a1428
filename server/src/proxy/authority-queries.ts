import type { Constraint, GrantedScope, WorkspaceSettings } from '@narrowapi/contract'
import type { Sql } from '../db/sql.ts'

/** One action a token may run, and how narrowly. */
export type HeldGrant = {
  action_id: string
  constraints: readonly Constraint[]
  fixed_input: Readonly<Record<string, unknown>> | null
  max_uses: number | null
}

type WorkspacePart = {
  workspace_id: string
  workspace_status: 'active' | 'paused'
  workspace_settings: WorkspaceSettings
  requests_per_minute: number
  monthly_executions: number | null
}

export type KeyRow = WorkspacePart & {
  id: string
  name: string
  scopes: GrantedScope[]
  allowed_ips: string[] | null
  expires_at: string | null
  revoked_at: string | null
  key_requests_per_minute: number
}

export type TokenRow = WorkspacePart & {
  id: string
  name: string
  not_before: string | null
  expires_at: string | null
  revoked_at: string | null
  max_uses: number | null
  allowed_ips: string[] | null
  rate_limit_rpm: number | null
  updated_at: string
  grants: HeldGrant[] | null
}

/** A plan's rate with its burst, as requests a minute. The product may be beyond an integer. */
const rate = (sql: Sql, plan: string) =>
  sql`${sql(plan)}.requests_per_minute::int8 * (100 + ${sql(plan)}.burst_percent) / 100`

const workspacePart = (sql: Sql) => sql`
  w.id as workspace_id, w.status as workspace_status, w.settings as workspace_settings,
  ${rate(sql, 'p')} as requests_per_minute, p.monthly_executions`

/** Looks in every workspace: the hash is all that is known. */
export const findKey = async (system: Sql, hash: string): Promise<KeyRow | undefined> => {
  const [row] = await system<KeyRow[]>`
    select k.id, k.name, k.scopes, k.allowed_ips, k.expires_at, k.revoked_at,
      ${rate(system, 'kp')} as key_requests_per_minute, ${workspacePart(system)}
    from api_keys k
      join workspaces w on w.id = k.workspace_id
      join plans p on p.tier = w.tier
      join plans kp on kp.tier = coalesce(k.rate_limit_tier, w.tier)
    where k.hash = ${hash}`
  return row
}

/** Finds a token by its present text, or by the one before its rotation while that still works. */
export const findToken = async (system: Sql, hash: string, now: string): Promise<TokenRow | undefined> => {
  const [row] = await system<TokenRow[]>`
    select t.id, t.name, t.not_before, t.revoked_at, t.max_uses, t.allowed_ips, t.rate_limit_rpm, t.updated_at,
      case when t.hash = ${hash} then t.expires_at else least(t.expires_at, t.previous_expires_at) end as expires_at,
      ${workspacePart(system)},
      (
        select json_agg(json_build_object(
          'action_id', g.action_id, 'constraints', g.constraints, 'fixed_input', g.fixed_input, 'max_uses', g.max_uses
        ) order by g.position)
        from token_grants g
        where g.workspace_id = t.workspace_id and g.token_id = t.id
      ) as grants
    from tokens t
      join workspaces w on w.id = t.workspace_id
      join plans p on p.tier = w.tier
    where t.hash = ${hash} or (t.previous_hash = ${hash} and t.previous_expires_at > ${now}::timestamptz)`
  return row
}
