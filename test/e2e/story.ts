import type { ErrorCode, NarrowAPI } from '@narrowapi/sdk'
import { isNarrowError } from '@narrowapi/sdk'
import { expect } from 'vitest'
import { examples } from '../support/examples.ts'
import type { Upstream } from '../support/upstream.ts'

export type Scene = {
  /** A client with any credential, through whatever stands in front of the server. */
  as(credential: string): NarrowAPI
  ownerKey: string
  workspaceId: string
  upstream: Upstream
}

/**
 * Everything a workspace can be used for, told once: every operation of the document at least once, and the
 * refusals that a request which fits the document can meet. It needs a workspace to itself and leaves it empty.
 */
export const story = async (scene: Scene): Promise<void> => {
  const operator = scene.as(scene.ownerKey)
  await checkHealth(scene)
  await keepSecrets(operator)
  await manageKeys(scene, operator)
  const action = await defineAction(scene, operator)
  const token = await issueTokens(operator, action.id)
  await runAction(scene, operator, { action, token })
  await meetUpstreamFailures(scene, operator)
  await readRecords(operator, action.id)
  await pauseWorkspace(scene, operator, { action, token })
  await endTokens(scene, operator, { action, token })
  await readAudit(operator)
}

type Action = Awaited<ReturnType<typeof defineAction>>
type Token = { id: string; token: string }
type Issued = { action: Action; token: Token }

const checkHealth = async ({ as }: Scene): Promise<void> => {
  const anybody = as('')
  expect(await anybody.health.live()).toEqual({ status: 'ok' })
  expect(await anybody.health.ready()).toEqual({ status: 'ok' })
}

const keepSecrets = async (operator: NarrowAPI): Promise<void> => {
  const secret = await operator.secrets.create({ ...examples.secret(), metadata: { team: 'billing' } })
  const { version } = await operator.secrets.update(secret.id, { value: 'another-secret-0123456789' })
  expect(version).toBe(2)
  expect(await operator.secrets.get(secret.id, { fields: ['name'] })).toMatchObject({ name: secret.name })
  const found = await operator.secrets.list({ metadata: { team: 'billing' }, sort: ['-created_at', 'name'] })
  expect(found.data.map(({ id }) => id)).toEqual([secret.id])
  await operator.secrets.delete(secret.id)
  await refused(operator.secrets.get(secret.id), 'not_found')
}

const manageKeys = async ({ as, ownerKey }: Scene, operator: NarrowAPI): Promise<void> => {
  const reader = await operator.apiKeys.create({ name: 'Reader', scopes: ['actions:read'] })
  expect(await operator.apiKeys.get(reader.id)).toMatchObject({ status: 'active', scopes: ['actions:read'] })
  await refused(as(reader.key).secrets.create(examples.secret()), 'forbidden')
  const keys = await operator.apiKeys.list({ limit: 1 })
  expect(keys.has_more).toBe(true)
  await refused(operator.apiKeys.list({ limit: 1, cursor: `${keys.next_cursor}x` }), 'invalid_cursor')
  await operator.apiKeys.delete(reader.id)
  await refused(as(reader.key).actions.list(), 'unauthorized')
  const owner = (await operator.apiKeys.list()).data.find(({ last_four }) => ownerKey.endsWith(last_four))
  await refused(operator.apiKeys.delete(owner?.id ?? ''), 'in_use')
}

