import { createHash, randomBytes } from 'node:crypto'
import { contract, ErrorBody, routesOf, type Scope, scopes } from '@narrowapi/contract'
import { describe, expect, test } from 'vitest'
import type { Clock } from '../../server/src/clock.ts'
import { checkCredential, credentialPattern, newCredential } from '../../server/src/credentials.ts'
import { examples } from '../support/examples.ts'
import { exchange, request } from '../support/raw.ts'
import { ask } from '../support/send.ts'
import type { TestServer } from '../support/server.ts'
import { serverAndUpstream } from '../support/server-and-upstream.ts'

const hour = 3_600_000

/** How far the server's clock is ahead of ours. */
let ahead = 0
const clock: Clock = { now: () => new Date(Date.now() + ahead), monotonic: () => performance.now() }
const { server, upstream } = await serverAndUpstream({ clock })

const at = (offsetMs: number): string => new Date(clock.now().getTime() + offsetMs).toISOString()

/** The status a management call gets with a credential. */
const statusOf = async (credential: string, line = 'GET /api/v1/actions'): Promise<number> =>
  (await ask(server.url, line, { credential })).status

const newAction = () => server.owner.narrow.actions.create(examples.action(upstream.url))

/** The status a call of an action gets with a token. */
const callWith = async (token: string, actionId: string): Promise<number> =>
  (await ask(server.url, `POST /x/${actionId}`, { credential: token, body: examples.input() })).status

