import type { KeyScope } from '../db/idempotency.ts'
import type { Pool, Sql } from '../db/sql.ts'
import { inTransaction } from '../db/transaction.ts'
import { bindKey, compareScopes, type ExecutionRow, releaseKey, writeExecutions } from './record-queries.ts'

/** What a call must take before it may be sent. Null parts need nothing. */
export type Reservation = {
  /** A use of the token, when it has a limit. */
  token: { workspaceId: string; tokenId: string } | null
  /** A use of the token's grant of one action, when it has a limit. */
  grant: { workspaceId: string; tokenId: string; actionId: string } | null
  /** One of the workspace's executions this month, when the plan has a limit. */
  quota: { workspaceId: string; windowStart: string; limit: number } | null
  key: { scope: KeyScope; fingerprint: string; leaseExpiresAt: string; now: Date } | null
}

export type ReservedStart = { row: ExecutionRow; reservation: Reservation }

/** Started, or why not. `key_taken`: another call with this key began meanwhile. */
export type Reserved = 'started' | 'token_exhausted' | 'execution_limit_reached' | 'key_taken'

/**
 * Starts a group of calls that need something: the counters are locked, each call in turn takes all it needs
 * or nothing, and the counters, keys and rows are written in one commit. Locks are always taken in the same
 * order (tokens, grants, quotas, idempotency keys, each by name), so servers never wait for each other in a circle.
 */
export const startReserved = (system: Pool, starts: readonly ReservedStart[]): Promise<Reserved[]> =>
  inTransaction(system, async (sql) => {
    const tokens = await lockTokens(sql, starts)
    const grants = await lockGrants(sql, starts)
    const quotas = await lockQuotas(sql, starts)
    const outcomes = new Map<ReservedStart, Reserved>()
    for (const start of starts.toSorted(byKey)) {
      const { row, reservation } = start
      const { token, grant, quota, key } = reservation
      const uses = [token && tokens.get(tokenName(token)), grant && grants.get(grantName(grant))].filter(
        isCounter,
      )
      const used = quota ? quotas.get(quotaName(quota)) : undefined
      const refusal = uses.some(isUsedUp)
        ? 'token_exhausted'
        : used && isUsedUp(used)
          ? 'execution_limit_reached'
          : null
      // The key first: a repetition of a call that runs is told so, also when that call took the last use.
      if (key && !(await bindKey(sql, key.scope, { ...key, executionId: row.id }))) {
        outcomes.set(start, 'key_taken')
      } else if (refusal) {
        if (key) await releaseKey(sql, key.scope)
        outcomes.set(start, refusal)
      } else {
        for (const counter of [...uses, used].filter(isCounter)) counter.used += 1
        outcomes.set(start, 'started')
      }
    }
    await writeTokens(sql, [...tokens.values()])
    await writeGrants(sql, [...grants.values()])
    await writeQuotas(sql, [...quotas.values()])
    const started = starts.filter((start) => outcomes.get(start) === 'started')
    if (started.length > 0)
      await writeExecutions(
        sql,
        started.map(({ row }) => row),
      )
    return starts.map((start) => decided(outcomes.get(start)))
  })

const decided = (outcome: Reserved | undefined): Reserved => {
  if (!outcome) throw new Error('A call of the group was passed over')
  return outcome
}

/** Those without a key first, in the order they came. */
const byKey = (left: ReservedStart, right: ReservedStart): number => {
  const [one, other] = [left.reservation.key, right.reservation.key]
  if (one && other) return compareScopes(one.scope, other.scope)
  return Number(one !== null) - Number(other !== null)
}

type Counter = {
  workspace_id: string
  subject_id: string
  action_id: string | null
  window_start: string | null
  used: number
  limit: number | null
}

const isCounter = (counter: Counter | null | undefined): counter is Counter => counter != null
const isUsedUp = ({ used, limit }: Counter): boolean => limit !== null && used >= limit

const tokenName = (token: { workspaceId: string; tokenId: string }) => `${token.workspaceId} ${token.tokenId}`
const grantName = (grant: { workspaceId: string; tokenId: string; actionId: string }) =>
  `${grant.workspaceId} ${grant.tokenId} ${grant.actionId}`
const quotaName = (quota: { workspaceId: string; windowStart: string }) =>
  `${quota.workspaceId} ${quota.windowStart}`

const distinct = <T>(parts: readonly (T | null)[], name: (part: T) => string): T[] => [
  ...new Map(parts.filter((part) => part !== null).map((part) => [name(part), part])).values(),
]

