import { contract, routesOf } from '@narrowapi/contract'
import { beforeAll, expect, test } from 'vitest'
import { z } from 'zod'
import { createWorld, examples, idsOf, pathFor, type World } from '../support/examples.ts'
import { type Answer, send } from '../support/send.ts'
import type { Actor } from '../support/server.ts'
import { serverAndUpstream } from '../support/server-and-upstream.ts'

const { server, upstream } = await serverAndUpstream()
let world: World

beforeAll(async () => {
  world = await createWorld(server, upstream.url)
  await fill(world)
})

/** At least three of everything, so that every list has a second page. */
const fill = async ({ owner, action, token }: World): Promise<void> => {
  for (const name of ['one', 'two']) {
    await owner.narrow.actions.create({ ...examples.action(upstream.url), name })
    await owner.narrow.tokens.create({ ...examples.token(action.id), name })
    await owner.narrow.secrets.create({ ...examples.secret(), name })
    await owner.narrow.apiKeys.create({ ...examples.apiKey(), name })
    await owner.narrow.actions.update(action.id, { description: name })
    await server.as(token.token).execute(action.id, examples.input())
  }
}

const lists = routesOf(contract)
  .filter(({ name }) => name.startsWith('list'))
  .map(({ noun, name, route }) => ({ id: `${noun}.${name}`, route }))
/** A workspace key sees one workspace, so this list has no second page. */
const longLists = lists.filter(({ id }) => id !== 'workspaces.list')

const Page = z.strictObject({
  object: z.literal('list'),
  data: z.array(z.looseObject({})),
  has_more: z.boolean(),
  next_cursor: z.string().nullable(),
})

const ask = (path: string, { key }: Actor = world.owner, method = 'GET'): Promise<Answer> =>
  send(server.url, method, path, { credential: key })

const pageAt = async (path: string, actor: Actor = world.owner) => {
  const answer = await ask(path, actor)
  expect([answer.status, answer.text.slice(0, 200)]).toEqual([200, expect.any(String)])
  return Page.parse(answer.body)
}

const withQuery = (path: string, query: Record<string, string>): string =>
  `${path}?${new URLSearchParams(query)}`

/** Every object of a list, page by page. */
const walk = async (path: string, query: Record<string, string>, actor: Actor = world.owner) => {
  const seen: Record<string, unknown>[] = []
  const limit = Number(query.limit ?? 20)
  for (let cursor: string | null = ''; cursor !== null; ) {
    const found: z.output<typeof Page> = await pageAt(
      withQuery(path, { ...query, ...(cursor === '' ? {} : { cursor }) }),
      actor,
    )
    expect(found.data.length).toBeLessThanOrEqual(limit)
    expect(found.has_more).toBe(found.next_cursor !== null)
    if (found.has_more) expect(found.data).toHaveLength(limit)
    seen.push(...found.data)
    cursor = found.next_cursor
  }
  return seen
}

const namesOf = (items: readonly Record<string, unknown>[]) => items.map(({ name }) => name)
const idsIn = (items: readonly Record<string, unknown>[]) => items.map(({ id }) => String(id))

/** What names an object in its list: its id, or the number of a version. */
const keyOf = ({ id, version }: Record<string, unknown>) => id ?? version

test.each(lists)('$id gives 1 to 100 objects, and refuses to give others', async ({ route }) => {
  const path = pathFor(route, idsOf(world))
  for (const limit of [
    '0',
    '-1',
    '1.5',
    '101',
    '1000000000',
    'NaN',
    'Infinity',
    '',
    'ten',
    '0x10',
    '1e1',
    ' 5',
    '+5',
    '05x',
    '1e1000',
    '5 5',
  ]) {
    const answer = await ask(withQuery(path, { limit }))
    expect([limit, answer.status]).toEqual([limit, 422])
    expect(answer.body).toMatchObject({ details: [{ field: 'limit' }] })
  }
  for (const query of [
    'limit=1&limit=2',
    'limit[]=5',
    'limit[gt]=5',
    'per_page=1&limit=1',
    'page=2',
    'offset=10',
  ])
    expect([query, (await ask(`${path}?${query}`)).status]).toEqual([query, 422])
  expect((await pageAt(`${path}?limit=1`)).data.length).toBe(1)
  expect((await pageAt(`${path}?limit=100`)).has_more).toBe(false)
})

test.each(longLists)('$id takes per_page for limit', async ({ route }) => {
  const path = pathFor(route, idsOf(world))
  expect((await pageAt(`${path}?per_page=2`)).data).toEqual((await pageAt(`${path}?limit=2`)).data)
})