describe('who is let in', () => {
  test('refuses everything that is not a bearer credential with one answer', async () => {
    const { key } = server.owner
    const attempts: Record<string, string>[] = [
      {},
      { Authorization: '' },
      { Authorization: 'Bearer' },
      { Authorization: 'Bearer ' },
      { Authorization: key },
      { Authorization: `Basic ${Buffer.from(`${key}:`).toString('base64')}` },
      { Authorization: `Basic ${key}` },
      { Authorization: `Token ${key}` },
      { Authorization: `Bearer${key}` },
      { Authorization: `Bearer "${key}"` },
      { Authorization: `Bearer ${key}, Bearer ${key}` },
      { Authorization: `Bearer Bearer ${key}` },
      { Cookie: `authorization=Bearer ${key}; api_key=${key}` },
      { 'X-API-Key': key },
      { 'Proxy-Authorization': `Bearer ${key}` },
      { 'X-Fastn-API-Key': key },
    ]
    const bodies = new Set<string>()
    for (const headers of attempts) {
      const { answers } = await exchange(server.url, request('GET /api/v1/actions', headers), { answers: 1 })
      expect([JSON.stringify(headers).replaceAll(key, 'KEY'), answers[0]?.status]).toEqual([
        expect.anything(),
        401,
      ])
      expect(answers[0]?.headers.get('www-authenticate')).toMatch(/^Bearer/)
      const { request_id, ...body } = ErrorBody.parse(JSON.parse(answers[0]?.body ?? ''))
      expect(request_id).not.toBe('')
      bodies.add(JSON.stringify(body))
    }
    expect(bodies.size).toBe(1)
  })

  test('does not take a key from the body', async () => {
    const { key } = server.owner
    const body = { name: 'a', api_key: key, access_token: key }
    expect((await ask(server.url, 'POST /api/v1/api-keys', { body })).status).toBe(401)
  })

  test('refuses a key that is not exactly the key, without a word about how close it was', async () => {
    const { key } = server.owner
    const last = key.at(-1) === 'a' ? 'b' : 'a'
    const altered = [
      key.slice(0, -1),
      key.slice(0, -1) + last,
      key.slice(1),
      key.toUpperCase(),
      key.toLowerCase(),
      key.replace(/^sk_/, 'sxt_'),
      key.replace(/^sk_/, 'SK_'),
      `${key}a`,
      `${key}=`,
      `${key}%00`,
      `${key}.`,
      `a${key}`,
      key.replace('_', '%5f'),
    ]
    for (const credential of altered) expect(await statusOf(credential)).toBe(401)
  })

  test.each(['bearer', 'BEARER', 'bEaReR'])('takes the scheme written as %s', async (scheme) => {
    const headers = { authorization: `${scheme} ${server.owner.key}` }
    expect((await ask(server.url, 'GET /api/v1/actions', { headers })).status).toBe(200)
  })

  test.each([
    ['8 kB', `sk_${'a'.repeat(8192)}`],
    ['bytes above 7f', `sk_${'\xff'.repeat(49)}`],
    ['percent signs', `sk_${'%73'.repeat(16)}a`],
    ['SQL', "sk_'or''='"],
    ['a terminal escape', `sk_\t${'a'.repeat(48)}`],
  ])('refuses a credential of %s', async (_, credential) => {
    const bytes = request('GET /api/v1/actions', { Authorization: `Bearer ${credential}` })
    const { answers } = await exchange(server.url, bytes, { answers: 1 })
    expect([401, 431]).toContain(answers[0]?.status)
  })

  test('asks the database nothing about a credential whose checksum is wrong', async () => {
    const { key } = server.owner
    const wrong = key.slice(0, -1) + (key.at(-1) === 'a' ? 'b' : 'a')
    const unknown = newCredential('sk', randomBytes)
    let answered = false
    let pending: Promise<number> | undefined
    await server.database.sql.begin(async (sql) => {
      await sql`lock table narrowapi.api_keys in access exclusive mode`
      // Whoever asks for a key now waits for the end of this transaction.
      pending = statusOf(unknown).finally(() => {
        answered = true
      })
      for (let round = 0; round < 20; round += 1) expect(await statusOf(wrong)).toBe(401)
      expect(answered).toBe(false)
    })
    expect(await pending).toBe(401)
  })

  test('keeps keys out of /x and tokens out of the management API', async () => {
    const action = await newAction()
    const { token } = await server.owner.narrow.tokens.create(examples.token(action.id))
    expect(await callWith(server.owner.key, action.id)).toBe(401)
    for (const { route } of routesOf(contract)) {
      const { auth = 'key' } = route.metadata
      if (auth === 'none') continue
      const line = `${route.method} ${route.path.replaceAll(/:[a-z_]+/g, action.id)}`
      const credential = auth === 'key' ? token : server.owner.key
      const body = route.method === 'GET' || route.method === 'DELETE' ? {} : { body: {} }
      const { status } = await ask(server.url, line, { credential, ...body })
      expect([line, status]).toEqual([line, 401])
    }
  })

  test('leaves nothing under an action that the token does not name, but an audit event', async () => {
    const [mine, other] = [await newAction(), await newAction()]
    const { id, token } = await server.owner.narrow.tokens.create(examples.token(mine.id))
    const sent = upstream.received.length
    for (const name of [other.id, other.slug]) expect(await callWith(token, name)).toBe(404)
    for (const line of [`GET /x/${other.id}`, `POST /x/${other.id}/dry-run`]) {
      const body = line.startsWith('POST') ? { body: examples.input() } : {}
      expect((await ask(server.url, line, { credential: token, ...body })).status).toBe(404)
    }
    expect(upstream.received.length).toBe(sent)
    const executions = await server.owner.narrow.executions.list({ action_id: other.id })
    expect(executions.data).toEqual([])
    await server.deps.refusals.drain()
    const events = await server.owner.narrow.audit.list({ action: 'credential.refused', actor_id: id })
    expect(events.data.length).toBeGreaterThan(0)
  })

  test.each(['X-HTTP-Method-Override', 'X-HTTP-Method', 'X-Method-Override'])(
    'is not moved by %s',
    async (name) => {
      const action = await newAction()
      const answer = await ask(server.url, `GET /api/v1/actions/${action.id}`, {
        credential: server.owner.key,
        headers: { [name]: 'DELETE' },
      })
      expect(answer.status).toBe(200)
      const query = await ask(server.url, `GET /api/v1/actions/${action.id}?_method=DELETE`, {
        credential: server.owner.key,
      })
      expect(query.status).toBe(422)
      expect(await statusOf(server.owner.key, `GET /api/v1/actions/${action.id}`)).toBe(200)
    },
  )

  test('wants the same credential for HEAD as for GET, and answers OPTIONS without data', async () => {
    expect((await ask(server.url, 'HEAD /api/v1/actions')).status).toBe(401)
    const head = await ask(server.url, 'HEAD /api/v1/actions', { credential: server.owner.key })
    expect([head.status, head.text]).toEqual([200, ''])
    expect((await ask(server.url, 'HEAD /x')).status).toBe(401)
    const options = await ask(server.url, 'OPTIONS /api/v1/actions')
    expect([options.status, options.text]).toEqual([204, ''])
  })

  test('lets a read-only key change nothing, whatever it asks', async () => {
    const reader = await server.owner.narrow.apiKeys.create({ name: 'reader', scopes: ['read'] })
    for (const { route } of routesOf(contract)) {
      const { auth = 'key', scope } = route.metadata
      if (auth !== 'key' || route.method === 'GET') continue
      const line = `${route.method} ${route.path.replaceAll(/:[a-z_]+/g, '1')}`
      const body = route.method === 'DELETE' ? {} : { body: {} }
      const answer = await ask(server.url, line, { credential: reader.key, ...body })
      expect([line, answer.status, ErrorBody.parse(answer.body).required_scope]).toEqual([line, 403, scope])
    }
  })
})