const byName = (rows: readonly Counter[], name: (row: Counter) => string): Map<string, Counter> =>
  new Map(rows.map((row) => [name(row), row]))

const lockTokens = async (sql: Sql, starts: readonly ReservedStart[]): Promise<Map<string, Counter>> => {
  const wanted = distinct(
    starts.map(({ reservation }) => reservation.token),
    tokenName,
  )
  if (wanted.length === 0) return new Map()
  const rows = await sql<Counter[]>`
    select workspace_id, id as subject_id, null as action_id, null as window_start, uses as used, max_uses as limit
    from tokens
    where (workspace_id, id) in (
      select workspace_id, id from unnest(${wanted.map((one) => one.workspaceId)}::text[], ${wanted.map((one) => one.tokenId)}::text[])
        as wanted (workspace_id, id)
    )
    order by workspace_id, id
    for update`
  return byName(rows, (row) => `${row.workspace_id} ${row.subject_id}`)
}

const lockGrants = async (sql: Sql, starts: readonly ReservedStart[]): Promise<Map<string, Counter>> => {
  const wanted = distinct(
    starts.map(({ reservation }) => reservation.grant),
    grantName,
  )
  if (wanted.length === 0) return new Map()
  const rows = await sql<Counter[]>`
    select workspace_id, token_id as subject_id, action_id, null as window_start, uses as used, max_uses as limit
    from token_grants
    where (workspace_id, token_id, action_id) in (
      select workspace_id, token_id, action_id
      from unnest(
        ${wanted.map((one) => one.workspaceId)}::text[], ${wanted.map((one) => one.tokenId)}::text[],
        ${wanted.map((one) => one.actionId)}::text[]
      ) as wanted (workspace_id, token_id, action_id)
    )
    order by workspace_id, token_id, action_id
    for update`
  return byName(rows, (row) => `${row.workspace_id} ${row.subject_id} ${row.action_id}`)
}

const lockQuotas = async (sql: Sql, starts: readonly ReservedStart[]): Promise<Map<string, Counter>> => {
  const wanted = distinct(
    starts.map(({ reservation }) => reservation.quota),
    quotaName,
  )
  const locked = new Map<string, Counter>()
  for (const quota of wanted.sort((left, right) => (quotaName(left) < quotaName(right) ? -1 : 1))) {
    // The conflicting branch changes nothing and locks the row.
    const [row] = await sql<Omit<Counter, 'limit'>[]>`
      insert into counters (workspace_id, subject_type, subject_id, feature, window_start, used)
      values (${quota.workspaceId}, 'workspace', ${quota.workspaceId}, 'monthly_executions', ${quota.windowStart}, 0)
      on conflict (workspace_id, subject_type, subject_id, feature, window_start) do update set used = counters.used
      returning workspace_id, subject_id, null as action_id, window_start, used`
    if (row) locked.set(quotaName(quota), { ...row, window_start: quota.windowStart, limit: quota.limit })
  }
  return locked
}

const writeTokens = async (sql: Sql, counters: readonly Counter[]): Promise<void> => {
  if (counters.length === 0) return
  await sql`
    update tokens t
    set uses = row.used
    from json_to_recordset(${JSON.stringify(counters)}::text::json) as row (workspace_id text, subject_id text, used int)
    where t.workspace_id = row.workspace_id and t.id = row.subject_id and t.uses <> row.used`
}

const writeGrants = async (sql: Sql, counters: readonly Counter[]): Promise<void> => {
  if (counters.length === 0) return
  await sql`
    update token_grants g
    set uses = row.used
    from json_to_recordset(${JSON.stringify(counters)}::text::json)
      as row (workspace_id text, subject_id text, action_id text, used int)
    where g.workspace_id = row.workspace_id and g.token_id = row.subject_id and g.action_id = row.action_id
      and g.uses <> row.used`
}

const writeQuotas = async (sql: Sql, counters: readonly Counter[]): Promise<void> => {
  if (counters.length === 0) return
  await sql`
    update counters c
    set used = row.used
    from json_to_recordset(${JSON.stringify(counters)}::text::json)
      as row (workspace_id text, window_start timestamptz, used bigint)
    where c.workspace_id = row.workspace_id and c.subject_type = 'workspace' and c.subject_id = row.workspace_id
      and c.feature = 'monthly_executions' and c.window_start = row.window_start`
}
