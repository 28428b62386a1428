import { describe, expect, test } from 'vitest'
import { examples } from '../support/examples.ts'
import { ask } from '../support/send.ts'
import type { Actor } from '../support/server.ts'
import { serverAndUpstream } from '../support/server-and-upstream.ts'

const { server, upstream } = await serverAndUpstream()

type Wanted = Parameters<Actor['narrow']['actions']['create']>[0]

const newAction = (more: Partial<Wanted> = {}, { narrow } = server.owner) =>
  narrow.actions.create({ ...examples.action(upstream.url), ...more })

describe('a change of an action', () => {
  test('of one member of a policy leaves the others as they were', async () => {
    const { actions } = server.owner.narrow
    const { id } = await newAction({
      response: { fields: ['id'], redact: ['id'], headers: ['x-kind'] },
      annotations: { read_only: true, open_world: false },
      retry: { max: 2, on: ['connection', '503'] },
      idempotency: { header: 'Idempotency-Key', safe: true },
    })
    const changed = await actions.update(id, {
      response: { max_bytes: 9000 },
      annotations: { idempotent: true },
      retry: { max: 1 },
      idempotency: { safe: false },
    })
    expect(changed).toMatchObject({
      response: { fields: ['id'], redact: ['id'], max_bytes: 9000, headers: ['x-kind'] },
      annotations: { read_only: true, destructive: false, idempotent: true, open_world: false },
      retry: { max: 1, on: ['connection', '503'] },
      idempotency: { header: 'Idempotency-Key', safe: false },
    })
    const cleared = await actions.update(id, {
      response: { redact: null },
      retry: null,
      idempotency: { header: null },
    })
    expect(cleared).toMatchObject({
      response: { fields: ['id'], redact: null, max_bytes: 9000, headers: ['x-kind'] },
      retry: null,
      idempotency: { header: null, safe: false },
    })
  })

  test('that tells nothing of a policy leaves it whole', async () => {
    const before = await newAction({
      response: { redact: ['card'] },
      annotations: { open_world: false },
      retry: { max: 1 },
      headers: { 'X-Team': 'payments' },
    })
    const after = await server.owner.narrow.actions.update(before.id, { description: 'Refunds a charge' })
    const { description, version, updated_at, ...same } = after
    expect(before).toMatchObject(same)
    expect([description, version]).toEqual(['Refunds a charge', 2])
    expect(updated_at > before.updated_at).toBe(true)
  })

  test('that gives a policy where there was none begins from the defaults', async () => {
    const { actions } = server.owner.narrow
    const { id } = await newAction()
    expect(await actions.update(id, { retry: { max: 1 }, idempotency: { safe: true } })).toMatchObject({
      retry: { max: 1, on: ['connection'] },
      idempotency: { header: null, safe: true },
    })
    const other = await newAction()
    await expect(actions.update(other.id, { retry: { on: ['connection'] } })).rejects.toMatchObject({
      status: 422,
      details: [{ field: 'retry.max', message: 'is required' }],
    })
  })

  test('of one header or query parameter leaves the others, and null takes one away', async () => {
    const { actions } = server.owner.narrow
    const { id } = await newAction({ headers: { 'X-A': '1', 'X-B': '2' }, query: { a: '1' } })
    expect(
      await actions.update(id, { headers: { 'X-B': null, 'X-C': '3' }, query: { b: '2' } }),
    ).toMatchObject({ headers: { 'X-A': '1', 'X-C': '3' }, query: { a: '1', b: '2' } })
    expect(await actions.update(id, { headers: null })).toMatchObject({
      headers: null,
      query: { a: '1', b: '2' },
    })
    expect((await actions.update(id, { headers: { 'X-D': '4' } })).headers).toEqual({ 'X-D': '4' })
  })

  test('replaces schemas, templates, fixed inputs, lists and metadata whole', async () => {
    const whole = {
      output_schema: { type: 'object' },
      body_template: { reason: 'asked' },
      fixed_input: { amount: 1 },
      tags: ['b'],
      metadata: { b: '2' },
    }
    const { id } = await newAction({
      output_schema: { type: 'object', title: 'Refund' },
      body_template: { amount: '{{amount}}' },
      fixed_input: { charge_id: 'ch_1' },
      tags: ['a'],
      metadata: { a: '1' },
    })
    expect(await server.owner.narrow.actions.update(id, whole)).toEqual(expect.objectContaining(whole))
  })

  test('of the secret value is a new version of that moment', async () => {
    const { actions } = server.owner.narrow
    const before = await newAction()
    const after = await actions.update(before.id, { auth_value: 'another-secret-0123456789' })
    expect(after.version).toBe(2)
    expect(after.updated_at > before.updated_at).toBe(true)
    const [newest] = (await actions.listVersions(before.id)).data
    expect(newest).toMatchObject({ version: 2, created_at: after.updated_at })
  })

  test('is refused when either version it was told to start from is not the present one', async () => {
    const { id } = await newAction()
    await server.owner.narrow.actions.update(id, { description: 'x' })
    const change = async (version: number, ifMatch: string) => {
      const { status } = await ask(server.url, `PATCH /api/v1/actions/${id}`, {
        credential: server.owner.key,
        body: { description: 'y', version },
        headers: { 'if-match': ifMatch },
      })
      return status
    }
    expect(await change(1, '"2"')).toBe(409)
    expect(await change(2, '"1"')).toBe(409)
    expect(await change(2, '"2"')).toBe(200)
  })

  test('can pause and archive an action whose host is not allowed any more, and not run it', async () => {
    const actor = await server.newWorkspace()
    const { actions, workspaces } = actor.narrow
    const { id } = await newAction({}, actor)
    await workspaces.update(actor.workspaceId, { settings: { allowed_hosts: ['example.com'] } })
    expect(await actions.update(id, { status: 'paused', name: 'Closed' })).toMatchObject({ status: 'paused' })
    const refused = { status: 422, details: [{ field: 'target_url' }] }
    await expect(actions.update(id, { status: 'active' })).rejects.toMatchObject(refused)
    await expect(actions.update(id, { method: 'PUT' })).rejects.toMatchObject(refused)
    expect(await actions.update(id, { status: 'archived' })).toMatchObject({ status: 'archived' })
  })
})