test.each(longLists)(
  '$id links its next page, and has every object on exactly one page',
  async ({ route }) => {
    const path = pathFor(route, idsOf(world))
    const whole = (await pageAt(`${path}?limit=100`)).data.map(keyOf)
    const walked: unknown[] = []
    for (let next: string | undefined = `${path}?limit=1`; next !== undefined; ) {
      const answer: Answer = await ask(next)
      const { data, next_cursor } = Page.parse(answer.body)
      walked.push(...data.map(keyOf))
      next = /^<([^>]+)>; rel="next"$/.exec(answer.headers.get('link') ?? '')?.[1]
      expect(next === undefined).toBe(next_cursor === null)
    }
    expect(whole.length).toBeGreaterThan(2)
    expect(walked).toEqual(whole)
  },
)

test.each(lists)(
  '$id answers HEAD as it answers GET, without the objects, and only to who may GET',
  async ({ route }) => {
    const path = `${pathFor(route, idsOf(world))}?limit=1`
    const [get, head] = [await ask(path), await ask(path, world.owner, 'HEAD')]
    expect([head.status, head.text]).toEqual([200, ''])
    for (const name of ['link', 'content-type', 'content-length'])
      expect([name, head.headers.get(name)]).toEqual([name, get.headers.get(name)])
    expect((await send(server.url, 'HEAD', path)).status).toBe(401)
    expect((await send(server.url, 'HEAD', path, { credential: world.token.token })).status).toBe(401)
  },
)

test.each(longLists)('$id refuses every cursor it did not give', async ({ route }) => {
  const path = pathFor(route, idsOf(world))
  const { next_cursor } = await pageAt(`${path}?limit=1`)
  const good = next_cursor ?? ''
  const flipped = (index: number) =>
    good.slice(0, index) + (good[index] === 'A' ? 'B' : 'A') + good.slice(index + 1)
  const forged = [
    ...[0, 5, 21, 22, 30, good.length - 1].map(flipped),
    ...[
      good.slice(1),
      good.slice(0, -1),
      `${good}A`,
      `${good}=`,
      ` ${good}`,
      good.toUpperCase(),
      good + good,
    ],
    ...[
      'null',
      '{}',
      '[]',
      '0',
      "' or 1=1 --",
      world.action.id,
      Buffer.from('["zzz"]').toString('base64url'),
    ],
    ...['\u00e9', '%', '../..', '\u{1F600}', '__proto__'],
  ]
  for (const cursor of forged) {
    const answer = await ask(withQuery(path, { limit: '1', cursor }))
    expect([cursor, answer.status]).toEqual([cursor, 400])
    expect(answer.body).toMatchObject({ error: 'invalid_cursor' })
  }
  for (const query of [
    'cursor=',
    `cursor=${'x'.repeat(10_000)}`,
    `cursor=${good}&cursor=${good}`,
    'cursor[a]=1',
  ])
    expect((await ask(`${path}?limit=1&${query}`)).status).toBe(422)
  for (const query of ['cursor=%00', 'cursor=%ff', 'cursor=%'])
    expect((await ask(`${path}?${query}`)).status).toBe(400)
})

test('a cursor belongs to one list, one filter, one order and one parent, and to any page size', async () => {
  const cursor = (await pageAt('/api/v1/secrets?limit=1')).next_cursor ?? ''
  const executions = `/api/v1/actions/${world.action.id}/executions`
  const nested = (await pageAt(`${executions}?limit=1`)).next_cursor ?? ''
  const other = await world.owner.narrow.actions.create(examples.action(upstream.url))
  const elsewhere = [
    `/api/v1/actions?cursor=${cursor}`,
    `/api/v1/secrets?cursor=${cursor}&sort=name`,
    `/api/v1/secrets?cursor=${cursor}&search=x`,
    `/api/v1/secrets?cursor=${cursor}&type=bearer`,
    `/api/v1/secrets?cursor=${cursor}&metadata[a]=b`,
    `/api/v1/secrets?cursor=${cursor}&created_after=2020-01-01T00:00:00Z`,
    `/api/v1/executions?cursor=${nested}`,
    `/api/v1/executions?cursor=${nested}&action_id=${world.action.id}`,
    `/api/v1/actions/${other.id}/executions?cursor=${nested}`,
  ]
  for (const path of elsewhere) expect([path, (await ask(path)).status]).toEqual([path, 400])
  expect((await pageAt(`/api/v1/secrets?cursor=${cursor}&limit=50&fields=name`)).data.length).toBeGreaterThan(
    0,
  )
})

