import { contract, errorCodes, honoursIdempotencyKey, routesOf, scopes } from '@narrowapi/contract'
import { beforeAll, describe, expect, test } from 'vitest'
import { z } from 'zod'
import { expectAsPromised } from '../support/contract-check.ts'
import { bodyFor, createWorld, idsOf, pathFor, type World } from '../support/examples.ts'
import { type Answer, type Request, send, withoutRequestId } from '../support/send.ts'
import { serverAndUpstream } from '../support/server-and-upstream.ts'
import { stateOf } from '../support/state.ts'

/**
 * What is true of every route, held for every route of the contract. There is no list of exceptions: what does
 * not apply to a route (an audit event to a call that changes nothing) is what its declaration says, and the test
 * of the contract holds the declarations to lists of their own.
 */
const routes = routesOf(contract).map(({ noun, name, route }) => {
  const { auth = 'key' } = route.metadata
  return { id: `${noun}.${name}`, route, auth, isChange: route.method !== 'GET' }
})
type Route = (typeof routes)[number]

const { server, upstream } = await serverAndUpstream()
let mine: World
let theirs: World
/** Texts that no answer may hold: credentials after they were shown, their hashes, and secrets. */
let unspeakable: string[]

beforeAll(async () => {
  mine = await createWorld(server, upstream.url)
  theirs = await createWorld(server, upstream.url)
  unspeakable = await secretsOf([mine, theirs])
})

const secretsOf = async (worlds: readonly World[]): Promise<string[]> => {
  const rows = await server.database.sql<{ hash: string }[]>`
    select hash from api_keys union select hash from tokens`
  return [
    ...worlds.flatMap(({ owner, apiKey, token }) => [owner.key, apiKey.key, token.token]),
    ...rows.map(({ hash }) => hash),
    'upstream-secret-0123456789',
    'payments-secret-0123456789',
    'payments-secret-9876543210',
  ]
}

/** Calls a route with the objects of a world, and holds the answer against the contract. */
const call = async (
  { id, route, auth }: Route,
  world: World,
  request: Request & { ids?: readonly string[]; query?: string } = {},
): Promise<Answer> => {
  const { ids = idsOf(world), query = '', ...rest } = request
  const answer = await send(server.url, route.method, pathFor(route, ids) + query, {
    credential: auth === 'none' ? undefined : auth === 'key' ? world.owner.key : world.token.token,
    body: bodyFor(id, route, world),
    ...rest,
  })
  expectAsPromised(route, answer)
  for (const text of unspeakable) expect(answer.text).not.toContain(text)
  return answer
}

/** A key of a world with these scopes and no others. */
const keyWith = async ({ owner }: World, granted: readonly string[]): Promise<string> => {
  const answer = await send(server.url, 'POST', '/api/v1/api-keys', {
    credential: owner.key,
    body: { name: granted.join(), scopes: granted },
  })
  expect(answer.status).toBe(201)
  return z.object({ key: z.string() }).parse(answer.body).key
}

const successOf = ({ route }: Route): number =>
  Number(Object.keys(route.responses).find((status) => Number(status) < 400))

const eventsOf = (workspaceId: string) => server.database.sql<
  { action: string; outcome: string; actor: object; context: object; target_ids: string[] }[]
>`
  select action, outcome, actor, context, target_ids
  from audit_events
  where workspace_id = ${workspaceId} and action <> 'credential.refused'
  order by seq`

const shapeOf = (schema: unknown): Record<string, z.ZodType> =>
  // The members of a Zod object are Zod schemas.
  schema instanceof z.ZodObject ? (schema.shape as Record<string, z.ZodType>) : {}

const fieldsOf = ({ body }: Answer): string[] =>
  z
    .object({ details: z.array(z.object({ field: z.string() })) })
    .parse(body)
    .details.map(({ field }) => field)

