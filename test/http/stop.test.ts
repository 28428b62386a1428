import { once } from 'node:events'
import { Agent, request } from 'node:http'
import { expect, test } from 'vitest'
import { examples } from '../support/examples.ts'
import { startTestServer } from '../support/server.ts'
import { startUpstream } from '../support/upstream.ts'

test('a stop lets the running call end, then closes the connection the client would keep', async () => {
  const server = await startTestServer()
  const upstream = await startUpstream()
  const called = Promise.withResolvers<() => void>()
  upstream.answer = (_, res) => called.resolve(() => res.end('{"paid":true}'))
  const action = await server.owner.narrow.actions.create(examples.action(upstream.url))
  const { token } = await server.owner.narrow.tokens.create(examples.token(action.id))
  const agent = new Agent({ keepAlive: true })
  const call = request(`${server.url}/x/${action.id}`, {
    agent,
    method: 'POST',
    headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
  }).end(JSON.stringify(examples.input()))

  const letUpstreamAnswer = await called.promise
  const startedAt = performance.now()
  const stopped = server.stop()
  letUpstreamAnswer()
  const [answer] = await once(call, 'response')
  expect(answer.statusCode).toBe(200)
  expect(await answer.toArray().then(String)).toBe('{"paid":true}')
  await stopped
  // Far below the time after which connections are cut, and below Node's own patience with idle ones.
  expect(performance.now() - startedAt).toBeLessThan(10_000)

  agent.destroy()
  await upstream.stop()
})
