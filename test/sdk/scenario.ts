import { type CreateAction, isNarrowError, NarrowAPI } from '@narrowapi/sdk'

/** What an upstream answers next, and for good until told otherwise. */
export type UpstreamAnswer = { status: number; type?: string; text: string; retryAfter?: string }

/** A NarrowAPI, real or not, with a workspace to itself. */
export type World = {
  baseUrl: string
  fetch: typeof fetch
  ownerKey: string
  workspaceId: string
  upstreamUrl: string
  answerWith(answer: UpstreamAnswer): void
}

/** One answer, as it was sent. `operation` is undefined for requests made by hand. */
export type Exchange = {
  step: string
  operation: string | undefined
  status: number
  headers: [string, string][]
  body: unknown
}

/**
 * Everything that a test of an integration may ask of NarrowAPI: every operation with its successes and the
 * refusals that callers meet. Told once, so that the answers of two worlds can be laid side by side.
 */
export const runScenario = async (world: World): Promise<Exchange[]> => {
  const tape = new Tape(world)
  const owner = tape.as(world.ownerKey)
  await health(tape)
  await workspace(tape, owner)
  await secrets(tape, owner)
  await apiKeys(tape, owner)
  const actions = await defineActions(tape, owner)
  const tokens = await issueTokens(tape, owner, actions)
  await holderReads(tape, { ...actions, ...tokens })
  await runs(tape, owner, { ...actions, ...tokens })
  await records(tape, owner, actions)
  await idempotency(tape, owner)
  await strangers(tape)
  await pause(tape, owner, { ...actions, ...tokens })
  await ends(tape, owner, { ...actions, ...tokens })
  await audit(tape, owner)
  return tape.exchanges
}

type Actions = Awaited<ReturnType<typeof defineActions>>
type Tokens = Awaited<ReturnType<typeof issueTokens>>

/** Keeps every answer under the name of its step. */
class Tape {
  readonly exchanges: Exchange[] = []
  readonly world: World
  #step = ''

  constructor(world: World) {
    this.world = world
  }

  as(apiKey: string): NarrowAPI {
    const { baseUrl, fetch } = this.world
    return new NarrowAPI({
      apiKey,
      baseUrl,
      fetch,
      retries: 0,
      middleware: [
        async (request, next, { operation }) => {
          const response = await next(request)
          await this.#keep(operation, response)
          return response
        },
      ],
    })
  }

  /** Does one thing and goes on when it is refused; what was answered is on the tape. */
  async step<T>(name: string, work: () => Promise<T>): Promise<T | undefined> {
    this.#step = name
    try {
      return await work()
    } catch (error) {
      if (isNarrowError(error)) return undefined
      throw error
    }
  }

  /** The same where the rest of the story needs the answer. */
  async done<T>(name: string, work: () => Promise<T>): Promise<T> {
    this.#step = name
    try {
      return await work()
    } catch (cause) {
      throw new Error(`${name} failed`, { cause })
    }
  }

  /** A request that the SDK would not send: `GET /api/v1/actions`. */
  async send(name: string, line: string, headers: Record<string, string>, body?: string): Promise<void> {
    this.#step = name
    const [method = '', path = ''] = line.split(' ')
    const { baseUrl, fetch } = this.world
    const response = await fetch(baseUrl + path, { method, headers, body: body ?? null, redirect: 'manual' })
    await this.#keep(undefined, response)
  }

  async #keep(operation: string | undefined, response: Response): Promise<void> {
    const text = await response.clone().text()
    this.exchanges.push({
      step: this.#step,
      operation,
      status: response.status,
      headers: [...response.headers],
      body: parsed(text),
    })
  }
}

const parsed = (text: string): unknown => {
  try {
    return JSON.parse(text)
  } catch {
    return text
  }
}

/** Of the form of an id that nothing has. */
const nothing = (prefix: string): string => `${prefix}_${'9'.repeat(22)}`

const health = async (tape: Tape): Promise<void> => {
  const anybody = tape.as('')
  await tape.step('live', () => anybody.health.live())
  await tape.step('ready', () => anybody.health.ready())
}

const workspace = async (tape: Tape, owner: NarrowAPI): Promise<void> => {
  const { workspaceId } = tape.world
  await tape.step('name the workspace', () => owner.workspaces.update(workspaceId, { name: 'Acme' }))
  await tape.step('list workspaces', () => owner.workspaces.list())
  await tape.step('get a workspace', () => owner.workspaces.get(workspaceId))
  await tape.step('get some fields of a workspace', () =>
    owner.workspaces.get(workspaceId, { fields: ['name'] }),
  )
  await tape.step('merge settings', () =>
    owner.workspaces.update(workspaceId, { settings: { timezone: 'Europe/London' }, metadata: { a: 'b' } }),
  )
  await tape.step('a setting of the wrong type', () =>
    owner.workspaces.update(workspaceId, { settings: { execution_retention_days: 0 } }),
  )
  await tape.step('a workspace of others', () => owner.workspaces.get(nothing('ws')))
  await tape.step('another workspace by header', () =>
    owner.workspaces.list({}, { workspaceId: nothing('ws') }),
  )
}

