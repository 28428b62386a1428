import { createHash } from 'node:crypto'
import type { AuditAction, AuditEvent } from '@narrowapi/contract'
import { beforeAll, expect, test } from 'vitest'
import { createWorld, examples, type World } from '../support/examples.ts'
import { send } from '../support/send.ts'
import { serverAndUpstream } from '../support/server-and-upstream.ts'

/**
 * The chain, checked by someone who has nothing but the documentation and the answers of the API: written
 * here once more, and sharing no line with the server.
 */
const hashOf = ({ object: _, created_at: __, prev_hash, hash: ___, ...event }: AuditEvent): string =>
  createHash('sha256')
    .update(prev_hash + canonical(event))
    .digest('hex')

/** RFC 8785 for the values of audit events: members sorted by UTF-16 code units, no spaces. */
const canonical = (value: unknown): string => {
  if (Array.isArray(value)) return `[${value.map(canonical).join()}]`
  if (typeof value !== 'object' || value === null) return JSON.stringify(value)
  const members = Object.entries(value).sort(([left], [right]) => (left < right ? -1 : 1))
  return `{${members.map(([name, member]) => `${JSON.stringify(name)}:${canonical(member)}`).join()}}`
}

/** What is wrong with a chain, oldest event first; the head says where it must end. */
const faultsIn = (events: readonly AuditEvent[], head: { seq: number; hash: string }): string[] => {
  const faults = events.flatMap((event, index) => {
    const before = events[index - 1]
    return [
      ...(event.seq === index + 1 ? [] : [`${event.id} is number ${event.seq}`]),
      ...(event.prev_hash === (before?.hash ?? '0'.repeat(64)) ? [] : [`${event.id} follows something else`]),
      ...(event.hash === hashOf(event) ? [] : [`${event.id} was changed`]),
    ]
  })
  const last = events.at(-1)
  return last?.hash === head.hash && last.seq === head.seq ? faults : [...faults, 'the end is missing']
}

const { server, upstream } = await serverAndUpstream()
let world: World

beforeAll(async () => {
  world = await createWorld(server, upstream.url)
  const { narrow } = world.owner
  const metadata = { '\u{1F600}': 'caf\u00e9', '\uFFEE': '\u2028"\\\u0007', constructor: '' }
  await narrow.actions.update(world.action.id, { metadata, description: 'e\u0301', timeout_ms: 1234 })
  await narrow.actions.update(world.action.id, {
    fixed_input: { amount: 1e21 },
    body_template: { a: 0.1, b: -0 },
  })
  await narrow.actions.restoreVersion(world.action.id, 1)
  await narrow.secrets.update(world.secret.id, { value: 'payments-secret-9876543210' })
  await narrow.workspaces.pause(world.workspaceId)
  await narrow.workspaces.resume(world.workspaceId)
  await narrow.tokens.rotate(world.token.id, { grace_period_hours: 1 })
  await narrow.actions.rotateToken(world.action.id, {})
  await Promise.all(
    ['a', 'b', 'c', 'd', 'e'].map((name) => narrow.secrets.create({ ...examples.secret(), name })),
  )
  await narrow.apiKeys.delete(world.apiKey.id)
  // A refusal is an event of the chain like every other.
  expect((await send(server.url, 'GET', '/api/v1/actions', { credential: world.apiKey.key })).status).toBe(
    401,
  )
  await server.deps.refusals.drain()
})

const read = async <T>(path: string): Promise<T> => {
  const { status, body } = await send(server.url, 'GET', path, { credential: world.owner.key })
  expect(status).toBe(200)
  // That answers have the shape of the contract is held for every route elsewhere.
  return body as T
}

/** The whole chain, oldest first, as the API tells it page by page. */
const readChain = async (): Promise<AuditEvent[]> => {
  const events: AuditEvent[] = []
  for (let cursor: string | null = ''; cursor !== null; ) {
    const page: { data: AuditEvent[]; next_cursor: string | null } = await read(
      `/api/v1/audit?sort=created_at&limit=7${cursor && `&cursor=${cursor}`}`,
    )
    events.push(...page.data)
    cursor = page.next_cursor
  }
  return events
}

const readHead = async (): Promise<{ seq: number; hash: string }> => {
  const [head] = await server.database.sql<{ seq: number; hash: string }[]>`
    select seq, hash from audit_heads where workspace_id = ${world.workspaceId}`
  if (!head) throw new Error('The chain has no head')
  return head
}

test('the whole chain can be verified from what the API answers, without a gap', async () => {
  const events = await readChain()
  expect(events.length).toBeGreaterThan(15)
  expect(new Set(events.map(({ action }) => action)).size).toBeGreaterThan(10)
  expect(faultsIn(events, await readHead())).toEqual([])
})