describe('a credential in a URL', () => {
  test('opens nothing and is in no log line', async () => {
    const { key } = server.owner
    const action = await newAction()
    const { token } = await server.owner.narrow.tokens.create(examples.token(action.id))
    const before = server.logs.length
    const targets = [
      `/api/v1/actions?api_key=${key}`,
      `/api/v1/actions?access_token=${key}`,
      `/api/v1/actions?authorization=Bearer%20${key}`,
      `/api/v1/actions/${key}`,
      `/api/v1/actions/${key.replace('_', '%5F')}`,
      `/api/v1/${key}`,
      `/api/v1/%73${key.slice(1)}`,
      `/${key}/healthz`,
      `/healthz?key=${key}`,
      `/x/${action.id}?token=${token}`,
      `/x/${token}`,
      `http://${key}@localhost/api/v1/actions`,
      `http://user:${key}@localhost/healthz`,
    ]
    for (const target of targets) {
      for (const method of ['GET', 'POST']) {
        const { answers } = await exchange(server.url, request(`${method} ${target}`), { answers: 1 })
        if (!target.includes('healthz')) expect([target, answers[0]?.status]).not.toEqual([target, 200])
        expect(answers[0]?.status).toBeLessThan(500)
        for (const secret of [key, token]) expect(answers[0]?.body).not.toContain(secret.slice(8))
      }
    }
    const lines = server.logs.slice(before).join('')
    expect(lines).toContain('"request_id"')
    for (const secret of [key, token]) expect(lines).not.toContain(secret.slice(8))
  })
})