/** Names that tell orders apart: equal ones, cases, an accent in two forms, beyond the basic plane. */
const names = ['b', 'a', 'a', 'B', 'a', 'b', '\u00e9', 'e\u0301', '\u{1F600}', '\uFFEE', 'a b', 'A', 'b']

const sortable = async (): Promise<{ actor: Actor; items: Record<string, unknown>[] }> => {
  const actor = await server.newWorkspace()
  for (const name of names) await actor.narrow.secrets.create({ ...examples.secret(), name })
  const { data } = await pageAt('/api/v1/secrets?limit=100', actor)
  for (const item of data.filter((_, index) => index % 4 === 0))
    await actor.narrow.secrets.update(String(item.id), { metadata: { touched: 'yes' } })
  return { actor, items: (await pageAt('/api/v1/secrets?limit=100', actor)).data }
}

/** The promised order, worked out the slow way: by each key in turn, names by code point, at last by id. */
const inOrder = (items: readonly Record<string, unknown>[], sort: string) => {
  const keys = sort
    .split(',')
    .map((key) => ({ field: key.replace('-', ''), sign: key.startsWith('-') ? -1 : 1 }))
  const last = keys.at(-1)?.sign ?? -1
  return [...items].sort((left, right) => {
    for (const { field, sign } of [...keys, { field: 'id', sign: last }]) {
      const [l, r] = [left, right].map((item) =>
        Buffer.from(String(item[field === 'created_at' ? 'id' : field])),
      )
      const order = l && r ? Buffer.compare(l, r) : 0
      if (order !== 0) return order * sign
    }
    return 0
  })
}

test('every order is total and the same on one page as on many', async () => {
  const { actor, items } = await sortable()
  expect(idsIn(items)).toEqual(idsIn(inOrder(items, '-created_at')))
  for (const sort of [
    'created_at',
    '-created_at',
    'name',
    '-name',
    'name,-created_at',
    '-name,created_at',
    'updated_at',
    '-updated_at,name',
    'name,-updated_at',
    '-name,updated_at,-created_at',
  ]) {
    const expected = idsIn(inOrder(items, sort))
    for (const limit of ['1', '2', '7', '50'])
      expect([sort, limit, idsIn(await walk('/api/v1/secrets', { sort, limit }, actor))]).toEqual([
        sort,
        limit,
        expected,
      ])
  }
})

test('refuses an order by something else, or by one thing twice', async () => {
  for (const sort of [
    '',
    'id',
    'value',
    'name,name',
    'name,-name',
    '-',
    '--name',
    'name,',
    'NAME',
    'name desc',
    '+name',
  ])
    expect(await ask(withQuery('/api/v1/secrets', { sort }))).toMatchObject({
      status: 422,
      body: { details: [{ field: 'sort' }] },
    })
})

test('keeps only the fields that are asked for, and always id and object', async () => {
  const { data } = await pageAt('/api/v1/actions?fields=name,status')
  for (const item of data) expect(Object.keys(item).sort()).toEqual(['id', 'name', 'object', 'status'])
  const one = await ask(`/api/v1/actions/${world.action.id}?fields=version`)
  expect(one.body).toEqual({ id: world.action.id, object: 'action', version: expect.any(Number) })
  for (const fields of ['', 'value', 'name,name', 'hash', 'definition', 'name,', '__proto__'])
    expect(await ask(withQuery('/api/v1/actions', { fields }))).toMatchObject({
      status: 422,
      body: { details: [{ field: 'fields' }] },
    })
})

test('filters by metadata, all of it, by value and never by name alone', async () => {
  const actor = await server.newWorkspace()
  const create = (metadata: Record<string, string>) =>
    actor.narrow.secrets.create({ ...examples.secret(), metadata })
  const both = await create({ team: 'payments', region: 'eu' })
  const one = await create({ team: 'payments' })
  const odd = await create({ 'a"b]\u00e9%': '%_\\', constructor: 'x' })
  const found = async (query: Record<string, string>) =>
    idsIn((await pageAt(withQuery('/api/v1/secrets', query), actor)).data)
  expect(await found({ 'metadata[team]': 'payments' })).toEqual([one.id, both.id])
  expect(await found({ 'metadata[team]': 'payments', 'metadata[region]': 'eu' })).toEqual([both.id])
  expect(await found({ 'metadata[team]': 'PAYMENTS' })).toEqual([])
  expect(await found({ 'metadata[team]': '' })).toEqual([])
  expect(await found({ 'metadata[a"b]\u00e9%]': '%_\\' })).toEqual([odd.id])
  expect(await found({ 'metadata[constructor]': 'x' })).toEqual([odd.id])
  for (const query of [
    'metadata=x',
    'metadata[__proto__]=x',
    'metadata[]=x',
    'metadata[a]=1&metadata[a]=2',
    'metadata[a][b]=1&x=1',
    'metadata',
    'metadata=x&metadata[a]=b',
    'metadata[a]=b&metadata=x',
  ])
    expect([query, (await ask(`/api/v1/secrets?${query}`, actor)).status]).toEqual([query, 422])
})

