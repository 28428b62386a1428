import { beforeEach, describe, expect, test } from 'vitest'
import { endAbandoned } from '../../server/src/proxy/record-queries.ts'
import { exchange, request } from '../support/raw.ts'
import type { Actor } from '../support/server.ts'
import { serverAndUpstream } from '../support/server-and-upstream.ts'
import { echo, json, startUpstream, type Upstream } from '../support/upstream.ts'
import { call, callable, settableClock, tally, together } from './calls.ts'

const clock = settableClock('2026-03-01T00:00:00.000Z')
const day = 86_400_000
const { server, upstream } = await serverAndUpstream({ clock })
let actor: Actor

beforeEach(async () => {
  upstream.received = []
  upstream.answer = echo
  actor = await server.newWorkspace()
})

const anyInput = () => ({ target_url: upstream.url, input_schema: { type: 'object' } })

const withKey = (key: string) => ({ headers: { 'idempotency-key': key } })

/** Answers each request with its number, so that a second sending would show. */
const numbered: Upstream['answer'] = (request, res) =>
  json(201, { sent: upstream.received.length })(request, res)

describe('a call with a key', () => {
  test('is sent once, however many carry the key at once', async () => {
    upstream.answer = (request, res) => setTimeout(() => numbered(request, res), 30)
    const { action, token } = await callable(actor, anyInput())
    const answers = await together(50, () => call(server, token, action.id, { n: 1 }, withKey('one')))
    expect(upstream.received).toHaveLength(1)
    const counted = tally(answers.map(({ status }) => status))
    expect((counted[201] ?? 0) + (counted[409] ?? 0)).toBe(50)
    expect(counted[201]).toBeGreaterThanOrEqual(1)
    const waiting = answers.find(({ status }) => status === 409)
    expect(waiting?.error).toBe('idempotency_in_progress')
    expect(waiting?.headers.get('retry-after')).toBe('1')
    const executions = await actor.narrow.executions.list({ limit: 100 })
    expect(executions.data.map(({ status }) => status)).toEqual(['completed'])
    // Everyone is told of it, and can read it.
    const told = new Set(answers.map(({ executionId }) => executionId))
    expect([...told]).toEqual([executions.data[0]?.id])
  })

  test.each([200, 201, 404, 500])('is answered again as it was: status %i', async (status) => {
    upstream.answer = (request, res) =>
      json(status, { sent: upstream.received.length }, { etag: '"e"' })(request, res)
    const { action, token } = await callable(actor, anyInput())
    const first = await call(server, token, action.id, { n: 1 }, withKey('again'))
    expect(first.headers.get('idempotent-replayed')).toBeNull()
    const again = await call(server, token, action.slug, { n: 1 }, withKey('"again"'))
    expect([again.status, again.text, again.error]).toEqual([first.status, first.text, first.error])
    expect(again.headers.get('idempotent-replayed')).toBe('true')
    for (const name of ['content-type', 'etag', 'x-upstream-status', 'x-execution-id']) {
      expect(again.headers.get(name)).toBe(first.headers.get(name))
    }
    expect(upstream.received).toHaveLength(1)
  })

  test('takes no second use and no second quota when it is repeated', async () => {
    const { action, token, tokenId } = await callable(actor, anyInput(), { max_uses: 1 })
    for (let n = 0; n < 3; n += 1) {
      expect((await call(server, token, action.id, {}, withKey('use'))).status).toBe(200)
    }
    expect((await actor.narrow.tokens.get(tokenId)).uses).toBe(1)
  })

  test.each([
    ['token', { max_uses: 1 }, {}],
    ['grant', {}, { max_uses: 1 }],
  ])('that takes the last use of its %s is not told so while its twin runs', async (_, token, grant) => {
    upstream.answer = (request, response) => setTimeout(() => json(201, {})(request, response), 100)
    const made = await callable(server.owner, { target_url: upstream.url }, token, grant)
    const keyed = (key: string) =>
      call(server, made.token, made.action.id, {}, { headers: { 'idempotency-key': key } })
    const answers = await Promise.all(Array.from({ length: 8 }, () => keyed('last')))
    expect(tally(answers.map(({ status, error }) => `${status} ${error}`))).toEqual({
      '201 null': 1,
      '409 idempotency_in_progress': 7,
    })
    expect((await keyed('last')).status).toBe(201)
    // The key of a call that was refused is free.
    expect((await keyed('other')).error).toBe('token_exhausted')
    expect((await keyed('other')).error).toBe('token_exhausted')
  })

  test('with another body is refused and leaves nothing, also when ten come at once', async () => {
    const { action, token } = await callable(actor, anyInput())
    await call(server, token, action.id, { n: 1 }, withKey('body'))
    const other = await call(server, token, action.id, { n: 2 }, withKey('body'))
    expect([other.status, other.error]).toEqual([422, 'idempotency_key_reused'])
    const bodies = await together(10, (n) => call(server, token, action.id, { n }, withKey('ten')))
    expect(tally(bodies.map(({ status, error }) => `${status} ${error}`))).toEqual({
      '200 null': 1,
      '422 idempotency_key_reused': 9,
    })
    expect(upstream.received).toHaveLength(2)
    expect((await actor.narrow.executions.list({ limit: 100 })).data).toHaveLength(2)
  })

  test('shares it with no other action, token or workspace', async () => {
    upstream.answer = numbered
    const one = await callable(actor, anyInput())
    const two = await actor.narrow.actions.create({ name: 'Two', target_url: upstream.url })
    const { token: both } = await actor.narrow.tokens.create({
      name: 'b',
      action_ids: [one.action.id, two.id],
    })
    const foreign = await callable(await server.newWorkspace(), anyInput())
    await call(server, one.token, one.action.id, {}, withKey('same'))
    await call(server, both, one.action.id, {}, withKey('same'))
    await call(server, both, two.id, {}, withKey('same'))
    await call(server, foreign.token, foreign.action.id, {}, withKey('same'))
    expect(upstream.received).toHaveLength(4)
  })

  test('that was refused or never sent leaves the key free', async () => {
    const gone = await startUpstream()
    await gone.stop()
    const { action, token } = await callable(actor, {
      target_url: gone.url,
      input_schema: [{ name: 'n', type: 'integer', required: true }],
    })
    const refused = await call(server, token, action.id, { n: 'x' }, withKey('free'))
    expect(refused.error).toBe('validation_failed')
    const unsent = await call(server, token, action.id, { n: 1 }, withKey('free'))
    expect(unsent.error).toBe('upstream_error')
    await actor.narrow.actions.update(action.id, { target_url: upstream.url })
    const sent = await call(server, token, action.id, { n: 2 }, withKey('free'))
    expect([sent.status, sent.headers.get('idempotent-replayed')]).toEqual([200, null])
    const { data } = await actor.narrow.executions.list()
    expect(data.map(({ status }) => status)).toEqual(['completed', 'failed', 'rejected'])
  })

  test.each<[string, Upstream['answer'], string]>([
    ['timed out', () => {}, 'upstream_timeout'],
    ['broke off', (_, res) => res.destroy(), 'upstream_outcome_unknown'],
    ['was not authorised', json(401, {}), 'upstream_auth_failed'],
  ])('that %s after it was sent is never sent again', async (_, answer, code) => {
    upstream.answer = answer
    const { action, token } = await callable(actor, { ...anyInput(), timeout_ms: 200 })
    const first = await call(server, token, action.id, {}, withKey('sent'))
    expect(first.error).toBe(code)
    upstream.answer = echo
    const again = await call(server, token, action.id, {}, withKey('sent'))
    expect([again.status, again.error, again.body?.message]).toEqual([
      first.status,
      code,
      first.body?.message,
    ])
    expect(again.headers.get('idempotent-replayed')).toBe('true')
    expect(again.executionId).toBe(first.executionId)
    // The refusal is told anew, to the one who asks now.
    expect(again.body?.request_id).not.toBe(first.body?.request_id)
    expect(upstream.received).toHaveLength(1)
  })

  test('whose caller has gone is finished, and its answer waits under the key', async () => {
    upstream.answer = (request, res) => setTimeout(() => numbered(request, res), 40)
    const { action, token } = await callable(actor, anyInput())
    await together(12, async (n) => {
      await fetch(`${server.url}/x/${action.id}`, {
        method: 'POST',
        headers: { authorization: `Bearer ${token}`, 'idempotency-key': `gone-${n}` },
        signal: AbortSignal.timeout(1 + 3 * n),
      }).catch(() => null)
    })
    const retried = await together(12, async (n) => {
      for (;;) {
        const answer = await call(server, token, action.id, undefined, withKey(`gone-${n}`))
        if (answer.status !== 409) return answer
      }
    })
    expect(tally(retried.map(({ status }) => status))).toEqual({ 201: 12 })
    expect(upstream.received).toHaveLength(12)
  })

  test('whose server died is in progress until its lease ends, then unknown, and never sent again', async () => {
    const { action, token } = await callable(actor, { ...anyInput(), timeout_ms: 1_000 })
    const { executionId } = await call(server, token, action.id, {}, withKey('died'))
    // What a server leaves that is killed after it has sent.
    const lease = new Date(clock.now().getTime() + 16_000).toISOString()
    await server.database.sql`
      update idempotency_keys set reply = null, lease_expires_at = ${lease} where execution_id = ${executionId}`
    await server.database.sql`
      update executions set status = 'running', output = null, completed_at = null, lease_expires_at = ${lease}
      where id = ${executionId}`
    clock.advance(15_999)
    const waiting = await call(server, token, action.id, {}, withKey('died'))
    expect(waiting.error).toBe('idempotency_in_progress')
    clock.advance(2)
    for (let n = 0; n < 2; n += 1) {
      const unknown = await call(server, token, action.id, {}, withKey('died'))
      expect([unknown.status, unknown.error]).toEqual([502, 'upstream_outcome_unknown'])
      expect(unknown.executionId).toBe(executionId)
    }
    await expect
      .poll(async () => (await actor.narrow.executions.get(executionId ?? '')).status, { timeout: 8_000 })
      .toBe('failed')
    const ended = await actor.narrow.executions.get(executionId ?? '')
    expect(ended.error?.code).toBe('upstream_outcome_unknown')
    expect(upstream.received).toHaveLength(1)
  })

  test('whose lease ran out before its answer is told what its record says, with a key or without', async () => {
    upstream.answer = async (request, res) => {
      // What another server does that sweeps while this one waits for a slow database.
      await endAbandoned(server.deps.system, new Date(clock.now().getTime() + day).toISOString())
      numbered(request, res)
    }
    const { action, token } = await callable(actor, { ...anyInput(), timeout_ms: 5_000 })
    for (const options of [{}, withKey('late')]) {
      const late = await call(server, token, action.id, {}, options)
      expect([late.status, late.error]).toEqual([502, 'upstream_outcome_unknown'])
      const record = await actor.narrow.executions.get(late.executionId ?? '')
      expect(record).toMatchObject({ status: 'failed', error: { code: 'upstream_outcome_unknown' } })
    }
    clock.advance(21_000)
    const again = await call(server, token, action.id, {}, withKey('late'))
    expect(again.error).toBe('upstream_outcome_unknown')
    expect(upstream.received).toHaveLength(2)
  })

  test('does not wait in a circle with others that carry the same keys in another order', async () => {
    const { action, token } = await callable(actor, anyInput())
    const keys = Array.from({ length: 60 }, (_, n) => `circle-${n}`)
    const before = server.logs.length
    const send = (key: string) => call(server, token, action.id, {}, withKey(key))
    for (let round = 0; round < 3; round += 1) {
      const named = keys.map((key) => `${key}-${round}`)
      const answers = await Promise.all([...named, ...named.toReversed()].map(send))
      expect(answers.every(({ status }) => status === 200 || status === 409)).toBe(true)
    }
    expect(upstream.received).toHaveLength(180)
    expect(server.logs.slice(before).join('')).not.toContain('was refused')
  })

  test('is remembered for a day and then forgotten', async () => {
    const { action, token } = await callable(actor, anyInput())
    await call(server, token, action.id, {}, withKey('day'))
    clock.advance(day - 1_000)
    expect(
      (await call(server, token, action.id, {}, withKey('day'))).headers.get('idempotent-replayed'),
    ).toBe('true')
    clock.advance(2_000)
    const fresh = await call(server, token, action.id, { other: 'body' }, withKey('day'))
    expect([fresh.status, fresh.headers.get('idempotent-replayed')]).toEqual([200, null])
    expect(upstream.received).toHaveLength(2)
  })
})

