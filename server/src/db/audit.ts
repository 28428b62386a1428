import { createHash } from 'node:crypto'
import type { AuditAction, AuditEvent } from '@narrowapi/contract'
import { json, type Sql } from './sql.ts'

export type Change = AuditEvent['changes'][number]
export type AuditTarget = AuditEvent['targets'][number]

export type AuditEntry = Pick<
  AuditEvent,
  'action' | 'outcome' | 'actor' | 'targets' | 'changes' | 'context'
> & {
  action: AuditAction
}

/**
 * Appends to the workspace's chain, in the transaction of the change it records: neither exists without the
 * other. The head row is locked, so events get their numbers without gaps, one change after another; the id
 * and the time are asked for behind that lock, so that the order of a list is the order of the chain.
 */
export const appendAudit = async (
  sql: Sql,
  workspaceId: string,
  entry: AuditEntry,
  { nextId, now }: { nextId: () => string; now: () => Date },
): Promise<void> => {
  const [head] = await sql<{ seq: number; hash: string }[]>`
    insert into audit_heads (workspace_id, seq, hash)
    values (${workspaceId}, 0, ${firstHash})
    on conflict (workspace_id) do update set seq = audit_heads.seq
    returning seq, hash`
  if (!head) throw new Error('The head of the audit chain was not returned')
  const [id, occurred_at] = [nextId(), now().toISOString()]
  const event = {
    id,
    workspace_id: workspaceId,
    seq: head.seq + 1,
    occurred_at,
    ...entry,
    prev_hash: head.hash,
  }
  const hash = auditHash(event)
  await sql`
    insert into audit_events (
      workspace_id, id, seq, action, occurred_at, outcome, actor, targets, changes, context, actor_id, target_ids,
      prev_hash, hash, created_at
    ) values (
      ${workspaceId}, ${id}, ${event.seq}, ${entry.action}, ${occurred_at}, ${entry.outcome},
      ${json(sql, entry.actor)}, ${json(sql, entry.targets)}, ${json(sql, entry.changes)},
      ${json(sql, entry.context)}, ${entry.actor.id}, ${entry.targets.map((target) => target.id)},
      ${head.hash}, ${hash}, ${occurred_at}
    )`
  await sql`update audit_heads set seq = ${event.seq}, hash = ${hash} where workspace_id = ${workspaceId}`
}

export const firstHash = '0'.repeat(64)

/** SHA-256 of the previous hash and the event as JSON with sorted names (RFC 8785 for the values we store). */
export const auditHash = (event: Omit<AuditEvent, 'hash' | 'created_at' | 'object'>): string => {
  const { prev_hash, ...content } = event
  return createHash('sha256').update(prev_hash).update(canonical(content)).digest('hex')
}

const canonical = (value: unknown): string =>
  JSON.stringify(value, (_, member: unknown) =>
    member !== null && typeof member === 'object' && !Array.isArray(member)
      ? Object.fromEntries(Object.entries(member).sort(([left], [right]) => (left < right ? -1 : 1)))
      : member,
  )

/** What a change altered, field by field. Fields in `masked` are named without their values. */
export const changesBetween = (before: object, after: object, masked: readonly string[] = []): Change[] =>
  Object.keys(after)
    .filter((field) => !unremarkable.has(field))
    .map((field) => ({ field, from: read(before, field), to: read(after, field) }))
    .filter(({ from, to }) => canonical(from) !== canonical(to))
    .map((change) =>
      masked.includes(change.field) ? { ...change, from: '[secret]', to: '[secret]' } : change,
    )

const unremarkable = new Set(['updated_at', 'last_used_at', 'uses', 'used_by'])

const read = (object: object, field: string): unknown => Reflect.get(object, field) ?? null
