import { type ErrorCode, limits } from '@narrowapi/contract'
import { ApiError, type ErrorExtras } from '../errors.ts'
import type { Sql } from './sql.ts'

/** What makes two requests "the same": workspace, credential, method, path and key. */
export type KeyScope = {
  workspaceId: string
  credentialId: string
  method: string
  path: string
  key: string
}

export type StoredReply = {
  status: number
  headers: readonly (readonly [name: string, value: string])[]
  body: string | null
  /** The body is bytes written as Latin-1, because they are not UTF-8. */
  isBinary?: true
  /** The reply was an error of ours: it is told anew, with the request id of the one who asks again. */
  error?: { code: ErrorCode; message: string; extras: ErrorExtras }
}

/**
 * Claims a key for this transaction: gives the sealed reply to replay, or null to go on. A twin that is still
 * running holds the lock and makes this one `idempotency_in_progress`; a twin that failed left nothing, so a
 * corrected request may use the key again.
 */
export const claimKey = async (
  sql: Sql,
  scope: KeyScope,
  fingerprint: string,
  now: Date,
): Promise<Buffer | null> => {
  const name = [scope.workspaceId, scope.credentialId, scope.method, scope.path, scope.key].join('\n')
  const [claim] = await sql<{ locked: boolean }[]>`
    select pg_try_advisory_xact_lock(hashtextextended(${name}, 0)) as locked`
  if (!claim?.locked) {
    throw new ApiError('idempotency_in_progress', 'The first request with this key is still running', {
      retry_after_seconds: 1,
    })
  }
  const [known] = await sql<{ fingerprint: string; reply: Buffer | null }[]>`
    select fingerprint, reply
    from idempotency_keys
    where workspace_id = ${scope.workspaceId} and credential_id = ${scope.credentialId}
      and method = ${scope.method} and path = ${scope.path} and key = ${scope.key}
      and expires_at > ${now.toISOString()}::timestamptz`
  if (!known) return null
  if (known.fingerprint !== fingerprint) throw keyReused()
  return known.reply
}

export const keyReused = () =>
  new ApiError(
    'idempotency_key_reused',
    'This Idempotency-Key belongs to another request body; use a new key',
  )

/** Keeps the reply with the change that caused it. A row that expired is overwritten. */
export const storeReply = async (
  sql: Sql,
  scope: KeyScope,
  fingerprint: string,
  sealedReply: Buffer,
  now: Date,
): Promise<void> => {
  await sql`
    insert into idempotency_keys (
      workspace_id, credential_id, method, path, key, fingerprint, reply, expires_at
    ) values (
      ${scope.workspaceId}, ${scope.credentialId}, ${scope.method}, ${scope.path}, ${scope.key}, ${fingerprint},
      ${sealedReply}, ${keyExpiry(now)}
    )
    on conflict (workspace_id, credential_id, method, path, key) do update
    set fingerprint = excluded.fingerprint, reply = excluded.reply, expires_at = excluded.expires_at,
      execution_id = null, lease_expires_at = null`
}

export const keyExpiry = (now: Date): string =>
  new Date(now.getTime() + limits.idempotencyHours * 3_600_000).toISOString()

/**
 * Reads the header: 1 to 255 visible ASCII characters, bare or as a quoted structured-field string (draft
 * httpapi-idempotency-key-header). Both forms of a text are the same key.
 */
export const readIdempotencyKey = (values: readonly string[]): string | null => {
  const [value, ...more] = values
  if (value === undefined) return null
  const quoted = /^"((?:[^"\\]|\\["\\])*)"$/.exec(value)?.[1]?.replaceAll(/\\(["\\])/g, '$1')
  const key = quoted ?? value
  if (more.length === 0 && key.length <= limits.idempotencyKeyLength && /^[\x21-\x7e]+$/.test(key)) return key
  throw new ApiError(
    'invalid_request',
    `Idempotency-Key must be sent once, as 1 to ${limits.idempotencyKeyLength} visible ASCII characters`,
  )
}
