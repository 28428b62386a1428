import { contract, ErrorBody, routesOf } from '@narrowapi/contract'
import { expect, test } from 'vitest'
import { createEverything, examples } from '../support/examples.ts'
import { ask } from '../support/send.ts'
import { serverAndUpstream } from '../support/server-and-upstream.ts'

const { server, upstream } = await serverAndUpstream()

const owner = () => ({ credential: server.owner.key })

const foreign: [name: string, value: unknown][] = [
  ['id', 'act_06Wz1Xb4mJq0YcT7eKs2hU'],
  ['object', 'action'],
  ['workspace_id', 'ws_06Wz1Xb4mJq0YcT7eKs2hU'],
  ['created_at', '2020-01-01T00:00:00.000Z'],
  ['updated_at', '2020-01-01T00:00:00.000Z'],
  ['created_by', 'key_06Wz1Xb4mJq0YcT7eKs2hU'],
  ['revoked_at', null],
  ['uses', 0],
  ['hash', 'a'],
  ['fingerprint', 'a'],
  ['owner', true],
  ['is_admin', true],
  ['role', 'owner'],
]

test.each(foreign)('refuses a body that says %s, wherever one is taken', async (name, value) => {
  const made = await createEverything(server.owner, upstream.url, server.as)
  const bodies: [string, object][] = [
    ['POST /api/v1/actions', examples.action(upstream.url)],
    [`PATCH /api/v1/actions/${made.action.id}`, { description: 'changed' }],
    ['POST /api/v1/tokens', examples.token(made.action.id)],
    [`POST /api/v1/tokens/${made.token.id}/rotate`, {}],
    ['POST /api/v1/secrets', examples.secret()],
    [`PATCH /api/v1/secrets/${made.secret.id}`, { name: 'changed' }],
    ['POST /api/v1/api-keys', examples.apiKey()],
    [`PATCH /api/v1/workspaces/${made.workspaceId}`, { name: 'changed' }],
    [`POST /api/v1/workspaces/${made.workspaceId}/pause`, {}],
  ]
  for (const [line, body] of bodies) {
    const answer = await ask(server.url, line, { ...owner(), body: { ...body, [name]: value } })
    expect([line, answer.status]).toEqual([line, 422])
    expect(ErrorBody.parse(answer.body).details).toContainEqual({
      field: name,
      message: 'is not a known field',
    })
  }
  const after = await server.owner.narrow.actions.get(made.action.id)
  expect(after).toEqual(made.action)
  expect(await server.owner.narrow.secrets.get(made.secret.id)).toEqual({
    ...made.secret,
    updated_at: expect.any(String),
  })
})

test('refuses a status that only the server decides', async () => {
  const { action, secret } = await createEverything(server.owner, upstream.url, server.as)
  for (const [line, body] of [
    ['POST /api/v1/tokens', { ...examples.token(action.id), status: 'active' }],
    ['POST /api/v1/api-keys', { ...examples.apiKey(), status: 'active' }],
    [`PATCH /api/v1/secrets/${secret.id}`, { status: 'active' }],
    [`PATCH /api/v1/workspaces/${server.owner.workspaceId}`, { status: 'paused' }],
    [`PATCH /api/v1/actions/${action.id}`, { status: 'deleted' }],
  ] as const) {
    expect([line, (await ask(server.url, line, { ...owner(), body })).status]).toEqual([line, 422])
  }
})

test('takes null in a PATCH for clearing what may be empty, and absence for leaving it', async () => {
  const { narrow } = server.owner
  const action = await narrow.actions.create({
    ...examples.action(upstream.url),
    rate_limit_rph: 100,
    concurrency_limit: 5,
    sunset_at: '2030-01-01T00:00:00.000Z',
    query: { q: 'a' },
    headers: { 'x-a': 'b' },
    fixed_input: { amount: 5 },
    tags: ['kept'],
    metadata: { kept: 'yes' },
  })
  const patch = (body: object) => ask(server.url, `PATCH /api/v1/actions/${action.id}`, { ...owner(), body })
  const unchanged = await patch({})
  expect([unchanged.status, unchanged.body]).toEqual([200, { ...action, updated_at: expect.any(String) }])
  const cleared = await patch({
    rate_limit_rph: null,
    concurrency_limit: null,
    sunset_at: null,
    query: null,
    headers: null,
    fixed_input: null,
  })
  expect(cleared.body).toMatchObject({
    rate_limit_rph: null,
    concurrency_limit: null,
    sunset_at: null,
    query: null,
    headers: null,
    fixed_input: null,
    tags: ['kept'],
    metadata: { kept: 'yes' },
    secret_id: action.secret_id,
  })
  for (const field of [
    'name',
    'slug',
    'status',
    'method',
    'target_url',
    'rate_limit_rpm',
    'tags',
    'metadata',
    'timeout_ms',
    'input_schema',
    'response',
    'annotations',
    'auth_value',
  ]) {
    const answer = await patch({ [field]: null })
    expect([field, answer.status]).toEqual([field, 422])
    expect(ErrorBody.parse(answer.body).details?.[0]?.field).toBe(field)
  }
  expect((await patch({ no_such_field: 1 })).status).toBe(422)
  const replaced = await patch({ metadata: { other: 'one' } })
  expect(replaced.body).toMatchObject({ metadata: { other: 'one' } })
})