const secrets = async (tape: Tape, owner: NarrowAPI): Promise<void> => {
  const value = 'payments-secret-0123456789'
  const secret = await tape.done('create a secret', () =>
    owner.secrets.create({ name: 'Payments', type: 'bearer', value, metadata: { team: 'billing' } }),
  )
  await tape.done('create a plain secret', () => owner.secrets.create({ name: 'Another', value }))
  await tape.step('a secret without a value', () => owner.secrets.create({ name: 'None' } as never))
  await tape.step('a secret with an unknown field', () =>
    owner.secrets.create({ name: 'None', value, colour: 'red' } as never),
  )
  await tape.step('a secret that is over', () =>
    owner.secrets.create({ name: 'Past', value, expires_at: '2020-01-01T00:00:00Z' }),
  )
  await tape.step('get a secret', () => owner.secrets.get(secret.id))
  await tape.step('change the value of a secret', () =>
    owner.secrets.update(secret.id, { value: 'another-secret-0123456789' }),
  )
  await tape.step('rename a secret', () => owner.secrets.update(secret.id, { name: 'Cards' }))
  await tape.step('change a stale secret', () => owner.secrets.update(secret.id, { value, version: 1 }))
  await tape.step('rename a stale secret', () =>
    owner.secrets.update(secret.id, { name: 'Late' }, { headers: { 'if-match': '"1"' } }),
  )
  await tape.step('delete a stale secret', () =>
    owner.secrets.delete(secret.id, { headers: { 'if-match': '"1"' } }),
  )
  await tape.step('list secrets by state', () => owner.secrets.list({ status: 'active', fields: ['name'] }))
  await tape.step('list secrets by metadata', () => owner.secrets.list({ metadata: { team: 'billing' } }))
  await tape.step('list secrets by type', () =>
    owner.secrets.list({ type: 'generic', fields: ['name', 'type'] }),
  )
  await tape.step('list secrets by two fields', () => owner.secrets.list({ sort: ['name', '-created_at'] }))
  await tape.step('delete a secret', () => owner.secrets.delete(secret.id))
  await tape.step('a deleted secret', () => owner.secrets.get(secret.id))
  await tape.step('change it', () => owner.secrets.update(secret.id, { name: 'Gone' }))
  await tape.step('delete it again', () => owner.secrets.delete(secret.id))
}

const apiKeys = async (tape: Tape, owner: NarrowAPI): Promise<void> => {
  const plain = await tape.done('a key with the default scopes', () =>
    owner.apiKeys.create({ name: 'Default' }),
  )
  const reader = await tape.done('create a key', () =>
    owner.apiKeys.create({
      name: 'Reader',
      scopes: ['actions:read', 'api-keys:write'],
      metadata: { a: 'b' },
    }),
  )
  await tape.step('a key without a name', () => owner.apiKeys.create({} as never))
  await tape.step('a key with an unknown scope', () =>
    owner.apiKeys.create({ name: 'X', scopes: ['everything'] as never }),
  )
  await tape.step('get a key', () => owner.apiKeys.get(reader.id))
  await tape.step('what the scope allows', () => tape.as(reader.key).actions.list())
  await tape.step('what the scope does not allow', () => tape.as(reader.key).secrets.list())
  await tape.step('a wider key than its maker', () =>
    tape.as(reader.key).apiKeys.create({ name: 'Wide', scopes: ['write'] }),
  )
  const first = await tape.done('the first page', () => owner.apiKeys.list({ limit: 2, sort: ['name'] }))
  const cursor = first.next_cursor ?? ''
  await tape.step('the last page', () => owner.apiKeys.list({ limit: 2, sort: ['name'], cursor }))
  await tape.step('a cursor of another order', () => owner.apiKeys.list({ limit: 2, cursor }))
  await tape.step('a cursor that was touched', () =>
    owner.apiKeys.list({ limit: 2, sort: ['name'], cursor: `${cursor}x` }),
  )
  await tape.step('a limit that is too high', () => owner.apiKeys.list({ limit: 101 }))
  await tape.step('an unknown sort', () => owner.apiKeys.list({ sort: ['colour'] as never }))
  await tape.step('an unknown query parameter', () => owner.apiKeys.list({ colour: 'red' } as never))
  await tape.step('revoke a key', () => owner.apiKeys.delete(reader.id))
  await tape.step('revoke another', () => owner.apiKeys.delete(plain.id))
  await tape.step('a revoked key', () => owner.apiKeys.get(reader.id))
  await tape.step('the keys that are left', () => owner.apiKeys.list({ sort: ['created_at'] }))
  await tape.step('the revoked keys', () => owner.apiKeys.list({ status: 'revoked' }))
  await tape.step('a call with a revoked key', () => tape.as(reader.key).actions.list())
  const [ownKey] = (await owner.apiKeys.list({ sort: ['created_at'], limit: 1 })).data
  await tape.step('a key from nowhere', () => owner.apiKeys.create({ name: 'Nowhere', allowed_ips: [] }))
  await tape.step('the last key that makes keys', () => owner.apiKeys.delete(ownKey?.id ?? ''))
  const usual = await owner.apiKeys.create({ name: 'Usual', expires_at: '2999-01-01T00:00:00Z' })
  await tape.step('a key that makes keys and lasts longer', () => owner.apiKeys.delete(ownKey?.id ?? ''))
  await tape.step('an owner key from a key that is none', () =>
    tape.as(usual.key).apiKeys.create({ name: 'Owner', scopes: ['*'] }),
  )
  await owner.apiKeys.delete(usual.id)
  await tape.step('revoke a key twice', () => owner.apiKeys.delete(usual.id))
  await tape.step('no key', () => owner.apiKeys.get(nothing('key')))
  await tape.step('a key that is not there', () => owner.apiKeys.delete(nothing('key')))
}