const defineAction = async ({ upstream }: Scene, operator: NarrowAPI) => {
  const action = await operator.actions.create({
    ...examples.action(upstream.url),
    slug: 'refund',
    constraints: [{ path: '/amount', op: 'max', value: 5000 }],
    tags: ['billing'],
  })
  await refused(operator.actions.create({ ...examples.action(upstream.url), slug: 'refund' }), 'conflict')
  await refused(operator.secrets.delete(action.secret_id ?? ''), 'in_use')
  const described = await operator.actions.update(action.id, { description: 'Refunds', version: 1 })
  expect(described.version).toBe(2)
  const stale = { headers: { 'if-match': '"1"' } }
  await refused(operator.actions.update(action.id, { name: 'Late' }, stale), 'version_conflict')
  expect((await operator.actions.restoreVersion(action.id, 1)).version).toBe(3)
  const versions = await operator.actions.listVersions(action.id).toArray({ max: 10 })
  expect(versions.map(({ version }) => version)).toEqual([3, 2, 1])
  const tagged = await operator.actions.list({ tag: 'billing', fields: ['name', 'slug'] })
  expect(tagged.data).toEqual([{ id: action.id, object: 'action', name: action.name, slug: 'refund' }])
  const { input_schema } = await operator.actions.getSchema(action.id)
  expect(input_schema).toMatchObject({ required: ['charge_id', 'amount'] })
  const { allowed } = await operator.actions.test(action.id, { input: { ...examples.input(), amount: 6000 } })
  expect(allowed).toBe(false)
  return operator.actions.get(action.id)
}

const issueTokens = async (operator: NarrowAPI, actionId: string): Promise<Token> => {
  const issued = await operator.tokens.create({
    name: 'support-bot',
    grants: [{ action_id: actionId, constraints: [{ path: '/amount', op: 'max', value: 2000 }] }],
    expires_at: '2099-01-01T00:00:00.000Z',
  })
  expect((await operator.tokens.list({ action_id: actionId })).data).toMatchObject([{ id: issued.id }])
  const rotated = await operator.tokens.rotate(issued.id, { grace_period_hours: 0 })
  expect(rotated.token).not.toBe(issued.token)
  return rotated
}

const runAction = async ({ as, upstream }: Scene, operator: NarrowAPI, { action, token }: Issued) => {
  const agent = as(token.token)
  expect((await agent.x.manifest()).callables).toMatchObject([{ id: action.id, slug: 'refund' }])
  expect(await agent.x.get('refund')).toMatchObject({ id: action.id })
  expect(await agent.x.dryRun('refund', examples.input())).toMatchObject({ allowed: true })

  const idempotencyKey = 'refund-1'
  const first = await agent.execute('refund', examples.input(), { idempotencyKey }).withResponse()
  expect(first.data).toMatchObject({ method: 'POST', url: '/charges/ch_1/refund' })
  const again = await agent.execute('refund', examples.input(), { idempotencyKey }).withResponse()
  expect(again.response.headers.get('idempotent-replayed')).toBe('true')
  expect(upstream.received.filter(({ url }) => url === '/charges/ch_1/refund')).toHaveLength(1)
  const other = { ...examples.input(), amount: 200 }
  await refused(agent.execute('refund', other, { idempotencyKey }), 'idempotency_key_reused')

  await refused(agent.execute('refund', { amount: 'much' }), 'validation_failed')
  await refused(agent.execute('refund', { ...examples.input(), amount: 3000 }), 'policy_denied')
  await refused(agent.execute('unknown', examples.input()), 'not_found')
  await refused(as('sxt_unknown').execute('refund', examples.input()), 'unauthorized')

  const [execution] = (await operator.executions.list({ status: 'completed', limit: 1 })).data
  expect(await agent.x.getExecution(execution?.id ?? '')).toEqual(execution)
}

