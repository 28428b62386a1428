import { beforeAll, expect, test } from 'vitest'
import { callable } from '../proxy/calls.ts'
import { exchange } from '../support/raw.ts'
import { ask } from '../support/send.ts'
import { serverAndUpstream } from '../support/server-and-upstream.ts'
import { callerSpan, callerTrace, traceCases } from '../support/trace-cases.ts'

const { server, upstream } = await serverAndUpstream()
let action: string
let token: string

beforeAll(async () => {
  const made = await callable(server.owner, { target_url: upstream.url, method: 'POST' })
  action = made.action.id
  token = made.token
})

/** A call with exactly these header lines, and what its upstream was told. */
const told = async (lines: readonly string[], to = { action, token }) => {
  const before = upstream.received.length
  const head = [
    `POST /x/${to.action} HTTP/1.1`,
    'Host: localhost',
    `Authorization: Bearer ${to.token}`,
    'Content-Type: application/json',
    'Content-Length: 2',
    ...lines,
  ]
  const { answers } = await exchange(server.url, `${head.join('\r\n')}\r\n\r\n{}`, {
    answers: 1,
    quietMs: 10_000,
  })
  expect(answers[0]?.status).toBe(200)
  expect(upstream.received).toHaveLength(before + 1)
  const headers = upstream.received.at(-1)?.headers ?? {}
  const form = /^00-(?<traceId>[0-9a-f]{32})-(?<parentId>[0-9a-f]{16})-(?<flags>0[0-3])$/
  const parts = form.exec(String(headers.traceparent))?.groups
  return { traceId: parts?.traceId, parentId: parts?.parentId, flags: parts?.flags, headers }
}

test.each(traceCases)('$name', async ({ headers, continued }) => {
  const sent = await told(headers)
  expect(sent.traceId).toBeDefined()
  if (continued) expect(sent).toMatchObject({ traceId: callerTrace, flags: '01' })
  else expect(headers.join()).not.toContain(sent.traceId)
  expect(sent.parentId).not.toBe(callerSpan)
  expect(sent.parentId).not.toBe('0'.repeat(16))
  expect(sent.traceId).not.toBe('0'.repeat(32))
  // What a vendor keeps there is between the caller and its own systems.
  expect(sent.headers).not.toHaveProperty('tracestate')
})

const valid = `traceparent: 00-${callerTrace}-${callerSpan}-00`

test.each([
  ['in one trace', [valid], 1],
  ['without a trace', [], 3],
  ['with a trace that is none', [`${valid}.`], 3],
])('gives each of several calls %s a span of its own', async (_name, lines, traces) => {
  const sent = [await told(lines), await told(lines), await told(lines)]
  expect(new Set(sent.map(({ traceId }) => traceId)).size).toBe(traces)
  expect(new Set(sent.map(({ parentId }) => parentId)).size).toBe(3)
})

test('passes on only the flags it knows, and says of its own traces that they are random', async () => {
  const withFlags = (flags: string) => told([`traceparent: 00-${callerTrace}-${callerSpan}-${flags}`])
  expect((await withFlags('00')).flags).toBe('00')
  expect((await withFlags('ff')).flags).toBe('03')
  expect((await told([])).flags).toBe('02')
})

test('leaves a traceparent alone that the operator has put into the action', async () => {
  const own = `00-${'ab'.repeat(16)}-${'cd'.repeat(8)}-01`
  const made = await callable(server.owner, {
    target_url: upstream.url,
    method: 'POST',
    headers: { Traceparent: own },
  })
  const sent = await told([valid], { action: made.action.id, token: made.token })
  expect(sent.headers.traceparent).toBe(own)
})

test('writes the trace beside the request id into the lines of the log', async () => {
  const lineOf = async (requestId: string): Promise<Record<string, unknown>> => {
    for (let attempt = 0; attempt < 1000; attempt += 1) {
      const line = server.logs.find((text) => text.includes(requestId))
      if (line) return JSON.parse(line)
      await new Promise((resolve) => setTimeout(resolve, 5))
    }
    throw new Error(`No line about ${requestId}`)
  }
  const { traceId } = await told([valid, 'X-Request-ID: traced-call'])
  expect(await lineOf('traced-call')).toMatchObject({ route: '/x/:action_id', trace_id: traceId })
  const headers = { 'x-request-id': 'traced-list', traceparent: valid.replace('traceparent: ', '') }
  await ask(server.url, 'GET /api/v1/actions', { headers })
  expect(await lineOf('traced-list')).toMatchObject({ status: 401, trace_id: callerTrace })
  await ask(server.url, 'GET /healthz', { headers: { 'x-request-id': 'untraced' } })
  expect(await lineOf('untraced')).toMatchObject({ trace_id: expect.stringMatching(/^[0-9a-f]{32}$/) })
})

test('writes the trace of a request that failed on our side', async () => {
  const before = server.logs.length
  await server.database.sql`revoke select on api_keys from narrowapi_system`
  server.deps.expire()
  const answer = await ask(server.url, 'GET /api/v1/actions', {
    credential: server.owner.key,
    headers: { traceparent: valid.replace('traceparent: ', '') },
  })
  await server.database.sql`grant select on api_keys to narrowapi_system`
  expect(answer.status).toBe(500)
  const failed = server.logs.slice(before).find((text) => text.includes('a request failed'))
  expect(JSON.parse(failed ?? '{}')).toMatchObject({ trace_id: callerTrace })
})