const refund = (upstreamUrl: string): CreateAction => ({
  name: 'Refund a charge',
  slug: 'refund',
  target_url: `${upstreamUrl}/charges/{charge_id}/refund`,
  auth_type: 'bearer',
  auth_value: 'upstream-secret-0123456789',
  input_schema: [
    { name: 'charge_id', type: 'string', required: true },
    { name: 'amount', type: 'integer', required: true, minimum: 1 },
    { name: 'note', type: 'string', sensitive: true },
  ],
  body_template: { amount: '{{amount}}', note: '{{note}}' },
  constraints: [{ path: '/amount', op: 'max', value: 5000 }],
  tags: ['billing'],
})

const input = { charge_id: 'ch_1', amount: 100 }

const defineActions = async (tape: Tape, owner: NarrowAPI) => {
  const { upstreamUrl } = tape.world
  const action = await tape.done('create an action', () => owner.actions.create(refund(upstreamUrl)))
  const reader = await tape.done('create a plain action', () =>
    owner.actions.create({
      name: 'Read a charge',
      method: 'GET',
      target_url: `${upstreamUrl}/charges`,
      rate_limit_rpm: 30,
      concurrency_limit: 2,
      response: { fields: ['id', 'items.name'], redact: ['items.price'] },
    }),
  )
  await tape.step('an action of the same name', () =>
    owner.actions.create({ name: 'Read a charge', target_url: `${upstreamUrl}/other`, status: 'draft' }),
  )
  await tape.step('a slug that is taken', () =>
    owner.actions.create({ ...refund(upstreamUrl), name: 'Other' }),
  )
  await tape.step('an action without anything', () => owner.actions.create({} as never))
  await tape.step('an action with wrong fields', () =>
    owner.actions.create({
      name: '',
      target_url: upstreamUrl,
      timeout_ms: 1,
      tags: 'a',
      method: 'FLY',
    } as never),
  )
  await tape.step('an action without its secret', () =>
    owner.actions.create({ name: 'A', target_url: upstreamUrl, auth_type: 'bearer' }),
  )
  const wrong = (name: string, fields: Partial<CreateAction>) =>
    tape.step(name, () => owner.actions.create({ name: 'Wrong', target_url: `${upstreamUrl}/a`, ...fields }))
  await wrong('a target that is no URL', { target_url: 'api.example.com' })
  await wrong('a host that is an input', { target_url: 'https://{host}/a' })
  await wrong('a placeholder of nothing', { target_url: `${upstreamUrl}/{id}` })
  await wrong('a template of nothing', { body_template: { a: ['{{b}}'] }, headers: { 'x-a': '{{c}}' } })
  await wrong('a header without a name', { auth_type: 'header', auth_value: 'secret-0123456789' })
  await wrong('a constraint on nothing', { constraints: [{ path: '/a', op: 'required' }] })
  await wrong('a fixed input of nothing', { fixed_input: { a: 1 } })
  await wrong('a schema of a list', { input_schema: { type: 'array' } })
  await tape.step('a change to what cannot be called', () =>
    owner.actions.update(action.id, { target_url: `${upstreamUrl}/{id}` }),
  )
  await tape.step('get an action', () => owner.actions.get(action.id))
  await tape.step('get some fields', () => owner.actions.get(action.id, { fields: ['name', 'slug'] }))
  await tape.step('an unknown field', () => owner.actions.get(action.id, { fields: ['colour'] as never }))
  await tape.step('an action that is not there', () => owner.actions.get(nothing('act')))
  await tape.step('an id of the wrong form', () => owner.actions.get('act_1'))
  await tape.step('describe an action', () =>
    owner.actions.update(action.id, { description: 'Refunds', version: 1 }),
  )
  await tape.step('change nothing', () => owner.actions.update(action.id, { description: 'Refunds' }))
  await tape.step('a stale version', () => owner.actions.update(action.id, { name: 'Late', version: 1 }))
  await tape.step('a stale ETag', () =>
    owner.actions.update(action.id, { name: 'Late' }, { headers: { 'if-match': '"1"' } }),
  )
  await tape.step('an ETag that is none', () =>
    owner.actions.update(action.id, { name: 'Late' }, { headers: { 'if-match': 'one' } }),
  )
  await tape.step('a transition that is not allowed', () =>
    owner.actions.update(action.id, { status: 'draft' }),
  )
  await tape.step('list versions', () => owner.actions.listVersions(action.id))
  await tape.step('a page of versions', () => owner.actions.listVersions(action.id, { limit: 1 }))
  await tape.step('versions of nothing', () => owner.actions.listVersions(nothing('act')))
  await tape.step('restore a version', () => owner.actions.restoreVersion(action.id, 1))
  await tape.step('a version that is not there', () => owner.actions.restoreVersion(action.id, 99))
  await tape.step('fix an input', () =>
    owner.actions.update(reader.id, { tags: ['billing'], metadata: { a: 'b' } }),
  )
  await tape.step('the schema', () => owner.actions.getSchema(action.id))
  await tape.step('list actions', () => owner.actions.list())
  await tape.step('actions by tag', () =>
    owner.actions.list({ tag: 'billing', fields: ['slug'], sort: ['name'] }),
  )
  await tape.step('actions by state', () => owner.actions.list({ status: 'draft' }))
  await tape.step('actions by search', () => owner.actions.list({ search: 'READ', fields: ['name'] }))
  await tape.step('actions by time', () => owner.actions.list({ created_after: '2099-01-01T00:00:00Z' }))
  await tape.step('a time that is none', () => owner.actions.list({ created_after: 'today' }))
  await tape.step('test an input', () =>
    owner.actions.test(action.id, { input: { ...input, note: 'private' } }),
  )
  await tape.step('test a refused input', () =>
    owner.actions.test(action.id, { input: { ...input, amount: 6000 } }),
  )
  await tape.step('test a wrong input', () => owner.actions.test(action.id, { input: { amount: 'x', b: 1 } }))
  await previews(tape, owner)
  await tape.step('the schema of nothing', () => owner.actions.getSchema(nothing('act')))
  await tape.step('test nothing', () => owner.actions.test(nothing('act')))
  await tape.step('its secret is in use', () => owner.secrets.delete(action.secret_id ?? ''))
  await tape.step('its secret names it', () => owner.secrets.get(action.secret_id ?? ''))
  return { action, reader }
}

