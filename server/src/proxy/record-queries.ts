import type { Execution } from '@narrowapi/contract'
import { type KeyScope, keyExpiry } from '../db/idempotency.ts'
import { json, type Pool, type Sql } from '../db/sql.ts'
import { inTransaction } from '../db/transaction.ts'

/**
 * An execution as it is now: begun, refused, or ended. What is left out is null, or, for an execution that ends
 * after it was begun, as it was: only what is new is sent again.
 */
export type ExecutionRow = Pick<
  Execution,
  'workspace_id' | 'id' | 'action_id' | 'version' | 'status' | 'source' | 'created_at'
> &
  Partial<
    Pick<
      Execution,
      'token_id' | 'input' | 'error' | 'upstream' | 'decision' | 'started_at' | 'completed_at' | 'duration_ms'
    >
  > & {
    /** JSON text, as an upstream wrote it: the `json` column takes it as it is, where `jsonb` would refuse NUL. */
    output?: string | null
    lease_expires_at?: string | null
  }

/** What becomes of an idempotency key when its execution ends: its sealed reply, or null to let the key go. */
export type KeyEnd = { scope: KeyScope; sealedReply: Buffer | null }

/**
 * Rows go in as one text, which is one prepared statement for every size. Two control characters part its rows and
 * their fields: JSON holds neither unescaped, and nothing else here is anybody's own text. PostgreSQL splits it in a
 * third of the time that it takes to read the same as JSON, and what an upstream wrote is not decoded on the way.
 *
 * An execution that ends is written over the row it began with. `update … from` would be planned as a join, and
 * while the table is young the plan reads all of it, 3 ms for one row in ten thousand; a conflict is always
 * looked up by key. Only what still runs can end: one whose lease ran out has been given its outcome already. Answers
 * of each row whether it was written.
 */
export const writeExecutions = async (sql: Sql, rows: readonly ExecutionRow[]): Promise<boolean[]> => {
  const written = await sql<{ id: string }[]>`
    insert into executions as known (
      workspace_id, id, action_id, version, status, source, created_at,
      token_id, input, output, error, upstream, decision,
      started_at, completed_at, updated_at, duration_ms, lease_expires_at
    )
    select
      f[1], f[2], f[3], f[4]::int, f[5], f[6], f[7]::timestamptz,
      f[8], f[9]::json, f[10]::json, f[11]::json, f[12]::json, f[13]::json,
      f[14]::timestamptz, f[15]::timestamptz, coalesce(f[15], f[7])::timestamptz, f[16]::float8, f[17]::timestamptz
    from string_to_table(${rows.map(textOf).join(rowEnd)}, ${rowEnd}) as line
    cross join lateral string_to_array(line, ${fieldEnd}, '') as f
    on conflict (workspace_id, id) do update
    set status = excluded.status, input = coalesce(excluded.input, known.input), output = excluded.output,
      error = excluded.error, upstream = excluded.upstream, completed_at = excluded.completed_at,
      duration_ms = excluded.duration_ms, lease_expires_at = excluded.lease_expires_at,
      updated_at = excluded.updated_at
    where known.status = 'running'
    returning id`
  const ids = new Set(written.map(({ id }) => id))
  return rows.map(({ id }) => ids.has(id))
}

const rowEnd = '\x1e'
const fieldEnd = '\x1f'

/** The fields as the statement above counts them. Empty ones are null. */
const textOf = (row: ExecutionRow): string =>
  [
    row.workspace_id,
    row.id,
    row.action_id,
    row.version,
    row.status,
    row.source,
    row.created_at,
    row.token_id,
    jsonOf(row.input),
    unparted(row.output),
    jsonOf(row.error),
    jsonOf(row.upstream),
    jsonOf(row.decision),
    row.started_at,
    row.completed_at,
    row.duration_ms,
    row.lease_expires_at,
  ].join(fieldEnd)

/** What JSON it is has been found out before; asked again because one row too many could be in any workspace. */
const unparted = (output: string | null | undefined): string | null | undefined => {
  if (output?.includes(rowEnd) || output?.includes(fieldEnd)) throw new Error('An output is not JSON')
  return output
}

const jsonOf = (value: unknown): string => (value == null ? '' : JSON.stringify(value))