/** An action of its own, that may be run seldom and by nobody for long. */
const meetUpstreamFailures = async ({ as, upstream }: Scene, operator: NarrowAPI): Promise<void> => {
  const action = await operator.actions.create({
    name: 'Read a charge',
    method: 'GET',
    target_url: `${upstream.url}/charges`,
    rate_limit_rpm: 6,
  })
  const { token } = await operator.tokens.create({ name: 'reader', action_ids: [action.id] })
  const agent = as(token)
  const usual = upstream.answer
  const answerWith = (status: number, type: string, body: string): void => {
    upstream.answer = (_, res) => res.writeHead(status, { 'content-type': type }).end(body)
  }
  answerWith(200, 'text/plain', 'as text')
  expect(await agent.execute(action.id)).toBe('as text')
  answerWith(204, 'text/plain', '')
  expect(await agent.execute(action.id)).toBeUndefined()
  for (const status of [404, 422, 418]) {
    answerWith(status, 'application/json', '{"reason":"its own words"}')
    await expect(agent.execute(action.id)).rejects.toMatchObject({
      code: 'upstream_response',
      status,
      body: { reason: 'its own words' },
    })
  }
  answerWith(401, 'application/json', '{}')
  await refused(agent.execute(action.id), 'upstream_auth_failed')
  await refused(agent.execute(action.id), 'rate_limited')
  upstream.answer = usual

  await operator.actions.update(action.id, { sunset_at: '2020-01-01T00:00:00.000Z' })
  await expect.poll(() => codeOf(agent.x.get(action.id))).toBe('sunset')
  await operator.actions.delete(action.id)
  await refused(operator.actions.get(action.id), 'not_found')
}

const readRecords = async (operator: NarrowAPI, actionId: string): Promise<void> => {
  const all = await operator.executions.list({ limit: 2, action_id: actionId }).toArray({ max: 50 })
  const nested = await operator.actions
    .listExecutions(actionId, { sort: ['created_at'] })
    .toArray({ max: 50 })
  expect(nested.map(({ id }) => id)).toEqual(all.map(({ id }) => id).reverse())
  const refusedOnes = all.filter(({ status }) => status === 'rejected').map(({ error }) => error?.code)
  expect(refusedOnes).toEqual(['policy_denied', 'validation_failed'])
  const [newest] = all
  expect(await operator.executions.get(newest?.id ?? '')).toEqual(newest)
  expect(await operator.actions.getExecution(actionId, newest?.id ?? '')).toEqual(newest)
}

const pauseWorkspace = async ({ as, workspaceId }: Scene, operator: NarrowAPI, { action, token }: Issued) => {
  const agent = as(token.token)
  expect((await operator.workspaces.list()).data).toMatchObject([{ id: workspaceId }])
  const settings = { timezone: 'Europe/London' }
  expect(await operator.workspaces.update(workspaceId, { settings })).toMatchObject({ settings })
  expect(await operator.workspaces.pause(workspaceId)).toMatchObject({ status: 'paused' })
  await expect.poll(() => codeOf(agent.execute(action.id, examples.input()))).toBe('paused')
  await operator.workspaces.resume(workspaceId)
  expect(await operator.workspaces.get(workspaceId)).toMatchObject({ status: 'active' })
}

const endTokens = async ({ as }: Scene, operator: NarrowAPI, { action, token }: Issued): Promise<void> => {
  const once = await operator.tokens.create({ name: 'once', action_ids: [action.id], max_uses: 1 })
  await expect.poll(() => codeOf(as(once.token).execute(action.id, examples.input()))).toBeUndefined()
  await refused(as(once.token).execute(action.id, examples.input()), 'token_exhausted')

  await operator.tokens.delete(once.id)
  expect(await operator.tokens.get(once.id)).toMatchObject({ status: 'revoked' })
  await refused(operator.tokens.rotate(once.id), 'invalid_state')
  const fresh = await operator.actions.rotateToken(action.id)
  expect(fresh.revoked_token_ids).toEqual([token.id])
  await operator.tokens.delete(fresh.id)
  await operator.actions.delete(action.id)
}

const readAudit = async (operator: NarrowAPI): Promise<void> => {
  const [event] = (await operator.audit.list({ action: 'action.restored' })).data
  expect(await operator.audit.get(event?.id ?? '')).toMatchObject({ hash: event?.hash, outcome: 'success' })
}

const codeOf = (call: Promise<unknown>): Promise<string | undefined> =>
  call.then(
    () => undefined,
    (error: unknown) => (isNarrowError(error) ? error.code : String(error)),
  )

const refused = async (call: Promise<unknown>, code: ErrorCode): Promise<void> => {
  await expect(call).rejects.toMatchObject({ code })
}