test('a target shows the host that is called, however it was written', async () => {
  const { actions } = server.owner.narrow
  const cyrillic = 'https://\u0430\u0440\u0440\u04cf\u0435.example/v1/{amount}?q={charge_id}'
  const { id, ...made } = await newAction({ status: 'draft', target_url: cyrillic })
  const dialled = 'https://xn--80ak6aa92e.example/v1/{amount}?q={charge_id}'
  expect([made.target_url, (await actions.get(id)).target_url]).toEqual([dialled, dialled])
  const changed = await actions.update(id, { target_url: 'HTTPS://API.Example.com.:443/{charge_id}' })
  expect(changed.target_url).toBe('https://api.example.com/{charge_id}')
})

test('a plan that changes at the same moment lets no more actions be active than the larger one', async () => {
  const { workspaceId, narrow } = await server.newWorkspace()
  const { sql } = server.database
  await sql`update plans set active_actions = 2, requests_per_minute = 100000 where tier = 'starter'`
  await sql`update plans set active_actions = 1, requests_per_minute = 100000 where tier = 'free'`
  await narrow.workspaces.update(workspaceId, { tier: 'free' })
  for (let round = 0; round < 20; round += 1)
    await Promise.allSettled([
      narrow.workspaces.update(workspaceId, { tier: round % 2 === 0 ? 'starter' : 'free' }),
      ...[1, 2, 3, 4].map(() => narrow.actions.create(examples.action(upstream.url))),
    ])
  const active = await narrow.actions.list({ status: 'active', limit: 100 })
  expect(active.data.length).toBeLessThanOrEqual(2)
})

test('a version that no action can have is not found', async () => {
  const { id } = await newAction()
  for (const version of [2, 2_147_483_647, 2_147_483_648, 999_999_999_999_999])
    await expect(server.owner.narrow.actions.restoreVersion(id, version)).rejects.toMatchObject({
      status: 404,
    })
})

test('the schema of an action is what its callers see', async () => {
  const { id } = await newAction({
    response: { fields: ['id'] },
    output_schema: {
      type: 'object',
      properties: { id: { type: 'string' }, internal: { type: 'string' } },
      required: ['id', 'internal'],
    },
  })
  const { token } = await server.owner.narrow.tokens.create(examples.token(id))
  const { body } = await ask(server.url, `GET /x/${id}`, { credential: token })
  const { input_schema, output_schema } = await server.owner.narrow.actions.getSchema(id)
  expect(body).toMatchObject({ input_schema, output_schema })
  expect(JSON.stringify(output_schema)).not.toContain('internal')
})

test('rotations of one token at once leave one active token', async () => {
  const { actions, tokens } = server.owner.narrow
  const { id } = await newAction()
  await Promise.all([1, 2, 3].map(() => actions.rotateToken(id, {})))
  expect((await tokens.list({ action_id: id })).data).toHaveLength(1)
})

describe('a test of an action as a token', () => {
  const judged = async (actionId: string, tokenId: string) =>
    server.owner.narrow.actions.test(actionId, { input: examples.input(), token_id: tokenId })

  test('names the revision of the token, as its own dry run does', async () => {
    const { id } = await newAction()
    const { id: tokenId, token } = await server.owner.narrow.tokens.create(examples.token(id))
    const { body } = await ask(server.url, `POST /x/${id}/dry-run`, {
      credential: token,
      body: examples.input(),
    })
    expect(body).toEqual(await judged(id, tokenId))
    expect((await judged(id, tokenId)).decision.policy_revision).toMatch(/^action:1 token:/)
  })

  test('is not allowed when the token is revoked, used up, or not yet valid', async () => {
    const { narrow } = server.owner
    const { id } = await newAction()
    const grants = [{ action_id: id }]
    const revoked = await narrow.tokens.create({ name: 'revoked', grants })
    await narrow.tokens.delete(revoked.id)
    const early = await narrow.tokens.create({ name: 'early', grants, not_before: '2999-01-01T00:00:00Z' })
    const used = await narrow.tokens.create({ name: 'used', grants, max_uses: 1 })
    const usedGrant = await narrow.tokens.create({
      name: 'used grant',
      grants: [{ action_id: id, max_uses: 1 }],
    })
    for (const { token } of [used, usedGrant]) await server.as(token).execute(id, examples.input())
    for (const token of [revoked, early, used, usedGrant])
      expect([token.name, await judged(id, token.id)]).toEqual([
        token.name,
        expect.objectContaining({ allowed: false, request: null }),
      ])
  })

  test('finds no token that does not name the action', async () => {
    const [{ id }, other] = [await newAction(), await newAction()]
    const token = await server.owner.narrow.tokens.create(examples.token(other.id))
    for (const tokenId of [token.id, 'tok_0000000000000000000000'])
      await expect(judged(id, tokenId)).rejects.toMatchObject({ status: 404 })
  })
})
