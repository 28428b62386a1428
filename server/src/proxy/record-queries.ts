import type { Execution } from '@narrowapi/contract'
import { type KeyScope, keyExpiry } from '../db/idempotency.ts'
import { json, type Sql } from '../db/sql.ts'

/** An execution when it begins, or a refused one that begins and ends at once. */
export type StartedRow = Pick<
  Execution,
  | 'workspace_id'
  | 'id'
  | 'action_id'
  | 'version'
  | 'token_id'
  | 'status'
  | 'source'
  | 'input'
  | 'output'
  | 'error'
  | 'upstream'
  | 'decision'
  | 'started_at'
  | 'completed_at'
  | 'duration_ms'
  | 'created_at'
> & { lease_expires_at: string | null }

/**
 * How a running execution ended. A null `input` leaves what the row has. With a key: its sealed reply, or null
 * to let the key go.
 */
export type EndedRow = Pick<
  Execution,
  'workspace_id' | 'id' | 'status' | 'input' | 'output' | 'error' | 'upstream' | 'duration_ms'
> & { completed_at: string; key: { scope: KeyScope; sealedReply: Buffer | null } | null }

/**
 * Rows go in as one JSON text, which is one prepared statement for every size. The payload columns are `json`:
 * `jsonb` would refuse a NUL escape, and with it the whole group.
 */
export const addExecutions = async (sql: Sql, rows: readonly StartedRow[]): Promise<string[]> => {
  await sql`
    insert into executions (
      workspace_id, id, action_id, version, token_id, status, source, input, output, error, upstream, decision,
      started_at, completed_at, duration_ms, lease_expires_at, created_at, updated_at
    )
    select
      workspace_id, id, action_id, version, token_id, status, source, input, output, error, upstream, decision,
      started_at, completed_at, duration_ms, lease_expires_at, created_at, coalesce(completed_at, created_at)
    from json_to_recordset(${JSON.stringify(rows)}::text::json) as row (
      workspace_id text, id text, action_id text, version int, token_id text, status text, source text,
      input json, output json, error json, upstream json, decision json,
      started_at timestamptz, completed_at timestamptz, duration_ms double precision, lease_expires_at timestamptz,
      created_at timestamptz
    )`
  return rows.map((row) => row.id)
}

/** Only what still runs can end: an execution whose lease ran out has been given its outcome already. */
export const changeExecutions = async (sql: Sql, rows: readonly EndedRow[]): Promise<string[]> => {
  const ids = rows.map((row) => row.id)
  const ended = JSON.stringify(rows.map(({ key: _, ...row }) => row))
  const keys = rows.flatMap(({ key }) => (key ? [key] : []))
  if (keys.length === 0) {
    await endExecutions(sql, ended)
    return ids
  }
  await inTransaction(sql, async (transaction) => {
    await endExecutions(transaction, ended)
    for (const { scope, sealedReply } of keys) {
      if (sealedReply) await answerKey(transaction, scope, sealedReply)
      else await releaseKey(transaction, scope)
    }
  })
  return ids
}

const endExecutions = (sql: Sql, ended: string) => sql`
  update executions e
  set status = row.status, input = coalesce(row.input, e.input), output = row.output, error = row.error, upstream = row.upstream,
    completed_at = row.completed_at, duration_ms = row.duration_ms, lease_expires_at = null,
    updated_at = row.completed_at
  from json_to_recordset(${ended}::text::json) as row (
    workspace_id text, id text, status text, input json, output json, error json, upstream json,
    completed_at timestamptz, duration_ms double precision
  )
  where e.workspace_id = row.workspace_id and e.id = row.id and e.status = 'running'`

/** `begin` exists on pools only; the recorder is given one. */
const inTransaction = async (sql: Sql, work: (sql: Sql) => Promise<void>): Promise<void> => {
  if (!('begin' in sql)) throw new Error('Executions end outside of other transactions')
  await sql.begin(async (transaction) => {
    await work(transaction)
  })
}

const answerKey = (sql: Sql, scope: KeyScope, sealedReply: Buffer) => sql`
  update idempotency_keys
  set reply = ${sealedReply}, lease_expires_at = null
  where ${sameKey(sql, scope)}`

const releaseKey = (sql: Sql, scope: KeyScope) =>
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