/** What would be sent, where inputs go to every place there is. */
const previews = async (tape: Tape, owner: NarrowAPI): Promise<void> => {
  const { upstreamUrl } = tape.world
  const text = (name: string, fields: object = {}) => ({ name, type: 'string' as const, ...fields })
  const search = await tape.done('create a search', () =>
    owner.actions.create({
      name: 'Search',
      method: 'GET',
      target_url: `${upstreamUrl}/a b/{shelf}?sort=name&near={near}`.replace(' ', '%20'),
      query: { q: '{{text}}', as: 'for {{who}}', none: '{{none}}', fixed: 'a b' },
      headers: { 'X-Tenant': 't-{{who}}', 'x-none': '{{none}}' },
      auth_type: 'header',
      auth_name: 'X-Key',
      auth_value: 'search-secret-0123456789',
      input_schema: [
        text('shelf', { required: true }),
        ...['near', 'text', 'none'].map((name) => text(name)),
        text('who', { sensitive: true }),
        { name: 'page', type: 'integer' },
        text('trace', { in: 'header' }),
      ],
    }),
  )
  const judged = { shelf: 'ä/b c', near: 'x&y', text: 'a&b +c', who: 'me', page: 2, trace: 'id-1' }
  await tape.step('preview a search', () => owner.actions.test(search.id, { input: judged }))
  await tape.step('preview the least of it', () => owner.actions.test(search.id, { input: { shelf: 'a' } }))
  const change = await tape.done('create a change', () =>
    owner.actions.create({
      name: 'Change',
      method: 'PUT',
      target_url: `${upstreamUrl}/things/{id}`,
      auth_type: 'basic',
      auth_value: 'user:password-0123456789',
      fixed_input: { by: 'support' },
      input_schema: {
        type: 'object',
        properties: {
          id: { type: 'integer' },
          note: { type: 'string' },
          by: { type: 'string' },
          list: { type: 'array' },
        },
        required: ['id', 'by'],
        additionalProperties: false,
      },
    }),
  )
  await tape.step('preview a change', () =>
    owner.actions.test(change.id, { input: { id: 7, list: [1, 'a'] } }),
  )
  await tape.step('send what is fixed', () => owner.actions.test(change.id, { input: { id: 7, by: 'me' } }))
  await tape.step('the schema without what is fixed', () => owner.actions.getSchema(change.id))
  await tape.step('put it into a template', () =>
    owner.actions.update(change.id, {
      body_template: {
        text: 'note: {{note}}',
        deep: [{ id: '{{id}}', note: '{{note}}' }, '{{list}}'],
        plain: 1,
      },
      auth_type: 'query',
      auth_name: 'key',
    }),
  )
  await tape.step('repeat what may not be repeated', () =>
    owner.actions.update(change.id, { retry: { max: 2, on: ['connection', '503', 'timeout'] } }),
  )
  await tape.step('repeat it with a key', () =>
    owner.actions.update(change.id, {
      retry: { max: 2, on: ['connection', '503'] },
      idempotency: { header: 'Idempotency-Key' },
    }),
  )
  await tape.step('preview the key', () => owner.actions.test(change.id, { input: { id: 7 } }))
  await tape.step('lose the key', () => owner.actions.update(change.id, { idempotency: null }))
  await tape.step('repeat it as often as nothing says', () =>
    owner.actions.update(change.id, { retry: null, idempotency: { safe: true } }),
  )
  await tape.step('say after what, but not how often', () =>
    owner.actions.update(change.id, { retry: { on: ['503'] } }),
  )
  await tape.step('say how often', () => owner.actions.update(change.id, { retry: { max: 1 } }))
  await tape.step('say after what', () => owner.actions.update(change.id, { retry: { on: ['503'] } }))
  await tape.step('change one member of each', () =>
    owner.actions.update(change.id, {
      response: { max_bytes: 9000 },
      annotations: { open_world: false },
      headers: { 'X-Kind': 'note' },
      query: { page: '1' },
    }),
  )
  await tape.step('change another, and take one away', () =>
    owner.actions.update(change.id, {
      response: { redact: ['card'] },
      annotations: { idempotent: true },
      headers: { 'X-Kind': null, 'X-Sort': 'new' },
      query: { size: '2' },
    }),
  )
  await tape.step('put it back', () =>
    owner.actions.update(change.id, { response: { redact: null }, headers: null, query: null }),
  )
  await tape.step('two versions of which one is stale', () =>
    owner.actions.update(change.id, { name: 'Late', version: 1 }, { headers: { 'if-match': '*' } }),
  )
  await tape.step('give it a token', () => owner.tokens.create({ name: 'n', action_ids: [change.id] }))
  await tape.step('end its token', () => owner.actions.rotateToken(change.id, {}))
  await tape.step('repeat it no more', () =>
    owner.actions.update(change.id, { retry: null, idempotency: null }),
  )
  await tape.step('a target without a path', () =>
    owner.actions.update(search.id, { target_url: upstreamUrl }),
  )
  await tape.step('preview it', () => owner.actions.test(search.id, { input: { shelf: 'a' } }))
  await tape.step('preview the template', () =>
    owner.actions.test(change.id, { input: { id: 7, list: [1] } }),
  )
  await tape.done('drop the search', () => owner.actions.delete(search.id))
  await tape.done('drop the change', () => owner.actions.delete(change.id))
}