/**
 * Ends executions together with the idempotency keys that were bound to them. The key of one that could not end stays
 * as it is: it says what the record says.
 */
export const endKeyed = (
  system: Pool,
  ends: readonly { row: ExecutionRow; key: KeyEnd }[],
): Promise<boolean[]> =>
  inTransaction(system, async (transaction) => {
    const rows = ends.map(({ row }) => row)
    const ended = await writeExecutions(transaction, rows)
    const keys = ends
      .filter((_, index) => ended[index])
      .map(({ key }) => key)
      .toSorted((left, right) => compareScopes(left.scope, right.scope))
    for (const { scope, sealedReply } of keys) {
      if (sealedReply) await answerKey(transaction, scope, sealedReply)
      else await releaseKey(transaction, scope)
    }
    return ended
  })

/** The order in which the keys of a group are locked, so that no two groups wait for each other in a circle. */
export const compareScopes = (left: KeyScope, right: KeyScope): number => {
  const [one, other] = [JSON.stringify(left), JSON.stringify(right)]
  return one < other ? -1 : one > other ? 1 : 0
}

const answerKey = (sql: Sql, scope: KeyScope, sealedReply: Buffer) => sql`
  update idempotency_keys
  set reply = ${sealedReply}, lease_expires_at = null
  where ${sameKey(sql, scope)}`

export const releaseKey = (sql: Sql, scope: KeyScope) =>
  sql`delete from idempotency_keys where ${sameKey(sql, scope)}`

const sameKey = (sql: Sql, { workspaceId, credentialId, method, path, key }: KeyScope) => sql`
  workspace_id = ${workspaceId} and credential_id = ${credentialId} and method = ${method} and path = ${path}
  and key = ${key}`

export type BoundKey = {
  fingerprint: string
  reply: Buffer | null
  execution_id: string | null
  lease_expires_at: string | null
}

/** What an earlier call under this key left, unless it is forgotten by now. */
export const findBoundKey = async (sql: Sql, scope: KeyScope, now: string): Promise<BoundKey | undefined> => {
  const [bound] = await sql<BoundKey[]>`
    select fingerprint, reply, execution_id, lease_expires_at
    from idempotency_keys
    where ${sameKey(sql, scope)} and expires_at > ${now}::timestamptz`
  return bound
}

/** Binds a key to a call about to start; false when another call has it. */
export const bindKey = async (
  sql: Sql,
  scope: KeyScope,
  call: { fingerprint: string; executionId: string; leaseExpiresAt: string; now: Date },
): Promise<boolean> => {
  const bound = await sql`
    insert into idempotency_keys (
      workspace_id, credential_id, method, path, key, fingerprint, execution_id, lease_expires_at, expires_at
    ) values (
      ${scope.workspaceId}, ${scope.credentialId}, ${scope.method}, ${scope.path}, ${scope.key},
      ${call.fingerprint}, ${call.executionId}, ${call.leaseExpiresAt}, ${keyExpiry(call.now)}
    )
    on conflict (workspace_id, credential_id, method, path, key) do update
    set fingerprint = excluded.fingerprint, execution_id = excluded.execution_id, reply = null,
      lease_expires_at = excluded.lease_expires_at, expires_at = excluded.expires_at
    where idempotency_keys.expires_at <= ${call.now.toISOString()}::timestamptz
    returning key`
  return bound.length === 1
}

/** Gives an outcome to executions whose server died: nobody knows whether the upstream acted. */
export const endAbandoned = async (sql: Sql, now: string): Promise<number> => {
  const ended = await sql`
    update executions
    set status = 'failed', error = ${json(sql, abandoned)}, completed_at = ${now}, updated_at = ${now},
      lease_expires_at = null
    where lease_expires_at < ${now}::timestamptz
    returning id`
  return ended.length
}

const abandoned = {
  code: 'upstream_outcome_unknown',
  message: 'The server stopped during the call; it is unknown whether the upstream acted',
  rule: null,
}

/** Keys past their day. Those still bound to a running call are kept until its lease ends. */
export const forgetKeys = async (sql: Sql, now: string): Promise<void> => {
  await sql`
    delete from idempotency_keys
    where expires_at < ${now}::timestamptz and (lease_expires_at is null or lease_expires_at < ${now}::timestamptz)`
}