describe('narrower than its maker', () => {
  test('gives a key no scope that its maker lacks, however it is written', async () => {
    const maker = await server.owner.narrow.apiKeys.create({
      name: 'maker',
      scopes: ['api-keys:write', 'actions:read'],
    })
    const wider = [
      ['*'],
      ['read'],
      ['write'],
      ['actions:write'],
      ['actions:read', 'secrets:read'],
      ['api-keys:delete'],
    ]
    for (const scopes of wider) {
      const answer = await ask(server.url, 'POST /api/v1/api-keys', {
        credential: maker.key,
        body: { name: 'w', scopes },
      })
      expect([scopes, answer.status]).toEqual([scopes, 403])
      expect(ErrorBody.parse(answer.body).required_scope).toBeDefined()
    }
    const narrow = server.as(maker.key)
    const equal = await narrow.apiKeys.create({ name: 'equal', scopes: ['actions:read', 'api-keys:write'] })
    expect(equal.scopes.toSorted()).toEqual(['actions:read', 'api-keys:write'])
    const unsaid = await narrow.apiKeys.create({ name: 'unsaid' })
    expect(unsaid.scopes.toSorted()).toEqual(['actions:read', 'api-keys:write'])
  })

  test('gives a shorthand on only from a key that has it: it also stands for what is added one day', async () => {
    const allOf = (verb: RegExp) => scopes.filter((scope) => verb.test(scope))
    const refused: [string[], string[]][] = [
      [['read', 'write'], ['*']],
      [[...scopes], ['*']],
      [allOf(/:read$|^api-keys:/), ['read']],
      [allOf(/:(?!read$)/), ['write']],
    ]
    for (const [own, wanted] of refused) {
      const maker = await server.owner.narrow.apiKeys.create({ name: 'maker', scopes: own as Scope[] })
      const answer = await ask(server.url, 'POST /api/v1/api-keys', {
        credential: maker.key,
        body: { name: 'w', scopes: wanted },
      })
      expect([wanted, answer.status, answer.body]).toEqual([
        wanted,
        403,
        expect.objectContaining({ required_scope: wanted[0] }),
      ])
    }
    const usual = server.as((await server.owner.narrow.apiKeys.create({ name: 'usual' })).key)
    expect((await usual.apiKeys.create({ name: 'its own' })).scopes).toEqual(['read', 'write'])
    const owner = await server.owner.narrow.apiKeys.create({ name: 'owner', scopes: ['*'] })
    const second = await server.as(owner.key).apiKeys.create({ name: 'second', scopes: ['*', 'read'] })
    expect(second.scopes).toEqual(['*', 'read'])
  })

  test('lets `write` do what the document says: make and revoke keys, and pause the workspace', async () => {
    const { body } = await ask(server.url, 'GET /.well-known/openapi.json')
    expect(JSON.stringify(body)).toContain('making and revoking keys and for pausing the workspace')
    const { workspaceId, narrow } = await server.newWorkspace()
    const { key } = await narrow.apiKeys.create({ name: 'writer', scopes: ['write'] })
    const writer = server.as(key)
    const { id } = await writer.apiKeys.create({ name: 'made', scopes: ['write'] })
    await writer.apiKeys.delete(id)
    expect((await writer.workspaces.pause(workspaceId)).status).toBe('paused')
  })

  test('gives a key no longer life than its maker has', async () => {
    const end = at(2 * hour)
    const maker = await server.owner.narrow.apiKeys.create({ name: 'short', expires_at: end })
    const narrow = server.as(maker.key)
    await expect(narrow.apiKeys.create({ name: 'longer', expires_at: at(3 * hour) })).rejects.toMatchObject({
      status: 403,
      code: 'forbidden',
    })
    expect((await narrow.apiKeys.create({ name: 'unsaid' })).expires_at).toBe(end)
    expect((await narrow.apiKeys.create({ name: 'equal', expires_at: end })).expires_at).toBe(end)
    const shorter = await narrow.apiKeys.create({ name: 'shorter', expires_at: at(hour) })
    expect(shorter.expires_at && shorter.expires_at < end).toBe(true)
  })

  test('does not let a key be freed of the addresses its maker is bound to', async () => {
    const maker = await server.owner.narrow.apiKeys.create({
      name: 'bound',
      allowed_ips: ['127.0.0.1', '10.0.0.0/8'],
    })
    const narrow = server.as(maker.key)
    expect((await narrow.apiKeys.create({ name: 'unsaid' })).allowed_ips).toEqual(['127.0.0.1', '10.0.0.0/8'])
    expect(
      (await narrow.apiKeys.create({ name: 'inside', allowed_ips: ['10.1.0.0/16'] })).allowed_ips,
    ).toEqual(['10.1.0.0/16'])
    await expect(
      narrow.apiKeys.create({ name: 'outside', allowed_ips: ['0.0.0.0/0'] }),
    ).rejects.toMatchObject({
      status: 403,
    })
  })

  test('keeps the last key that can make keys, also when the last two are revoked at once', async () => {
    const { key, narrow } = await server.newWorkspace()
    const first = (await narrow.apiKeys.list()).data[0]
    if (!first) throw new Error('The workspace has no key')
    await expect(narrow.apiKeys.delete(first.id)).rejects.toMatchObject({ status: 409, code: 'in_use' })
    await narrow.apiKeys.create({ name: 'reader', scopes: ['read'] })
    await expect(narrow.apiKeys.delete(first.id)).rejects.toMatchObject({ status: 409 })
    const second = await narrow.apiKeys.create({
      name: 'second',
      scopes: ['api-keys:write', 'api-keys:delete'],
    })
    const answers = await Promise.all([
      ask(server.url, `DELETE /api/v1/api-keys/${first.id}`, { credential: second.key }),
      ask(server.url, `DELETE /api/v1/api-keys/${second.id}`, { credential: key }),
    ])
    // The other is refused, by the rule or because its own key is gone already.
    expect(answers.filter(({ status }) => status === 204)).toHaveLength(1)
    expect(answers.filter(({ status }) => [401, 409].includes(status))).toHaveLength(1)
  })
})