const issueTokens = async (tape: Tape, owner: NarrowAPI, { action, reader }: Actions) => {
  const token = await tape.done('create a token', () =>
    owner.tokens.create({
      name: 'support-bot',
      grants: [{ action_id: action.id, constraints: [{ path: '/amount', op: 'max', value: 2000 }] }],
      expires_at: '2099-01-01T00:00:00.000Z',
      max_uses: 4,
    }),
  )
  const wide = await tape.done('a token for two actions', () =>
    owner.tokens.create({ name: 'wide', action_ids: [action.id, reader.id] }),
  )
  await tape.step('a token for nothing', () => owner.tokens.create({ name: 'none' }))
  await tape.step('a token by both ways', () =>
    owner.tokens.create({ name: 'x', action_ids: [action.id], grants: [{ action_id: action.id }] }),
  )
  await tape.step('a token for an unknown action', () =>
    owner.tokens.create({ name: 'x', action_ids: [nothing('act')] }),
  )
  await tape.step('a token with a constraint on nothing', () =>
    owner.tokens.create({
      name: 'x',
      grants: [
        { action_id: action.id, constraints: [{ path: '/a', op: 'required' }], fixed_input: { a: 1 } },
      ],
    }),
  )
  await tape.step('a token for one action twice', () =>
    owner.tokens.create({ name: 'x', action_ids: [action.id, action.id] }),
  )
  await tape.step('a token that is over', () =>
    owner.tokens.create({ name: 'x', action_ids: [action.id], expires_at: '2020-01-01T00:00:00Z' }),
  )
  await tape.step('get a token', () => owner.tokens.get(token.id))
  await tape.step('list tokens', () => owner.tokens.list())
  await tape.step('tokens of an action', () => owner.tokens.list({ action_id: reader.id, fields: ['name'] }))
  const rotated = await tape.done('rotate a token', () => owner.tokens.rotate(token.id))
  await tape.step('the old text', () => tape.as(token.token).x.manifest())
  await tape.step('rotate with grace', () => owner.tokens.rotate(wide.id, { grace_period_hours: 1 }))
  await tape.step('the old text in grace', () => tape.as(wide.token).x.manifest())
  const twice = await tape.done('create a token to rotate', () =>
    owner.tokens.create({ name: 'twice', action_ids: [action.id] }),
  )
  const once = await owner.tokens.rotate(twice.id, { grace_period_hours: 1 })
  await owner.tokens.rotate(twice.id, { grace_period_hours: 1 })
  await tape.step('the text before the last', () => tape.as(once.token).x.manifest())
  await tape.step('the text before that', () => tape.as(twice.token).x.manifest())
  await owner.tokens.delete(twice.id)
  await tape.step('a token that is not there', () => owner.tokens.rotate(nothing('tok')))
  await tape.step('judge as a token', () =>
    owner.actions.test(action.id, { input: { ...input, amount: 3000 }, token_id: token.id }),
  )
  return { token: rotated, wide }
}

