import { afterAll, beforeAll, expect, test } from 'vitest'
import { examples } from '../support/examples.ts'
import { ask } from '../support/send.ts'
import { startTestServer, type TestServer } from '../support/server.ts'

let server: TestServer

beforeAll(async () => {
  server = await startTestServer()
})

afterAll(() => server.stop())

const newSecret = () => server.owner.narrow.secrets.create(examples.secret())

const asOwner = (line: string, body?: unknown, headers: Record<string, string> = {}) =>
  ask(server.url, line, { credential: server.owner.key, body, headers })

test('a secret tells its version as ETag wherever it is shown', async () => {
  const created = await asOwner('POST /api/v1/secrets', examples.secret())
  expect(created.headers.get('etag')).toBe('"1"')
  const path = created.headers.get('location')
  expect((await asOwner(`GET ${path}`)).headers.get('etag')).toBe('"1"')
  expect((await asOwner(`PATCH ${path}`, { value: 'another-value' })).headers.get('etag')).toBe('"2"')
})

test('a value that was replaced meanwhile is not replaced again', async () => {
  const { id } = await newSecret()
  await server.owner.narrow.secrets.update(id, { value: 'of-another-operator' })
  const stale = { status: 409, body: { error: 'version_conflict' } }
  const ifMatch = { 'if-match': '"1"' }
  expect(await asOwner(`PATCH /api/v1/secrets/${id}`, { value: 'late' }, ifMatch)).toMatchObject(stale)
  expect(await asOwner(`PATCH /api/v1/secrets/${id}`, { value: 'late', version: 1 })).toMatchObject(stale)
  expect(await asOwner(`DELETE /api/v1/secrets/${id}`, undefined, ifMatch)).toMatchObject(stale)
  expect((await server.owner.narrow.secrets.get(id)).version).toBe(2)
})

test('a value that is still the one that was read is replaced, and its secret deleted', async () => {
  const { id } = await newSecret()
  const path = `/api/v1/secrets/${id}`
  const first = await asOwner(`PATCH ${path}`, { value: 'second' }, { 'if-match': '"1"' })
  expect(first).toMatchObject({ status: 200, body: { version: 2 } })
  expect(await asOwner(`PATCH ${path}`, { value: 'third', version: 2 })).toMatchObject({ status: 200 })
  expect(await asOwner(`DELETE ${path}`, undefined, { 'if-match': '"3"' })).toMatchObject({ status: 204 })
})

test('two replacements of one version at once end in one of them', async () => {
  const { id } = await newSecret()
  const answers = await Promise.all(
    ['left', 'right'].map((value) =>
      asOwner(`PATCH /api/v1/secrets/${id}`, { value }, { 'if-match': '"1"' }),
    ),
  )
  expect(answers.map(({ status }) => status).sort()).toEqual([200, 409])
})

test('secrets are listed by their state', async () => {
  const { narrow } = await server.newWorkspace()
  const inDays = (days: number) => new Date(Date.now() + days * 86_400_000).toISOString()
  const [lasting, ending] = [
    await narrow.secrets.create(examples.secret()),
    await narrow.secrets.create({ ...examples.secret(), expires_at: inDays(13) }),
  ]
  const idsOf = async (status: 'active' | 'expiring' | 'expired') =>
    (await narrow.secrets.list({ status })).data.map(({ id }) => id)
  expect(await idsOf('active')).toEqual([lasting.id])
  expect(await idsOf('expiring')).toEqual([ending.id])
  expect(await idsOf('expired')).toEqual([])
})