test('does the same for secrets', async () => {
  const { narrow } = server.owner
  const secret = await narrow.secrets.create({ ...examples.secret(), expires_at: '2030-01-01T00:00:00.000Z' })
  const patch = (body: object) => ask(server.url, `PATCH /api/v1/secrets/${secret.id}`, { ...owner(), body })
  expect((await patch({})).body).toEqual({ ...secret, updated_at: expect.any(String) })
  expect((await patch({ name: 'renamed' })).body).toMatchObject({
    expires_at: '2030-01-01T00:00:00.000Z',
    version: 1,
  })
  expect((await patch({ expires_at: null })).body).toMatchObject({ expires_at: null, name: 'renamed' })
  for (const field of ['name', 'value', 'metadata']) expect((await patch({ [field]: null })).status).toBe(422)
})

test('shows the value of a secret in no answer of any operation, nor in a log line or the audit', async () => {
  const { narrow } = server.owner
  const canaries = [
    'canary-\u00e9-"quoted"\\-0123456789',
    'canary-second/0123456789+==',
    'canary-third-0123456789',
  ]
  const [first = '', second = '', third = ''] = canaries
  const secret = await narrow.secrets.create({ name: 'Canary', value: first, type: 'bearer' })
  await narrow.secrets.update(secret.id, { value: second })
  const action = await narrow.actions.create({ ...examples.action(upstream.url), auth_value: third })
  await narrow.actions.update(action.id, { auth_type: 'header', auth_name: 'x-key', secret_id: secret.id })
  const { token, id } = await narrow.tokens.create(examples.token(action.id))
  const call = await ask(server.url, `POST /x/${action.id}`, { credential: token, body: examples.input() })
  expect(upstream.received.at(-1)?.headers['x-key']).toBe(second)
  const executionId = call.headers.get('x-execution-id') ?? ''
  const ids: Record<string, string> = {
    actions: action.id,
    tokens: id,
    executions: executionId,
    secrets: secret.id,
  }
  const events = await narrow.audit.list()
  ids.audit = events.data[0]?.id ?? ''
  ids.workspaces = server.owner.workspaceId
  ids.apiKeys = events.data[0]?.actor.id ?? ''
  const texts = [call.text]
  // Backwards, because rotating a token ends the one that the routes before it need.
  for (const { noun, route } of routesOf(contract).toReversed()) {
    const { auth = 'key' } = route.metadata
    const isChange = route.method !== 'GET'
    if (auth === 'none' || (isChange && !/test$|dry-run$|restore$|rotate/.test(route.path))) continue
    const own = noun === 'x' && route.path.includes('executions') ? executionId : (ids[noun] ?? '')
    const path = route.path
      .replace(':execution_id', executionId)
      .replace(':action_id', action.id)
      .replace(':version', '1')
      .replace(':id', own)
    const body = route.path.endsWith('test')
      ? { input: examples.input() }
      : route.path.endsWith('dry-run')
        ? examples.input()
        : {}
    const credential = auth === 'key' ? server.owner.key : token
    const answer = await ask(server.url, `${route.method} ${path}`, {
      credential,
      ...(isChange ? { body } : {}),
    })
    expect([path, answer.status < 300 || path.includes('restore')]).toEqual([path, true])
    texts.push(answer.text)
    for (const filter of ['search=canary', 'fields=value', 'include=value', 'sort=value']) {
      if (isChange) continue
      texts.push((await ask(server.url, `${route.method} ${path}?${filter}`, { credential })).text)
    }
  }
  // Errors are answers too: a value that is refused is not repeated.
  for (const body of [
    { name: first, value: [second] },
    { value: third },
    { name: 'a', value: `${third}\u0000` },
  ])
    texts.push(
      (await ask(server.url, 'POST /api/v1/secrets', { ...owner(), body: { ...body, name: 'a' } })).text,
    )
  const [dump] = await server.database.sql<{ text: string }[]>`
    select (select json_agg(e)::text from narrowapi.executions e) || (select json_agg(a)::text from narrowapi.audit_events a)
      || (select json_agg(a)::text from narrowapi.actions a) || (select json_agg(v)::text from narrowapi.action_versions v)
      || (select json_agg(s)::text from narrowapi.secrets s) as text`
  const everything = [...texts, dump?.text ?? '', ...server.logs].join('\n')
  for (const canary of canaries) {
    const bytes = Buffer.from(canary)
    const forms = [
      canary,
      JSON.stringify(canary).slice(1, -1),
      encodeURIComponent(canary),
      bytes.toString('base64').replace(/=+$/, ''),
      bytes.toString('base64url'),
      bytes.toString('hex'),
    ]
    for (const form of forms) expect(everything).not.toContain(form)
  }
})