test('a filter in two forms is refused by name, also without a credential', async () => {
  expect(await send(server.url, 'GET', '/healthz?metadata=x&metadata[a]=b')).toMatchObject({
    status: 422,
    body: { error: 'validation_failed', details: [{ field: 'metadata' }] },
  })
})

test('searches names for a text as it is, in any case', async () => {
  const actor = await server.newWorkspace()
  for (const name of [
    '100% sure',
    '1000 sure',
    'under_score',
    'underXscore',
    'back\\slash',
    'Caf\u00c9',
    "o'neil",
  ])
    await actor.narrow.secrets.create({ ...examples.secret(), name })
  const found = async (search: string) =>
    namesOf((await pageAt(withQuery('/api/v1/secrets', { search }), actor)).data)
  expect(await found('100%')).toEqual(['100% sure'])
  expect(await found('r_s')).toEqual(['under_score'])
  expect(await found('K\\S')).toEqual(['back\\slash'])
  expect(await found('SURE')).toEqual(['1000 sure', '100% sure'])
  expect(await found("O'N")).toEqual(["o'neil"])
  expect(await found('nowhere')).toEqual([])
  expect((await ask('/api/v1/secrets?search=', actor)).status).toBe(422)
  expect((await ask(withQuery('/api/v1/secrets', { search: 'x'.repeat(201) }), actor)).status).toBe(422)
})

test('tokens that are used up or over are listed, and those that are revoked only when asked for', async () => {
  const { narrow } = await server.newWorkspace()
  const { id } = await narrow.actions.create(examples.action(upstream.url))
  const usedUp = await narrow.tokens.create({ ...examples.token(id), name: 'used up', max_uses: 1 })
  await server.as(usedUp.token).execute(id, examples.input())
  await narrow.tokens.create({ ...examples.token(id), name: 'active' })
  const revoked = await narrow.tokens.create({ ...examples.token(id), name: 'revoked' })
  await narrow.tokens.delete(revoked.id)
  const namesOf = async (query?: { status: 'active' | 'exhausted' | 'revoked' }) =>
    (await narrow.tokens.list(query)).data.map(({ name }) => name)
  expect(await namesOf()).toEqual(['active', 'used up'])
  expect(await namesOf({ status: 'active' })).toEqual(['active'])
  expect(await namesOf({ status: 'exhausted' })).toEqual(['used up'])
  expect(await namesOf({ status: 'revoked' })).toEqual(['revoked'])
})

test('searches the record by what happened, who did it and what it was done to', async () => {
  const { narrow, key, workspaceId } = await server.newWorkspace()
  const made = await narrow.apiKeys.create({ ...examples.apiKey(), name: 'Deploy_Pipeline' })
  const secret = await server.as(made.key).secrets.create(examples.secret())
  await server.as(made.key).secrets.delete(secret.id)
  const actionsOf = async (search: string) => {
    const path = withQuery('/api/v1/audit', { search })
    const { data } = await pageAt(path, { key, workspaceId, narrow })
    return data.map(({ action }) => action)
  }
  expect(await actionsOf('SECRET.')).toEqual(['secret.deleted', 'secret.created'])
  expect(await actionsOf('deploy_p')).toEqual(['secret.deleted', 'secret.created'])
  expect(await actionsOf(secret.id)).toEqual(['secret.deleted', 'secret.created'])
  expect(await actionsOf(made.id)).toEqual(['secret.deleted', 'secret.created', 'api_key.created'])
  expect(await actionsOf('e%l')).toEqual([])
})

test('executions are listed by their kind', async () => {
  const all = await pageAt('/api/v1/executions')
  expect((await pageAt('/api/v1/executions?kind=action')).data).toEqual(all.data)
  expect((await ask('/api/v1/executions?kind=nothing')).status).toBe(422)
})