describe.each(routes)('$route.method $route.path', (one) => {
  const { id, route, auth, isChange } = one
  const hasBody = 'body' in route && route.body instanceof z.ZodType
  const hasIds = route.path.includes(':')

  test('answers what the contract says, to a credential that has just what it takes', async () => {
    const world = isChange ? await createWorld(server, upstream.url) : mine
    const { scope } = route.metadata
    const credential = scope === null ? {} : { credential: await keyWith(world, [scope]) }
    const answer = await call(one, world, { ...credential, headers: { 'x-request-id': 'my-own_Id-1' } })
    expect(answer.status).toBe(successOf(one))
    expect(answer.headers.get('x-request-id')).toBe('my-own_Id-1')
    if (answer.status !== 201) return
    const made = await send(server.url, 'GET', answer.headers.get('location') ?? '', {
      credential: world.owner.key,
    })
    expect(made).toMatchObject({
      status: 200,
      body: { id: z.object({ id: z.string() }).parse(answer.body).id },
    })
  })

  test('names the request itself when the name it was given is not plain', async () => {
    const answer = await call(one, mine, { credential: '', headers: { 'x-request-id': '<b>"a b"</b>' } })
    expect(answer.headers.get('x-request-id')).toMatch(/^req_[0-9A-Za-z]{22}$/)
  })

  if (auth !== 'none') {
    test('is closed to no credential, to an unknown one and to one of the wrong kind, in the same words', async () => {
      const wrongKind = auth === 'key' ? mine.token.token : mine.owner.key
      const unknown = `${auth === 'key' ? 'sk' : 'sxt'}_${'0'.repeat(49)}`
      const answers = [
        await call(one, mine, { credential: undefined }),
        await call(one, mine, { credential: wrongKind }),
        await call(one, mine, { credential: unknown }),
      ]
      expect(answers.map(({ status }) => status)).toEqual([401, 401, 401])
      expect(new Set(answers.map((answer) => withoutRequestId(answer).text)).size).toBe(1)
    })
  }

  test('refuses a query parameter it does not know, and names it', async () => {
    const answer = await call(one, mine, { query: '?surprise=1' })
    expect(answer).toMatchObject({ status: 422, body: { error: 'validation_failed' } })
    expect(fieldsOf(answer)).toEqual(['surprise'])
  })

  for (const [name, schema] of Object.entries(shapeOf(route.query))) {
    const wrong = ['', 'x y', '-1', 'x'.repeat(3000)].find((text) => !schema.safeParse(text).success)
    if (wrong === undefined) continue
    test(`refuses a wrong value of the query parameter ${name}, and names it`, async () => {
      const answer = await call(one, mine, { query: `?${new URLSearchParams({ [name]: wrong })}` })
      expect(answer.status).toBe(422)
      expect(fieldsOf(answer)).toEqual([name])
    })
  }

  if (hasBody) {
    test('refuses a field it does not know, and names it', async () => {
      const body = { ...z.looseObject({}).parse(bodyFor(id, route, mine)), surprise: 1 }
      const answer = await call(one, mine, { body })
      expect(answer).toMatchObject({ status: 422, body: { error: 'validation_failed' } })
      expect(fieldsOf(answer)).toEqual(['surprise'])
    })

    test('refuses fields that only the server may set', async () => {
      const reserved = { id: mine.action.id, object: 'x', workspace_id: theirs.workspaceId, created_at: 'x' }
      const answer = await call(one, mine, { body: { ...Object(bodyFor(id, route, mine)), ...reserved } })
      expect(answer.status).toBe(422)
      expect(fieldsOf(answer).sort()).toEqual(Object.keys(reserved).sort())
    })

    test('refuses a body that is not an object', async () => {
      for (const body of ['[]', 'null', '"x"', '7'])
        expect(await call(one, mine, { body })).toMatchObject({
          status: 422,
          body: { error: 'validation_failed' },
        })
      expect((await call(one, mine, { body: '{' })).status).toBe(400)
    })

    for (const [name, schema] of Object.entries(shapeOf('body' in route ? route.body : null))) {
      const wrong = [17.5, true, 'x', {}, [7]].find((value) => !schema.safeParse(value).success)
      if (wrong === undefined) continue
      test(`refuses a wrong type of ${name}, and names it`, async () => {
        const body = { ...Object(bodyFor(id, route, mine)), [name]: wrong }
        const answer = await call(one, mine, { body })
        expect(answer.status).toBe(422)
        expect(fieldsOf(answer).map((field) => field.split('.')[0])).toEqual([name])
      })
    }
  }

  if (route.method === 'DELETE') {
    test('refuses a body, which it has no use for', async () => {
      expect(await call(one, mine, { body: {} })).toMatchObject({
        status: 400,
        body: { error: 'invalid_request' },
      })
    })
  }

  if (hasIds) {
    test('answers for what is of another workspace as for what never was, and leaves it alone', async () => {
      const before = await stateOf(server, theirs.workspaceId)
      const never = idsOf(theirs).map((known) => server.deps.ids.next(known.split('_')[0] ?? ''))
      const [foreign, absent] = [
        await call(one, mine, { ids: idsOf(theirs) }),
        await call(one, mine, { ids: never }),
      ]
      expect(foreign).toMatchObject({ status: 404, body: { error: 'not_found' } })
      expect(withoutRequestId(foreign)).toEqual(withoutRequestId(absent))
      expect(await stateOf(server, theirs.workspaceId)).toEqual(before)
    })

    test('answers 404 to an id that could not be one', async () => {
      for (const text of ['%00', '__proto__', 'x'.repeat(5000), `${mine.action.id}%20`, '7']) {
        const path = route.path.replaceAll(/:[a-z_]+/g, text)
        const answer = await send(server.url, route.method, path, {
          credential: auth === 'key' ? mine.owner.key : mine.token.token,
          body: bodyFor(id, route, mine),
        })
        expect([404, 400]).toContain(answer.status)
      }
    })
  }

  if (route.metadata.audit) {
    test('leaves one audit event that says who did what to what, in which request', async () => {
      const world = await createWorld(server, upstream.url)
      const before = await eventsOf(world.workspaceId)
      const answer = await call(one, world)
      const [event, ...more] = (await eventsOf(world.workspaceId)).slice(before.length)
      const [key] = await server.database.sql<{ id: string; name: string }[]>`
        select id, name from api_keys where workspace_id = ${world.workspaceId} and name = 'Owner'`
      expect(event).toMatchObject({
        action: route.metadata.audit,
        outcome: 'success',
        actor: { type: 'api_key', ...key },
        context: { ip: '127.0.0.1', request_id: answer.headers.get('x-request-id') },
      })
      expect(more).toEqual([])
      const named = z.object({ id: z.string() }).safeParse(answer.body).data?.id ?? idsOf(world)
      expect(event?.target_ids).toContainEqual(
        typeof named === 'string' ? named : named.find((target) => pathFor(route, named).includes(target)),
      )
    })
  }

  // Which changes may do so, and why, is a list in the test of the contract.
  if (!route.metadata.audit) {
    test('leaves no audit event', async () => {
      const before = await eventsOf(mine.workspaceId)
      await call(one, mine)
      expect(await eventsOf(mine.workspaceId)).toEqual(before)
    })
  }

  if (honoursIdempotencyKey(route)) {
    test('does the same thing once for one idempotency key, and says so', async () => {
      const world = await createWorld(server, upstream.url)
      const headers = { 'idempotency-key': 'once' }
      const first = await call(one, world, { headers })
      const [sent, state] = [upstream.received.length, await stateOf(server, world.workspaceId)]
      const again = await call(one, world, { headers })
      expect(first.headers.get('idempotent-replayed')).toBeNull()
      expect(again.headers.get('idempotent-replayed')).toBe('true')
      expect([again.status, again.text]).toEqual([first.status, first.text])
      for (const name of ['etag', 'location', 'content-type', 'x-execution-id'])
        expect(again.headers.get(name)).toBe(first.headers.get(name))
      expect(upstream.received).toHaveLength(sent)
      expect(withoutUses(await stateOf(server, world.workspaceId))).toEqual(withoutUses(state))
      if (!hasBody) return
      const other = `${JSON.stringify(bodyFor(id, route, world))} `
      expect(await call(one, world, { headers, body: other })).toMatchObject({
        status: 422,
        body: { error: 'idempotency_key_reused' },
      })
    })

    test('keeps no idempotency key for what it refused', async () => {
      const world = await createWorld(server, upstream.url)
      const headers = { 'idempotency-key': 'corrected' }
      expect((await call(one, world, { headers, query: '?surprise=1' })).status).toBe(422)
      const answer = await call(one, world, { headers })
      expect([answer.status, answer.headers.get('idempotent-replayed')]).toEqual([successOf(one), null])
    })

    test('refuses an idempotency key that is not 1 to 255 visible characters', async () => {
      for (const key of ['', 'a b', 'x'.repeat(256), 'caf\u00e9'])
        expect(await call(one, mine, { headers: { 'idempotency-key': key } })).toMatchObject({
          status: 400,
          body: { error: 'invalid_request' },
        })
    })
  }
})