test('keeps a key that can make keys until another one lasts as long', async () => {
  const { narrow } = await server.newWorkspace()
  const first = (await narrow.apiKeys.list()).data[0]
  const soon = await narrow.apiKeys.create({ name: 'soon', expires_at: at(hour) })
  await expect(server.as(soon.key).apiKeys.delete(first?.id ?? '')).rejects.toMatchObject({
    status: 409,
    code: 'in_use',
  })
  const later = await narrow.apiKeys.create({ name: 'later', expires_at: at(2 * hour) })
  await narrow.apiKeys.delete(soon.id)
  await narrow.apiKeys.delete(later.id)
  const second = await narrow.apiKeys.create({ name: 'second' })
  await server.as(second.key).apiKeys.delete(first?.id ?? '')
})

test('keeps a key that can make keys when the others may be used from nowhere', async () => {
  const { narrow } = await server.newWorkspace()
  const first = (await narrow.apiKeys.list()).data[0]
  await narrow.apiKeys.create({ name: 'from nowhere', scopes: ['*'], allowed_ips: [] })
  const locksOut = narrow.apiKeys.delete(first?.id ?? '')
  await expect(locksOut).rejects.toMatchObject({ status: 409, code: 'in_use' })
})

describe('the end of a credential', () => {
  test('lets no request through that starts a second after a revocation, under load', async () => {
    const { id, key } = await server.owner.narrow.apiKeys.create({ name: 'revoked under load' })
    const seen: { startedAt: number; status: number }[] = []
    let stopped = false
    const loop = async (): Promise<void> => {
      while (!stopped) {
        const startedAt = performance.now()
        seen.push({ startedAt, status: await statusOf(key, 'GET /api/v1/actions?limit=1') })
      }
    }
    const loops = Array.from({ length: 50 }, loop)
    let revokedAt = 0
    try {
      while (seen.length < 100) await new Promise((resolve) => setImmediate(resolve))
      await server.owner.narrow.apiKeys.delete(id)
      revokedAt = performance.now()
      // Until requests have started and ended after the promised second, nothing is known of them.
      while (!seen.some(({ startedAt }) => startedAt > revokedAt + 1300))
        await new Promise((resolve) => setTimeout(resolve, 20))
    } finally {
      stopped = true
      await Promise.all(loops)
      // So many refusals have used up what an address without a credential may ask in this minute.
      ahead += 60_000
    }
    expect(seen.some(({ status }) => status === 200)).toBe(true)
    const late = seen.filter(({ startedAt, status }) => startedAt >= revokedAt + 1000 && status < 300)
    expect(late).toEqual([])
  })

  test('ends at the second that was said: before it works, at it and after it does not', async () => {
    const action = await newAction()
    const end = at(24 * hour)
    const { key } = await server.owner.narrow.apiKeys.create({ name: 'ends', expires_at: end })
    const { token } = await server.owner.narrow.tokens.create({
      ...examples.token(action.id),
      expires_at: end,
    })
    const remaining = () => Date.parse(end) - clock.now().getTime()
    ahead += remaining() - 5_000
    expect([await statusOf(key), await callWith(token, action.id)]).toEqual([200, 200])
    ahead += remaining()
    expect([await statusOf(key), await callWith(token, action.id)]).toEqual([401, 401])
    ahead += 1_000
    expect([await statusOf(key), await callWith(token, action.id)]).toEqual([401, 401])
  })

  test('begins at the second that was said', async () => {
    const action = await newAction()
    const begin = at(hour)
    const { token, status } = await server.owner.narrow.tokens.create({
      ...examples.token(action.id),
      not_before: begin,
    })
    expect(status).toBe('active')
    expect(await callWith(token, action.id)).toBe(401)
    ahead += Date.parse(begin) - clock.now().getTime() - 5_000
    expect(await callWith(token, action.id)).toBe(401)
    ahead += Date.parse(begin) - clock.now().getTime()
    expect(await callWith(token, action.id)).toBe(200)
  })

  test.each([
    ['a second ago', () => at(-1000), 422],
    ['now', () => at(0), 422],
    ['1970', () => '1970-01-01T00:00:00Z', 422],
    ['the year 10000', () => '+010000-01-01T00:00:00Z', 422],
    ['9999', () => '9999-12-31T23:59:59Z', 201],
    ['a leap second', () => '2030-06-30T23:59:60Z', 422],
    ['hour 24', () => '2030-06-30T24:00:00Z', 422],
    ['30 February', () => '2030-02-30T00:00:00Z', 422],
    ['a day without a time', () => '2030-01-01', 422],
    ['a time without an offset', () => '2030-01-01T00:00:00', 422],
    ['a number', () => 1893456000, 422],
  ])('takes or refuses an expiry of %s', async (_, expiry, expected) => {
    const action = await newAction()
    const bodies = { '/api/v1/api-keys': examples.apiKey(), '/api/v1/tokens': examples.token(action.id) }
    for (const [path, body] of Object.entries(bodies)) {
      const asked = { credential: server.owner.key, body: { ...body, expires_at: expiry() } }
      const answer = await ask(server.url, `POST ${path}`, asked)
      expect([path, answer.status]).toEqual([path, expected])
    }
  })

  test('understands an expiry with an offset as the moment it is', async () => {
    const { expires_at } = await server.owner.narrow.apiKeys.create({
      name: 'offset',
      expires_at: '2030-01-01T01:30:00+05:30',
    })
    expect(expires_at).toBe('2029-12-31T20:00:00.000Z')
  })

  test('lets both texts of a rotated token work for the grace period, then only the new one', async () => {
    const action = await newAction()
    const old = await server.owner.narrow.tokens.create(examples.token(action.id))
    const fresh = await server.owner.narrow.tokens.rotate(old.id, { grace_period_hours: 1 })
    const ending = clock.now().getTime() + hour
    expect(fresh.id).toBe(old.id)
    expect([await callWith(old.token, action.id), await callWith(fresh.token, action.id)]).toEqual([200, 200])
    ahead += ending - clock.now().getTime() - 5_000
    expect([await callWith(old.token, action.id), await callWith(fresh.token, action.id)]).toEqual([200, 200])
    ahead += ending - clock.now().getTime() + 1
    expect([await callWith(old.token, action.id), await callWith(fresh.token, action.id)]).toEqual([401, 200])
  })

  test('ends the old text at once without a grace period, and never lets it outlive the token', async () => {
    const action = await newAction()
    const old = await server.owner.narrow.tokens.create({
      ...examples.token(action.id),
      expires_at: at(hour),
    })
    expect(await callWith(old.token, action.id)).toBe(200)
    const second = await server.owner.narrow.tokens.rotate(old.id, { grace_period_hours: 168 })
    expect(second.expires_at).toBe(old.expires_at)
    const third = await server.owner.narrow.tokens.rotate(old.id, { grace_period_hours: 0 })
    for (const gone of [old, second]) expect(await callWith(gone.token, action.id)).toBe(401)
    expect(await callWith(third.token, action.id)).toBe(200)
    await server.owner.narrow.tokens.rotate(old.id, { grace_period_hours: 168 })
    ahead += hour + 1
    expect(await callWith(third.token, action.id)).toBe(401)
    await expect(server.owner.narrow.tokens.rotate(old.id)).rejects.toMatchObject({ code: 'invalid_state' })
  })

  test('revokes every text of a token, also one in its grace period', async () => {
    const action = await newAction()
    const old = await server.owner.narrow.tokens.create(examples.token(action.id))
    const fresh = await server.owner.narrow.tokens.rotate(old.id, { grace_period_hours: 24 })
    await server.owner.narrow.tokens.delete(old.id)
    expect([await callWith(old.token, action.id), await callWith(fresh.token, action.id)]).toEqual([401, 401])
  })
})

