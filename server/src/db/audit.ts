import { createHash } from 'node:crypto'
import type { AuditAction, AuditEvent } from '@narrowapi/contract'
import { canonicalText } from '../canonical-json.ts'
import { json, type Sql } from './sql.ts'

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
  const head = (await lockHead(sql, workspaceId)) ?? (await makeHead(sql, workspaceId))
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
  const added = sql`
    insert into audit_events (
      workspace_id, id, seq, action, occurred_at, outcome, actor, targets, changes, context, actor_id, target_ids,
      prev_hash, hash, created_at
    ) values (
      ${workspaceId}, ${id}, ${event.seq}, ${entry.action}, ${occurred_at}, ${entry.outcome},
      ${json(sql, entry.actor)}, ${json(sql, entry.targets)}, ${json(sql, entry.changes)},
      ${json(sql, entry.context)}, ${entry.actor.id}, ${entry.targets.map((target) => target.id)},
      ${head.hash}, ${hash}, ${occurred_at}
    )`
  const moved = sql`update audit_heads set seq = ${event.seq}, hash = ${hash} where workspace_id = ${workspaceId}`
  await Promise.all([added, moved])
}

type Head = { seq: number; hash: string }

/** Locked and not written, because every version of this one row is in the way of the next change. */
const lockHead = async (sql: Sql, workspaceId: string): Promise<Head | undefined> => {
  const [head] = await sql<Head[]>`
    select seq, hash
    from audit_heads
    where workspace_id = ${workspaceId}
    for update`
  return head
}

/** The first event of a workspace; another server's first may come at the same moment. */
const makeHead = async (sql: Sql, workspaceId: string): Promise<Head> => {
  const [head] = await sql<Head[]>`
    insert into audit_heads (workspace_id, seq, hash)
    values (${workspaceId}, 0, ${firstHash})
    on conflict (workspace_id) do update set seq = audit_heads.seq
    returning seq, hash`
  if (!head) throw new Error('The head of the audit chain was not returned')
  return head
}

const firstHash = '0'.repeat(64)

/** SHA-256 of the previous hash and the event as JSON with sorted names (RFC 8785 for the values we store). */
const auditHash = (event: Omit<AuditEvent, 'hash' | 'created_at' | 'object'>): string => {
  const { prev_hash, ...content } = event
  return createHash('sha256').update(prev_hash).update(canonicalText(content)).digest('hex')
}
