import { once } from 'node:events'
import { connect, createServer, type Server } from 'node:net'
import { NarrowAPI } from '@narrowapi/sdk'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { freePort } from '../support/port.ts'
import { startTestServer, type TestServer } from '../support/server.ts'
import { startUpstream } from '../support/upstream.ts'
import { call, callable } from './calls.ts'

let server: TestServer
let balancer: Server
let balancerUrl = ''

/** What a load balancer is to a check of addresses: an honest one that leads back here. */
beforeAll(async () => {
  balancer = createServer((client) => {
    const inner = connect(Number(new URL(server.url).port), '127.0.0.1')
    client.pipe(inner).pipe(client)
    for (const [one, other] of [
      [client, inner],
      [inner, client],
    ] as const) {
      one.on('error', () => other.destroy())
    }
  }).listen(0, '127.0.0.1')
  await once(balancer, 'listening')
  const address = balancer.address()
  balancerUrl = `http://127.0.0.1:${typeof address === 'object' ? address?.port : 0}`
  server = await startTestServer()
})

afterAll(async () => {
  await server.stop()
  balancer.close()
})

test('a call that comes back through a load balancer is refused at its first return, and recorded', async () => {
  const { narrow } = server.owner
  const inner = await callable(server.owner, { target_url: 'https://api.example.com/' })
  const outer = await callable(server.owner, {
    target_url: `${balancerUrl}/x/${inner.action.id}`,
    auth_type: 'bearer',
    auth_value: inner.token,
  })
  const answer = await call(server, outer.token, outer.action.id, {})
  // The refusal is the upstream answer of the outer call, passed on as such.
  expect([answer.status, answer.error, answer.headers.get('x-upstream-status')]).toEqual([502, null, '502'])
  expect(answer.body).toMatchObject({ error: 'upstream_blocked' })
  const [refused] = (await narrow.executions.list({ action_id: inner.action.id })).data
  expect(refused).toMatchObject({ status: 'rejected', error: { code: 'upstream_blocked' }, upstream: null })
})

test('an action that calls itself runs once', async () => {
  const self = await callable(server.owner, {
    target_url: 'https://api.example.com/',
    auth_type: 'bearer',
    auth_value: 'unset-secret-0123456789',
  })
  await server.owner.narrow.actions.update(self.action.id, {
    target_url: `${balancerUrl}/x/${self.action.id}`,
    auth_value: self.token,
  })
  const answer = await call(server, self.token, self.action.id, {})
  expect(answer.body).toMatchObject({ error: 'upstream_blocked' })
  const executions = (await server.owner.narrow.executions.list({ action_id: self.action.id })).data
  expect(executions.map(({ status }) => status).sort()).toEqual(['failed', 'rejected'])
})

test('the public URL of the server is never called', async () => {
  const front = await startUpstream()
  const port = await freePort()
  const url = `http://127.0.0.1:${port}`
  const known = await startTestServer({
    environment: { PORT: String(port), NARROWAPI_PUBLIC_URL: front.url },
  })
  try {
    const narrow = new NarrowAPI({ apiKey: known.owner.key, baseUrl: url })
    const { action, token } = await callable(
      { ...known.owner, narrow },
      { target_url: `${front.url}/health` },
    )
    const answer = await call({ url }, token, action.id, {})
    expect([answer.status, answer.error]).toEqual([502, 'upstream_blocked'])
    expect(front.received).toEqual([])
  } finally {
    await known.stop()
    await front.stop()
  }
})

test('an upstream learns which installation calls, also behind others, and nothing that a caller wrote', async () => {
  const upstream = await startUpstream()
  try {
    const { action, token } = await callable(server.owner, { target_url: upstream.url })
    const other = 'narrowapi-0000000000000000'
    await call(server, token, action.id, {})
    await call(server, token, action.id, {}, { headers: { 'cdn-loop': `mine; x=1, ${other}` } })
    const [own, behind] = upstream.received.map(({ headers }) => headers['cdn-loop'])
    expect(own).toMatch(/^narrowapi-[0-9a-f]{16}$/)
    expect(behind).toBe(`${other}, ${own}`)
  } finally {
    await upstream.stop()
  }
})