type Issued = Actions & Tokens

const holderReads = async (tape: Tape, { action, reader, token }: Issued): Promise<void> => {
  const agent = tape.as(token.token)
  await tape.step('the manifest', () => agent.x.manifest())
  await tape.step('a callable by slug', () => agent.x.get('refund'))
  await tape.step('a callable by id', () => agent.x.get(action.id))
  await tape.step('one that is not granted', () => agent.x.get(reader.id))
  await tape.step('a dry run', () => agent.x.dryRun('refund', { ...input, note: 'private' }))
  await tape.step('a refused dry run', () => agent.x.dryRun('refund', { ...input, amount: 3000 }))
  await tape.step('a wrong dry run', () => agent.x.dryRun('refund', {}))
  await tape.step('a dry run of nothing', () => agent.x.dryRun('nothing', {}))
}

const runs = async (tape: Tape, owner: NarrowAPI, { action, reader, token, wide }: Issued): Promise<void> => {
  const { world } = tape
  const agent = tape.as(token.token)
  const json = (status: number, body: unknown) => world.answerWith({ status, text: JSON.stringify(body) })
  json(200, { id: 're_1', status: 'succeeded' })
  const key = { idempotencyKey: 'refund-1' }
  await tape.step('run an action', () => agent.execute('refund', { ...input, note: 'private' }, key))
  await tape.step('run it again', () => agent.execute('refund', { ...input, note: 'private' }, key))
  await tape.step('its key with another input', () => agent.execute('refund', input, key))
  await tape.step('an input of the wrong type', () => agent.execute('refund', { ...input, amount: 'much' }))
  await tape.step('an input with an unknown field', () => agent.execute('refund', { ...input, b: 1 }))
  await tape.step('what the token refuses', () => agent.execute('refund', { ...input, amount: 3000 }))
  await tape.step('what the action refuses', () => agent.execute('refund', { ...input, amount: 6000 }))
  await tape.step('run nothing', () => agent.execute('nothing', input))
  await tape.step('run what is not granted', () => agent.execute(reader.id, input))
  json(404, { reason: 'no such charge' })
  await tape.step('an upstream refusal', () => agent.execute('refund', input))
  json(401, { reason: 'wrong key' })
  const failing = { idempotencyKey: 'refund-2' }
  await tape.step('an upstream that refuses the secret', () => agent.execute('refund', input, failing))
  await tape.step('the same again', () => agent.execute('refund', input, failing))

  const other = tape.as(wide.token)
  json(200, { id: 1, secret: 'x', items: [{ name: 'a', price: 2 }] })
  await tape.step('a shaped answer', () => other.execute(reader.id))
  world.answerWith({ status: 200, type: 'text/plain', text: 'as text' })
  await tape.step('an answer the policy cannot read', () => other.execute(reader.id))
  await tape.step('a text', () => other.execute('refund', input))
  world.answerWith({ status: 204, text: '' })
  await tape.step('an empty answer', () => other.execute('refund', input))
  await owner.actions.update(reader.id, {
    passthrough_errors: false,
    response: { fields: null, redact: null },
  })
  json(500, { reason: 'broken' })
  await tape.step('an upstream failure that is not passed on', () => other.execute(reader.id))
  world.answerWith({ status: 503, text: '{}', retryAfter: '7' })
  await tape.step('a rest that is passed on all the same', () => other.execute(reader.id))
  await tape.step('a rest that is passed on', () => other.execute('refund', input))
  await owner.actions.update(reader.id, {
    output_schema: { type: 'object', properties: { id: { type: 'string' } }, required: ['id'] },
  })
  json(200, { id: 7 })
  await tape.step('an answer that does not fit', () => other.execute(reader.id))
  await owner.actions.update(reader.id, { rate_limit_rpm: 1, output_schema: null })
  json(200, { ok: true })
  await tape.step('beyond the rate', () => other.execute(reader.id))
  await owner.actions.update(reader.id, { rate_limit_rpm: 30 })
  await tape.step('within the limits', () => other.x.get(reader.id))

  await tape.step('the last use', () => agent.execute('refund', input))
  await tape.step('no use left', () => agent.execute('refund', input))
  await tape.step('a dry run with no use left', () => agent.x.dryRun('refund', input))
  await tape.step('a manifest with no use left', () => agent.x.manifest())
  await tape.step('a used-up token', () => owner.tokens.get(token.id))
  await tape.step('the secret is not sensitive to runs', () => owner.actions.get(action.id))
}

