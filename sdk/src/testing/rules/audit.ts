import type { AuditEvent } from '../../generated/client.ts'
import { type Filters, pageOf } from '../list.ts'
import { canonical } from '../schema.ts'
import { getById, type State } from '../state.ts'
import type { Rule } from './call.ts'

export const audit: Record<string, Rule> = {
  list: async ({ state, query, listName }) => pageOf(await chainOf(state), query, listName, filters),
  get: async ({ state, params }) => getById('audit event', await chainOf(state), params.id),
}

const filters: Filters<AuditEvent> = {
  actor_id: ({ actor }, wanted) => actor.id === wanted,
  target_id: ({ targets }, wanted) => targets.some(({ id }) => id === wanted),
  search: ({ action, actor, targets }, wanted) =>
    [action, actor.name, actor.id, ...targets.map(({ id }) => id)].some((text) =>
      `${text ?? ''}`.toLowerCase().includes(`${wanted}`.toLowerCase()),
    ),
}

/** Adds an event to the chain; its hashes are worked out when somebody reads it. */
export const record = (
  state: State,
  event: Pick<AuditEvent, 'action' | 'outcome' | 'actor' | 'targets' | 'changes' | 'context'>,
): void => {
  const at = state.timestamp()
  state.events.push({
    id: state.nextId('aud'),
    object: 'audit_event',
    workspace_id: state.workspace.id,
    created_at: at,
    occurred_at: at,
    // A copy, because what it names may change afterwards.
    ...structuredClone(event),
    seq: state.events.length + 1,
  })
}

/** Where a request came from. */
export const contextOf = (sent: Headers, headers: Headers): AuditEvent['context'] => ({
  ip: '127.0.0.1',
  user_agent: sent.get('user-agent'),
  request_id: headers.get('x-request-id'),
})

/** A known credential was turned away; whoever sent it is told neither that it is known nor why. */
export const recordRefusal = (
  state: State,
  { kind, id, name }: { kind: 'api_key' | 'token'; id: string; name: string },
  reason: string,
  context: AuditEvent['context'],
): void =>
  record(state, {
    action: 'credential.refused',
    outcome: 'denied',
    actor: { type: kind, id, name },
    targets: [{ type: kind, id }],
    changes: [{ field: 'reason', from: null, to: reason }],
    context,
  })

/** Each event with its hash, made as the contract says, so that a chain can be checked in a test. */
const chainOf = async (state: State): Promise<AuditEvent[]> => {
  const chain: AuditEvent[] = []
  let prev_hash = '0'.repeat(64)
  for (const event of state.events) {
    const { object: _, created_at: __, ...content } = event
    const hash = await sha256(prev_hash + canonical(content))
    chain.push({ ...event, prev_hash, hash })
    prev_hash = hash
  }
  return chain
}

const sha256 = async (text: string): Promise<string> => {
  const digest = await crypto.subtle.digest('SHA-256', new TextEncoder().encode(text))
  return [...new Uint8Array(digest)].map((byte) => byte.toString(16).padStart(2, '0')).join('')
}