test('bounds of creation are a half-open range, in any offset, under both of their names', async () => {
  const actor = await server.newWorkspace()
  const made = []
  for (const name of ['1', '2', '3'])
    made.push(await actor.narrow.secrets.create({ ...examples.secret(), name }))
  const moments = ['2026-01-01T10:00:00.000Z', '2026-01-01T10:00:00.001Z', '2026-01-01T10:00:00.002Z']
  for (const [index, { id }] of made.entries())
    await server.database.sql`update secrets set created_at = ${moments[index] ?? ''} where id = ${id}`
  const found = async (query: Record<string, string>) =>
    namesOf((await pageAt(withQuery('/api/v1/secrets', query), actor)).data)
  const [first = '', second = '', third = ''] = moments
  expect(await found({ created_after: second })).toEqual(['3', '2'])
  expect(await found({ created_before: second })).toEqual(['1'])
  expect(await found({ created_after: first, created_before: third })).toEqual(['2', '1'])
  expect(await found({ created_after: '2026-01-01T12:00:00.001+02:00' })).toEqual(['3', '2'])
  expect(await found({ from: second, to: third })).toEqual(['2'])
  expect(await found({ created_after: third, created_before: first })).toEqual([])
  for (const moment of [
    '',
    'yesterday',
    '2026-01-01',
    '2026-13-01T00:00:00Z',
    '2026-02-30T00:00:00Z',
    '1767261600',
    '2026-01-01T24:00:00Z',
    '10000-01-01T00:00:00Z',
    '1969-12-31T23:59:59Z',
    '2026-01-01T10:00:00',
  ])
    expect([
      moment,
      (await ask(withQuery('/api/v1/secrets', { created_after: moment }), actor)).status,
    ]).toEqual([moment, 422])
})

test('takes every cursor it gives, also that of the longest name there can be', async () => {
  const actor = await server.newWorkspace()
  const name = '\u0001'.repeat(255)
  for (const value of ['first-value', 'second-value'])
    await actor.narrow.secrets.create({ ...examples.secret(), name, value })
  expect(await walk('/api/v1/secrets', { sort: 'name,-updated_at', limit: '1' }, actor)).toHaveLength(2)
})

test('a walk goes on when the object its cursor points at is deleted', async () => {
  const actor = await server.newWorkspace()
  for (const name of ['1', '2', '3', '4', '5'])
    await actor.narrow.secrets.create({ ...examples.secret(), name })
  for (const sort of ['-created_at', 'name']) {
    const first = await pageAt(`/api/v1/secrets?limit=2&sort=${sort}`, actor)
    const last = first.data.at(-1)
    await actor.narrow.secrets.delete(String(last?.id))
    const second = await pageAt(`/api/v1/secrets?limit=50&sort=${sort}&cursor=${first.next_cursor}`, actor)
    const rest = await walk('/api/v1/secrets', { sort }, actor)
    expect(idsIn(second.data)).toEqual(idsIn(rest.slice(1)))
  }
})

test('a walk beside two writers sees every lasting object once and no object twice', async () => {
  const actor = await server.newWorkspace()
  const lasting: string[] = []
  for (let index = 0; index < 40; index += 1)
    lasting.push(
      (await actor.narrow.secrets.create({ ...examples.secret(), name: `lasting ${index % 7}` })).id,
    )
  let isWalking = true
  const write = async (): Promise<number> => {
    let count = 0
    for (; isWalking; count += 1) {
      const { id } = await actor.narrow.secrets.create({ ...examples.secret(), name: `lasting ${count % 7}` })
      if (count % 3 > 0) await actor.narrow.secrets.delete(id)
    }
    return count
  }
  const writers = [write(), write()]
  try {
    for (const limit of ['1', '2', '7', '50'])
      for (const sort of ['-created_at', 'created_at', 'name', '-name,created_at']) {
        // With the writers faster than pages of one, a walk in creation order would never reach the end.
        if (sort === 'created_at' && limit === '1') continue
        const seen = idsIn(await walk('/api/v1/secrets', { limit, sort }, actor))
        expect(seen.filter((id, index) => seen.indexOf(id) !== index)).toEqual([])
        expect(seen.filter((id) => lasting.includes(id)).sort()).toEqual([...lasting].sort())
      }
  } finally {
    isWalking = false
  }
  const counts = await Promise.all(writers)
  expect(Math.min(...counts)).toBeGreaterThan(3)
})