const records = async (tape: Tape, owner: NarrowAPI, { action, reader }: Actions): Promise<void> => {
  await tape.step('every execution', () => owner.executions.list({ sort: ['created_at'] }))
  await tape.step('executions by kind', () => owner.executions.list({ kind: 'action', limit: 1 }))
  await tape.step('executions by state', () => owner.executions.list({ status: 'completed', limit: 1 }))
  await tape.step('executions by error', () =>
    owner.executions.list({ error: 'policy_denied', fields: ['error'] }),
  )
  await tape.step('executions by action', () =>
    owner.executions.list({ action_id: reader.id, fields: ['status'] }),
  )
  const [execution] = (await owner.executions.list({ action_id: action.id, limit: 1 })).data
  const id = execution?.id ?? ''
  await tape.step('an execution', () => owner.executions.get(id))
  await tape.step('an execution that is not there', () => owner.executions.get(nothing('exec')))
  await tape.step('executions of an action', () =>
    owner.actions.listExecutions(action.id, { limit: 2, sort: ['created_at'] }),
  )
  await tape.step('executions of nothing', () => owner.actions.listExecutions(nothing('act')))
  await tape.step('an execution of an action', () => owner.actions.getExecution(action.id, id))
  await tape.step('an execution of another action', () => owner.actions.getExecution(reader.id, id))
  await tape.step('keep failures only', () =>
    owner.workspaces.update(tape.world.workspaceId, { settings: { payload_capture: 'errors' } }),
  )
}

const idempotency = async (tape: Tape, owner: NarrowAPI): Promise<void> => {
  const key = { idempotencyKey: 'create-1' }
  const body = { name: 'Once', value: 'once-secret-0123456789' }
  await tape.step('create with a key', () => owner.secrets.create(body, key))
  await tape.step('create again', () => owner.secrets.create(body, key))
  await tape.step('the key with another body', () => owner.secrets.create({ ...body, name: 'Twice' }, key))
  const wrong = { idempotencyKey: 'create-2' }
  await tape.step('a refused body', () => owner.secrets.create({ name: 'None' } as never, wrong))
  await tape.step('its key with a corrected body', () => owner.secrets.create(body, wrong))
  await tape.step('a token made twice is one', () => owner.apiKeys.create({ name: 'Once' }, key))
  await tape.step('and its text comes again', () => owner.apiKeys.create({ name: 'Once' }, key))
  const { data } = await owner.secrets.list({ search: 'Once', limit: 1 })
  const id = data[0]?.id ?? ''
  await tape.step('delete with a key', () => owner.secrets.delete(id, key))
  await tape.step('delete again', () => owner.secrets.delete(id, key))
}

const strangers = async (tape: Tape): Promise<void> => {
  const { ownerKey } = tape.world
  const bearer = (credential: string) => ({ authorization: `Bearer ${credential}` })
  const json = { ...bearer(ownerKey), 'content-type': 'application/json' }
  await tape.send('nobody', 'GET /api/v1/actions', {})
  await tape.send('a token on the management API', 'GET /api/v1/actions', bearer('sxt_unknown'))
  await tape.send('a key on the holder side', 'GET /x', bearer(ownerKey))
  await tape.send('an unknown token', 'POST /x/refund', bearer('sxt_unknown'))
  await tape.send('an unknown path', 'GET /api/v1/things', bearer(ownerKey))
  await tape.send('a method that is not taken', 'DELETE /api/v1/actions', bearer(ownerKey))
  await tape.send('the methods that are taken', 'OPTIONS /api/v1/actions', bearer(ownerKey))
  await tape.send('a body that is not JSON', 'POST /api/v1/secrets', json, '{')
  await tape.send('a body that is no object', 'POST /api/v1/secrets', json, '[]')
  for (const [what, body] of [
    ['a reserved name', '{"name":"a","metadata":{"__proto__":{}}}'],
    ['a reserved name in escapes', String.raw`{"\u005f_proto__":1}`],
    ['a NUL', String.raw`{"name":"\u0000"}`],
    ['a NUL in a name', String.raw`{"metadata":{"a\u0000":"b"}}`],
    ['half a character', String.raw`{"name":"\ud800"}`],
    ['too many levels', `${'['.repeat(65)}${']'.repeat(65)}`],
  ] as const)
    await tape.send(`a body with ${what}`, 'POST /api/v1/secrets', json, body)
  await tape.send(
    'a body of another type',
    'POST /api/v1/secrets',
    { ...json, 'content-type': 'text/plain' },
    '{}',
  )
  await tape.send('no body at all', 'POST /api/v1/secrets', bearer(ownerKey))
  await tape.send('its own request id', 'GET /healthz', { 'x-request-id': 'mine' })
  await tape.send('a parameter twice', 'GET /api/v1/actions?limit=1&limit=2', bearer(ownerKey))
  await tape.send('another name of a parameter', 'GET /api/v1/actions?per_page=1', bearer(ownerKey))
}

