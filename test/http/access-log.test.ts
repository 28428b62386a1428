import { connect } from 'node:net'
import { expect, test } from 'vitest'
import { examples } from '../support/examples.ts'
import { request } from '../support/raw.ts'
import { ask } from '../support/send.ts'
import { startTestServer } from '../support/server.ts'
import { serverAndUpstream } from '../support/server-and-upstream.ts'

const { server, upstream } = await serverAndUpstream()

type Line = Record<string, unknown>

/** The line about one request, as soon as it is there. */
const lineOf = async (requestId: string, from = server): Promise<Line> => {
  for (;;) {
    const line = from.logs
      .map((text) => JSON.parse(text) as Line)
      .find(({ request_id, msg }) => request_id === requestId && msg === 'request')
    if (line) return line
    await new Promise((resolve) => setImmediate(resolve))
  }
}

const named = (id: string) => ({ headers: { 'x-request-id': id, 'user-agent': 'agent-canary' } })

test('tells of each request who asked what with which outcome, and nothing that was sent', async () => {
  const { key, workspaceId } = server.owner
  const action = await server.owner.narrow.actions.create(examples.action(upstream.url))
  await ask(server.url, `GET /api/v1/actions/${action.id}?fields=name`, {
    credential: key,
    ...named('logged-1'),
  })
  const line = await lineOf('logged-1')
  expect(line).toEqual({
    level: 'info',
    time: expect.any(String),
    msg: 'request',
    request_id: 'logged-1',
    trace_id: expect.stringMatching(/^[0-9a-f]{32}$/),
    method: 'GET',
    route: '/api/v1/actions/:id',
    status: 200,
    duration_ms: expect.any(Number),
    ip: '127.0.0.1',
    workspace_id: workspaceId,
    credential_id: expect.stringMatching(/^key_/),
  })
  expect(JSON.stringify(line)).not.toMatch(/fields|agent-canary|sk_/)
})

test.each([
  ['GET /healthz', { route: '/healthz', status: 200, workspace_id: null, credential_id: null }],
  ['GET /api/v1/actions', { route: '/api/v1/actions', status: 401, workspace_id: null }],
  ['GET /nothing/here?a=b', { route: null, status: 404 }],
  ['POST /healthz', { route: null, status: 405 }],
])('has a line for %s without a credential', async (line, expected) => {
  const id = `none-${line.replaceAll(/[^a-z]/gi, '-')}`
  await ask(server.url, line, named(id))
  expect(await lineOf(id)).toMatchObject(expected)
})

test('tells of calls at debug only, and of callers that went away', async () => {
  const action = await server.owner.narrow.actions.create(examples.action(upstream.url))
  const { id, token } = await server.owner.narrow.tokens.create(examples.token(action.id))
  const call = { credential: token, body: examples.input(), ...named('called') }
  await ask(server.url, `POST /x/${action.id}`, call)
  expect(await lineOf('called')).toMatchObject({
    level: 'debug',
    route: '/x/:action_id',
    status: 200,
    credential_id: id,
  })
  let finish = (): void => {}
  upstream.answer = (_, res) => {
    finish = () => res.end('{}')
  }
  const socket = connect(Number(new URL(server.url).port), '127.0.0.1')
  const sent = upstream.received.length
  socket.write(
    request(
      `POST /x/${action.id}`,
      { Authorization: `Bearer ${token}`, 'Content-Type': 'application/json', 'X-Request-ID': 'gone' },
      JSON.stringify(examples.input()),
    ),
  )
  while (upstream.received.length === sent) await new Promise((resolve) => setImmediate(resolve))
  socket.destroy()
  expect(await lineOf('gone')).toMatchObject({ status: null, aborted: true })
  finish()
})

test('writes no line about calls when debug is off', async () => {
  const quiet = await startTestServer({ environment: { LOG_LEVEL: 'info' } })
  await ask(quiet.url, 'POST /x/anything', named('quiet-call'))
  await ask(quiet.url, 'GET /healthz', named('quiet-health'))
  await lineOf('quiet-health', quiet)
  expect(quiet.logs.join('')).not.toContain('quiet-call')
  await quiet.stop()
})