/** When a credential was last used moves with every request. */
const withoutUses = ({ api_keys: _, tokens: __, ...state }: Awaited<ReturnType<typeof stateOf>>) => state

test('each scope opens the routes that name it, and no other', async () => {
  const keyed = routes.filter(({ auth }) => auth === 'key')
  const absent = idsOf(mine).map((known) => server.deps.ids.next(known.split('_')[0] ?? ''))
  for (const granted of scopes) {
    const credential = await keyWith(mine, [granted])
    for (const one of keyed) {
      const { scope } = one.route.metadata
      const answer = await call(one, mine, { credential, ids: absent })
      if (scope === granted) expect([401, 403]).not.toContain(answer.status)
      else {
        expect(answer.status).toBe(errorCodes.forbidden.status)
        expect(answer.body).toMatchObject({ error: 'forbidden', required_scope: scope })
      }
    }
  }
})

test('every scope but the one it needs does not open a route', async () => {
  for (const scope of scopes) {
    const credential = await keyWith(
      mine,
      scopes.filter((other) => other !== scope),
    )
    const one = routes.find(({ route }) => route.metadata.scope === scope)
    if (!one) throw new Error(`No route needs ${scope}`)
    expect(await call(one, mine, { credential })).toMatchObject({
      status: 403,
      body: { required_scope: scope },
    })
  }
})

test('no secret, credential or hash was logged', async () => {
  const logged = server.logs.join('')
  for (const text of await secretsOf([mine, theirs])) expect(logged).not.toContain(text)
})