const pause = async (tape: Tape, owner: NarrowAPI, { action, reader, wide }: Issued): Promise<void> => {
  const agent = tape.as(wide.token)
  const { workspaceId } = tape.world
  await tape.step('pause an action', () => owner.actions.update(reader.id, { status: 'paused' }))
  await tape.step('run a paused action', () => agent.execute(reader.id))
  await tape.step('a paused callable', () => agent.x.get(reader.id))
  await tape.step('pause a workspace', () => owner.workspaces.pause(workspaceId))
  await tape.step('run while paused', () => agent.execute(action.id, input))
  await tape.step('a manifest while paused', () => agent.x.manifest())
  await tape.step('resume a workspace', () => owner.workspaces.resume(workspaceId))
  await tape.step('resume no workspace', () => owner.workspaces.resume(nothing('ws')))
  await tape.step('pause no workspace', () => owner.workspaces.pause(nothing('ws')))
  await tape.step('end an action', () =>
    owner.actions.update(action.id, { sunset_at: '2020-01-01T00:00:00Z' }),
  )
  await tape.step('run an ended action', () => agent.execute(action.id, input))
  await tape.step('go on with it', () => owner.actions.update(action.id, { sunset_at: null }))
  const [execution] = (await owner.executions.list({ token_id: wide.id, limit: 1 })).data
  await tape.step('an execution of the token', () => agent.x.getExecution(execution?.id ?? ''))
  await tape.step('an execution of nobody', () => agent.x.getExecution(nothing('exec')))
}

const ends = async (tape: Tape, owner: NarrowAPI, { action, reader, token, wide }: Issued): Promise<void> => {
  await tape.step('rotate a used-up token', () => owner.tokens.rotate(token.id))
  await tape.step('tokens of any state but revoked', () => owner.tokens.list({ fields: ['name', 'status'] }))
  await tape.step('rotate the token of an action', () =>
    owner.actions.rotateToken(action.id, { name: 'next' }),
  )
  await tape.step('rotate the token of nothing', () => owner.actions.rotateToken(nothing('act')))
  await tape.step('revoke a token', () => owner.tokens.delete(wide.id))
  await tape.step('revoke a token twice', () => owner.tokens.delete(wide.id))
  await tape.step('a revoked token', () => owner.tokens.get(wide.id))
  await tape.step('revoked tokens', () => owner.tokens.list({ status: 'revoked', fields: ['name'] }))
  await tape.step('run with a revoked token', () => tape.as(wide.token).execute(action.id, input))
  await tape.step('rotate a revoked token', () => owner.tokens.rotate(wide.id))
  await tape.step('revoke no token', () => owner.tokens.delete(nothing('tok')))
  await tape.step('no token', () => owner.tokens.get(nothing('tok')))
  await tape.step('delete no action', () => owner.actions.delete(nothing('act')))
  await tape.step('delete a stale action', () =>
    owner.actions.delete(reader.id, { headers: { 'if-match': '"1"' } }),
  )
  await tape.step('delete an action', () => owner.actions.delete(reader.id))
  await tape.step('a deleted action', () => owner.actions.get(reader.id))
  await tape.step('executions of a deleted action', () =>
    owner.actions.listExecutions(reader.id, { limit: 1, sort: ['created_at'] }),
  )
}

const audit = async (tape: Tape, owner: NarrowAPI): Promise<void> => {
  const success = { outcome: 'success', sort: ['created_at'] } as const
  await tape.step('what was changed', () => owner.audit.list({ ...success, limit: 100 }))
  const [event] = (await owner.audit.list({ action: 'action.restored' })).data
  await tape.step('one event', () => owner.audit.get(event?.id ?? ''))
  await tape.step('events of one object', () =>
    owner.audit.list({ ...success, target_id: event?.targets[0]?.id ?? '', fields: ['action'] }),
  )
  await tape.step('events that name something', () =>
    owner.audit.list({ ...success, search: 'ACTION.RE', fields: ['action'] }),
  )
  await tape.step('an event that is not there', () => owner.audit.get(nothing('aud')))
}