describe('a change with a key', () => {
  const send = async (
    method: string,
    path: string,
    body?: unknown,
    headers: Record<string, string> = {},
    key = actor.key,
  ) => {
    const response = await fetch(`${server.url}/api/v1${path}`, {
      method,
      headers: { authorization: `Bearer ${key}`, 'content-type': 'application/json', ...headers },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    })
    const text = await response.text()
    return { status: response.status, headers: response.headers, text }
  }
  const idempotent = (key: string) => ({ 'idempotency-key': key })
  const newAction = (name = 'An action') => ({ name, target_url: upstream.url })
  const countActions = async () => (await actor.narrow.actions.list({ limit: 100 })).data.length

  test('is made once, however many carry the key at once', async () => {
    const answers = await together(50, () => send('POST', '/actions', newAction(), idempotent('fifty')))
    const counted = tally(answers.map(({ status }) => status))
    expect((counted[201] ?? 0) + (counted[409] ?? 0)).toBe(50)
    expect(counted[201]).toBeGreaterThanOrEqual(1)
    expect(new Set(answers.filter(({ status }) => status === 201).map(({ text }) => text)).size).toBe(1)
    expect(answers.filter(({ headers }) => headers.get('idempotent-replayed') === 'true')).toHaveLength(
      (counted[201] ?? 0) - 1,
    )
    expect(await countActions()).toBe(1)
    expect((await actor.narrow.audit.list()).data).toHaveLength(1)
  })

  test('is answered again as it was, with its headers, and marked', async () => {
    const first = await send('POST', '/actions', newAction(), idempotent('again'))
    const again = await send('POST', '/actions', newAction(), idempotent('again'))
    expect([again.status, again.text]).toEqual([first.status, first.text])
    for (const name of ['location', 'etag']) expect(again.headers.get(name)).toBe(first.headers.get(name))
    expect(again.headers.get('idempotent-replayed')).toBe('true')
    expect(first.headers.get('idempotent-replayed')).toBeNull()
  })

  test('with another body is refused and makes nothing; of ten at once one is made', async () => {
    await send('POST', '/actions', newAction('one'), idempotent('body'))
    const other = await send('POST', '/actions', newAction('two'), idempotent('body'))
    expect(other.status).toBe(422)
    expect(other.text).toContain('idempotency_key_reused')
    const ten = await together(10, (n) => send('POST', '/actions', newAction(`n${n}`), idempotent('ten')))
    expect(ten.filter(({ status }) => status === 201)).toHaveLength(1)
    expect(await countActions()).toBe(2)
  })

  test('shares it with no other route, credential or workspace', async () => {
    const { key: second } = await actor.narrow.apiKeys.create({ name: 'second' })
    const foreign = await server.newWorkspace()
    const answers = [
      await send('POST', '/actions', newAction(), idempotent('same')),
      await send('POST', '/secrets', { name: 's', value: 'v' }, idempotent('same')),
      await send('POST', '/actions', newAction(), idempotent('same'), second),
      await send('POST', '/actions', newAction(), idempotent('same'), foreign.key),
    ]
    expect(answers.map(({ status }) => status)).toEqual([201, 201, 201, 201])
    expect(answers.every(({ headers }) => headers.get('idempotent-replayed') === null)).toBe(true)
  })

  test('that failed leaves the key to the corrected one', async () => {
    await send('POST', '/actions', { ...newAction(), slug: 'taken' })
    const wrong = await send('POST', '/actions', { name: 'x' }, idempotent('mended'))
    const conflict = await send('POST', '/actions', { ...newAction(), slug: 'taken' }, idempotent('mended'))
    const mended = await send('POST', '/actions', { ...newAction(), slug: 'free' }, idempotent('mended'))
    expect([wrong.status, conflict.status, mended.status]).toEqual([422, 409, 201])
  })

  test('whose caller has gone is made at most once', async () => {
    await together(12, (n) =>
      fetch(`${server.url}/api/v1/actions`, {
        method: 'POST',
        headers: {
          authorization: `Bearer ${actor.key}`,
          'content-type': 'application/json',
          'idempotency-key': `gone-${n}`,
        },
        body: JSON.stringify(newAction(`gone ${n}`)),
        signal: AbortSignal.timeout(1 + n),
      }).catch(() => null),
    )
    await together(12, async (n) => {
      for (;;) {
        const { status } = await send('POST', '/actions', newAction(`gone ${n}`), idempotent(`gone-${n}`))
        if (status !== 409) return
      }
    })
    expect(await countActions()).toBe(12)
  })

  test('is remembered for a day and then forgotten', async () => {
    await send('POST', '/actions', newAction(), idempotent('day'))
    clock.advance(day - 1_000)
    const late = await send('POST', '/actions', newAction(), idempotent('day'))
    expect(late.headers.get('idempotent-replayed')).toBe('true')
    clock.advance(2_000)
    const fresh = await send('POST', '/actions', newAction('other body'), idempotent('day'))
    expect([fresh.status, fresh.headers.get('idempotent-replayed')]).toEqual([201, null])
  })

  test.each([
    ['empty', ''],
    ['256 characters', 'k'.repeat(256)],
    ['a space', 'a b'],
    ['a control character', 'a\tb'],
    ['a character beyond ASCII', 'k\u00e9'],
    ['an open quote', '"a b'],
  ])('whose key is %s is refused', async (_, key) => {
    const answer = await send('POST', '/actions', newAction(), idempotent(key))
    expect([answer.status, await countActions()]).toEqual([400, 0])
    expect(answer.text).toContain('invalid_request')
  })

  test('that carries two keys is refused, and so is a call', async () => {
    const { action, token } = await callable(actor, anyInput())
    const json = { 'Content-Type': 'application/json' }
    for (const [line, credential, body] of [
      ['POST /api/v1/actions', actor.key, JSON.stringify(newAction())],
      [`POST /x/${action.id}`, token, '{}'],
    ] as const) {
      // Two lines of one name, which no object of headers can hold.
      const twice = { Authorization: `Bearer ${credential}`, 'Idempotency-Key': 'a\r\nIdempotency-Key: a' }
      const bytes = request(line, { ...json, ...twice }, body)
      const [answer] = (await exchange(server.url, bytes, { answers: 1 })).answers
      expect([line, answer?.status, answer?.body]).toEqual([
        line,
        400,
        expect.stringContaining('Idempotency-Key must be sent once'),
      ])
    }
    expect(await countActions()).toBe(1)
    expect(upstream.received).toHaveLength(0)
  })

  test.each(['k'.repeat(255), '8e03978e-40d5-43dd-bc93-6894a57f9324', '!~#'])(
    'may have the key %s, quoted or bare',
    async (key) => {
      await send('POST', '/actions', newAction(), idempotent(key))
      const quoted = await send('POST', '/actions', newAction(), idempotent(`"${key}"`))
      expect(quoted.headers.get('idempotent-replayed')).toBe('true')
    },
  )

  test('of a name that must be unique, twenty times at once without a key, is made once', async () => {
    const answers = await together(20, () => send('POST', '/actions', { ...newAction(), slug: 'unique' }))
    expect(tally(answers.map(({ status }) => status))).toEqual({ 201: 1, 409: 19 })
    const named = await together(20, () => send('POST', '/actions', newAction('Same name')))
    const counted = tally(named.map(({ status }) => status))
    expect((counted[201] ?? 0) + (counted[409] ?? 0)).toBe(20)
    expect(counted[201]).toBeGreaterThanOrEqual(1)
  })

  test('thirty times at once ends in one of them; with If-Match exactly one is made', async () => {
    const action = await actor.narrow.actions.create(newAction())
    const plain = await together(30, (n) => send('PATCH', `/actions/${action.id}`, { description: `d${n}` }))
    expect(tally(plain.map(({ status }) => status))).toEqual({ 200: 30 })
    const after = await actor.narrow.actions.get(action.id)
    expect(after.description).toMatch(/^d\d+$/)
    expect(after.version).toBe(31)
    const versions = (await actor.narrow.actions.listVersions(action.id, { limit: 100 })).data
    expect(versions.map(({ version }) => version)).toEqual(Array.from({ length: 31 }, (_, n) => 31 - n))
    const matched = await together(30, (n) =>
      send('PATCH', `/actions/${action.id}`, { description: `e${n}` }, { 'if-match': '"31"' }),
    )
    expect(tally(matched.map(({ status }) => status))).toEqual({ 200: 1, 409: 29 })
    expect(matched.filter(({ text }) => text.includes('version_conflict'))).toHaveLength(29)
    const stale = await send('PATCH', `/actions/${action.id}`, { description: 'f', version: 31 })
    expect(stale.text).toContain('version_conflict')
  })

  test('twenty deletes of one thing fail nowhere', async () => {
    const action = await actor.narrow.actions.create(newAction())
    const { id: tokenId } = await actor.narrow.tokens.create({ name: 't', action_ids: [action.id] })
    for (const path of [`/tokens/${tokenId}`, `/actions/${action.id}`]) {
      const answers = await together(20, () => send('DELETE', path))
      const counted = tally(answers.map(({ status }) => status))
      expect((counted[204] ?? 0) + (counted[404] ?? 0)).toBe(20)
      expect(counted[204]).toBeGreaterThanOrEqual(1)
    }
  })
})
