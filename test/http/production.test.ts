import { afterAll, beforeAll, expect, test } from 'vitest'
import { createEverything } from '../support/examples.ts'
import { ask } from '../support/send.ts'
import { startTestServer, type TestServer } from '../support/server.ts'
import { startUpstream, type Upstream } from '../support/upstream.ts'

let checking: TestServer
let production: TestServer
let upstream: Upstream

beforeAll(async () => {
  upstream = await startUpstream()
  checking = await startTestServer()
  production = await startTestServer({ environment: { NODE_ENV: 'production' } })
})

afterAll(async () => {
  await checking.stop()
  await production.stop()
  await upstream.stop()
})

/** The names of all members, however deep, with what varies from run to run left out. */
const shapeOf = (value: unknown): unknown => {
  if (Array.isArray(value)) return value.slice(0, 1).map(shapeOf)
  if (typeof value !== 'object' || value === null) return typeof value
  return Object.fromEntries(
    Object.entries(value)
      .sort(([left], [right]) => (left < right ? -1 : 1))
      .map(([name, member]) => [name, shapeOf(member)]),
  )
}

test('answers in production have the members that they have where every reply is checked', async () => {
  const everything = await Promise.all(
    [checking, production].map((server) => createEverything(server.owner, upstream.url, server.as)),
  )
  const [left, right] = everything
  if (!left || !right) throw new Error('Two servers were asked')
  const paths = (all: typeof left) => [
    '/api/v1/actions',
    `/api/v1/actions/${all.action.id}`,
    `/api/v1/actions/${all.action.id}/versions`,
    `/api/v1/tokens/${all.token.id}`,
    '/api/v1/executions',
    `/api/v1/secrets/${all.secret.id}`,
    '/api/v1/api-keys',
    '/api/v1/workspaces',
    '/api/v1/audit',
    '/api/v1/tokens?fields=id,name',
  ]
  // When a token was used is written some time after.
  for (const [server, { token }] of [
    [checking, left],
    [production, right],
  ] as const) {
    const used = () => ask(server.url, `GET /api/v1/tokens/${token.id}`, { credential: server.owner.key })
    await expect
      .poll(async () => (await used()).body, { timeout: 20_000 })
      .toMatchObject({ last_used_at: expect.any(String) })
  }
  for (const [index, path] of paths(left).entries()) {
    const shapes = await Promise.all([
      ask(checking.url, `GET ${path}`, { credential: checking.owner.key }),
      ask(production.url, `GET ${paths(right)[index]}`, { credential: production.owner.key }),
    ])
    expect(shapes.map(({ status }) => status)).toEqual([200, 200])
    expect(shapeOf(shapes[1]?.body)).toEqual(shapeOf(shapes[0]?.body))
  }
})