test('a single event is the same read alone', async () => {
  const [event] = await readChain()
  expect(await read(`/api/v1/audit/${event?.id}`)).toEqual(event)
})

test('concurrent changes get one place each', async () => {
  const before = await readHead()
  const { narrow } = world.owner
  await Promise.all(Array.from({ length: 20 }, () => narrow.secrets.create(examples.secret())))
  expect((await readHead()).seq).toBe(before.seq + 20)
  expect(faultsIn(await readChain(), await readHead())).toEqual([])
})

test('no event names a secret or a credential', async () => {
  const text = JSON.stringify(await readChain())
  for (const secret of ['upstream-secret', 'payments-secret', world.token.token, world.owner.key])
    expect(text).not.toContain(secret)
})

test('an event names every object that was made, changed or ended', async () => {
  const { narrow } = world.owner
  const targetsOf = async (action: AuditAction) =>
    (await narrow.audit.list({ action, limit: 1 })).data[0]?.targets
  const made = await narrow.actions.create(examples.action(upstream.url))
  const secret = { type: 'secret', id: made.secret_id }
  expect(await targetsOf('action.created')).toEqual([{ type: 'action', id: made.id }, secret])
  const changed = await narrow.actions.update(made.id, { auth_value: 'another-secret-0123456789' })
  expect(await targetsOf('action.updated')).toContainEqual({ type: 'secret', id: changed.secret_id })
  const old = [1, 2].map(() => narrow.tokens.create(examples.token(made.id)))
  const ended = (await Promise.all(old)).map(({ id }) => ({ type: 'token', id }))
  const { id } = await narrow.actions.rotateToken(made.id, {})
  expect(await targetsOf('token.rotated')).toEqual([
    { type: 'token', id },
    { type: 'action', id: made.id },
    ...ended.sort((left, right) => (left.id < right.id ? -1 : 1)),
  ])
})

test('a second revocation changes nothing and is no event', async () => {
  const { apiKeys, tokens } = world.owner.narrow
  const key = await apiKeys.create(examples.apiKey())
  const token = await tokens.create(examples.token(world.action.id))
  for (const path of [`/api/v1/api-keys/${key.id}`, `/api/v1/tokens/${token.id}`]) {
    const revoke = () => send(server.url, 'DELETE', path, { credential: world.owner.key })
    expect((await revoke()).status).toBe(204)
    const before = [await read(path), await readHead()]
    expect((await revoke()).status).toBe(204)
    expect([await read(path), await readHead()]).toEqual(before)
  }
})

test('any event that is changed, removed or moved is found out', async () => {
  const events = await readChain()
  const head = await readHead()
  const changes: ((event: AuditEvent) => AuditEvent)[] = [
    (event) => ({
      ...event,
      action: event.action === 'action.deleted' ? 'action.updated' : 'action.deleted',
    }),
    (event) => ({ ...event, outcome: event.outcome === 'failure' ? 'success' : 'failure' }),
    (event) => ({ ...event, occurred_at: '2020-01-01T00:00:00.000Z' }),
    (event) => ({ ...event, actor: { ...event.actor, name: 'Nobody' } }),
    (event) => ({ ...event, targets: [...event.targets, { type: 'action', id: 'act_0' }] }),
    (event) => ({ ...event, changes: [...event.changes, { field: 'x', from: null, to: null }] }),
    (event) => ({ ...event, context: { ...event.context, ip: '203.0.113.9' } }),
    (event) => ({ ...event, workspace_id: 'ws_0' }),
    (event) => ({ ...event, id: 'aud_0' }),
    (event) => ({ ...event, seq: event.seq + 1 }),
    (event) => ({ ...event, prev_hash: 'f'.repeat(64) }),
    (event) => ({ ...event, hash: 'f'.repeat(64) }),
    (event) => {
      const changed = { ...event, outcome: 'failure' as const }
      return { ...changed, hash: hashOf(changed) }
    },
  ]
  for (const [index, event] of events.entries()) {
    for (const change of changes) {
      const changed = change(event)
      if (canonical(changed) === canonical(event)) continue
      expect(faultsIn(events.with(index, changed), head)).not.toEqual([])
    }
    expect(faultsIn(events.toSpliced(index, 1), head)).not.toEqual([])
    const next = events[index + 1]
    if (next) expect(faultsIn(events.with(index, next).with(index + 1, event), head)).not.toEqual([])
  }
  expect(faultsIn([], head)).not.toEqual([])
})
