import { afterAll, beforeAll, expect, test } from 'vitest'
import { examples } from '../support/examples.ts'
import { startTestServer, type TestServer } from '../support/server.ts'

let server: TestServer

beforeAll(async () => {
  server = await startTestServer()
})

afterAll(() => server.stop())

test.each(['active', 'draft'] as const)(
  'actions that are made at once under one name get a slug each: %s',
  async (status) => {
    const { narrow } = await server.newWorkspace()
    const action = { ...examples.action('https://api.example.com'), name: 'Refund', status }
    const made = await Promise.all(Array.from({ length: 12 }, () => narrow.actions.create(action)))
    expect(new Set(made.map(({ slug }) => slug)).size).toBe(12)
    await expect(narrow.actions.create({ ...action, slug: made[0]?.slug })).rejects.toMatchObject({
      code: 'conflict',
    })
  },
)

test.each([
  ['Über Zahlung für Søren', 'uber-zahlung-fur-s-ren'],
  ['Remboursement échoué', 'remboursement-echoue'],
])('an accent does not tear a word: %s', async (name, slug) => {
  const { narrow } = await server.newWorkspace()
  const { id } = await narrow.actions.create({ ...examples.action('https://api.example.com'), name })
  expect((await narrow.actions.get(id)).slug).toBe(slug)
})