test.each([
  [['127.0.0.1'], 200],
  [['127.0.0.0/8'], 200],
  [['10.0.0.0/8', '127.0.0.1/32'], 200],
  [['::ffff:127.0.0.1'], 200],
  [['127.0.0.2'], 401],
  [['10.0.0.0/8'], 401],
  [['::1'], 401],
  [[], 401],
])('lets credentials bound to %j in from 127.0.0.1 with %i', async (allowed_ips, expected) => {
  const action = await newAction()
  const { token } = await server.owner.narrow.tokens.create({ ...examples.token(action.id), allowed_ips })
  const { key } = await server.owner.narrow.apiKeys.create({ name: 'bound', allowed_ips })
  expect([await callWith(token, action.id), await statusOf(key)]).toEqual([expected, expected])
  const forged = { 'x-forwarded-for': '127.0.0.1', forwarded: 'for=127.0.0.1', 'x-real-ip': '127.0.0.1' }
  const answer = await ask(server.url, 'GET /api/v1/actions', { credential: key, headers: forged })
  expect(answer.status).toBe(expected)
})

describe('the text of credentials', () => {
  test('is unique, fits the published pattern and carries its checksum, 10 000 times', () => {
    const texts = Array.from({ length: 10_000 }, () => newCredential('sk', randomBytes))
    expect(new Set(texts).size).toBe(10_000)
    expect(
      texts.filter((text) => !credentialPattern.sk.test(text) || checkCredential(text) !== 'sk'),
    ).toEqual([])
    // 62^43 is above 2^256, so the digits before the checksum have room for far more than 128 bits.
    expect(texts.every((text) => text.length === 'sk_'.length + 43 + 6)).toBe(true)
  })

  test('is in no table, in no form, and nothing is longer than what may be shown', async () => {
    const { narrow } = server.owner
    const action = await newAction()
    const texts: string[] = []
    for (let index = 0; index < 20; index += 1) {
      const options = { idempotencyKey: `dump-${index}` }
      const { key } = await narrow.apiKeys.create({ name: `dump ${index}` }, options)
      const created = await narrow.tokens.create(examples.token(action.id), options)
      const rotated = await narrow.tokens.rotate(created.id, { grace_period_hours: 1 })
      await statusOf(key)
      await callWith(rotated.token, action.id)
      texts.push(key, created.token, rotated.token)
    }
    await Promise.all([server.deps.recorder.drain(), server.deps.refusals.drain(), server.deps.usage.flush()])
    const dump = await dumpTables(server)
    expect(dump).toContain('dump 19')
    for (const text of texts) {
      const secret = text.slice(text.indexOf('_') + 1)
      for (const form of [text.slice(0, -44), secret.slice(0, 8), secret.slice(-8)])
        expect(dump).not.toContain(form)
      for (const encoding of ['hex', 'base64', 'base64url'] as const)
        expect(dump).not.toContain(Buffer.from(secret.slice(0, 30)).toString(encoding))
      for (const algorithm of ['md5', 'sha1', 'sha256', 'sha512'])
        for (const hashed of [text, secret])
          expect(dump).not.toContain(createHash(algorithm).update(hashed).digest('hex'))
    }
    const lines = server.logs.join('')
    for (const text of texts) expect(lines).not.toContain(text.slice(8))
  })
})

/** Every row of every table as text. */
const dumpTables = async ({ database: { sql } }: TestServer): Promise<string> => {
  const tables = await sql<{ name: string }[]>`
    select table_name as name from information_schema.tables where table_schema = 'narrowapi' and table_type = 'BASE TABLE'`
  const rows = await Promise.all(
    tables.map(({ name }) => sql<{ text: string }[]>`select t::text as text from narrowapi.${sql(name)} t`),
  )
  return rows
    .flat()
    .map(({ text }) => text)
    .join('\n')
}
