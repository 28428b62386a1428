import { randomBytes } from 'node:crypto'
import { fileURLToPath } from 'node:url'
import { NarrowAPI } from '@narrowapi/sdk'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { readConfig } from '../../server/src/config.ts'
import { callable } from '../proxy/calls.ts'
import { createEmptyDatabase, type TestDatabase } from '../support/database.ts'
import { type OtlpReceiver, type ReceivedSpan, startOtlpReceiver } from '../support/otlp.ts'
import { type Program, startProgram } from '../support/program.ts'
import { ask } from '../support/send.ts'
import { json, startUpstream, type Upstream } from '../support/upstream.ts'

const fileOf = (path: string) => fileURLToPath(new URL(path, import.meta.url))
const main = fileOf('../../server/src/main.ts')

let receiver: OtlpReceiver
let upstream: Upstream
let database: TestDatabase

beforeAll(async () => {
  receiver = await startOtlpReceiver()
  upstream = await startUpstream()
  upstream.answer = json(200, { paid: true })
  database = await createEmptyDatabase()
})

afterAll(async () => {
  await receiver.stop()
  await upstream.stop()
  await database.drop()
})

const masterKey = randomBytes(32).toString('base64')

/** The server as an operator runs it, with these variables and these modules loaded before it. */
const start = (environment: Record<string, string>, preloaded: readonly string[] = []): Promise<Program> =>
  startProgram([...preloaded.flatMap((file) => ['--import', fileOf(file)]), main], {
    announces: /answers at (http:\S+)/,
    environment: {
      PORT: '0',
      DATABASE_URL: database.url,
      NARROWAPI_MASTER_KEY: masterKey,
      NARROWAPI_EGRESS_ALLOW: '127.0.0.1',
      ...environment,
    },
  })

const spanWith = async (name: string, attribute: string, value: string | number): Promise<ReceivedSpan> => {
  for (let attempt = 0; attempt < 2000; attempt += 1) {
    const found = receiver.spans.find((span) => span.name === name && span.attributes[attribute] === value)
    if (found) return found
    await new Promise((resolve) => setTimeout(resolve, 10))
  }
  throw new Error(`No span ${name} with ${attribute} ${value}: ${JSON.stringify(receiver.spans)}`)
}

const parent = { traceId: '0af7651916cd43dd8448eb211c80319c', spanId: 'b7ad6b7169203331' }
const traced = {
  traceparent: `00-${parent.traceId}-${parent.spanId}-01`,
  tracestate: 'vendor=opaque,other=1',
}

test('exports the span of a request and of its upstream call to the receiver that is named', async () => {
  const server = await start({
    OTEL_EXPORTER_OTLP_ENDPOINT: receiver.url,
    OTEL_EXPORTER_OTLP_HEADERS: 'x-tenant=ours',
    OTEL_SERVICE_NAME: 'door-of-the-house',
    OTEL_BSP_SCHEDULE_DELAY: '50',
  })
  const key = /sk_[0-9A-Za-z]+/.exec(server.output())?.[0] ?? ''
  const narrow = new NarrowAPI({ apiKey: key, baseUrl: server.announced, retries: 0 })
  const owner = { workspaceId: '', key, narrow }
  const { action, token } = await callable(owner, {
    target_url: `${upstream.url}/charges?canary=1`,
    method: 'POST',
    auth_type: 'bearer',
    auth_value: 'secret-canary-0123456789',
  })
  const answer = await ask(server.announced, `POST /x/${action.id}`, {
    credential: token,
    body: {},
    headers: { ...traced, 'x-request-id': 'exported' },
  })
  expect(answer.status).toBe(200)

  const ofRequest = await spanWith('POST /x/:action_id', 'narrowapi.request_id', 'exported')
  expect(ofRequest).toMatchObject({
    traceId: parent.traceId,
    parentSpanId: parent.spanId,
    traceState: traced.tracestate,
    kind: 2,
    status: 0,
    attributes: {
      'http.request.method': 'POST',
      'http.route': '/x/:action_id',
      'http.response.status_code': 200,
      'narrowapi.execution_id': answer.headers.get('x-execution-id'),
    },
    resource: { 'service.name': 'door-of-the-house', 'service.version': '0.0.0' },
  })
  const ofUpstream = await spanWith('POST', 'narrowapi.action_id', action.id)
  expect(ofUpstream).toMatchObject({
    traceId: parent.traceId,
    parentSpanId: ofRequest.spanId,
    kind: 3,
    attributes: { 'server.address': '127.0.0.1', 'http.response.status_code': 200 },
  })
  // The upstream hangs its spans below the one that was exported, and learns nothing else of the caller's.
  const [received] = upstream.received
  expect(received?.headers.traceparent).toBe(`00-${parent.traceId}-${ofUpstream.spanId}-01`)
  expect(received?.headers).not.toHaveProperty('tracestate')

  await ask(server.announced, `GET /api/v1/actions/${action.id}?fields=name`, {
    headers: { 'x-request-id': 'refused' },
  })
  const refused = await spanWith('GET /api/v1/actions/:id', 'narrowapi.request_id', 'refused')
  expect(refused).toMatchObject({
    parentSpanId: '',
    attributes: { 'error.type': 'unauthorized', 'http.response.status_code': 401 },
  })

  upstream.answer = (_, res) => res.destroy()
  await ask(server.announced, `POST /x/${action.id}`, {
    credential: token,
    body: {},
    headers: { 'x-request-id': 'broken' },
  })
  const broken = await spanWith('POST /x/:action_id', 'narrowapi.request_id', 'broken')
  expect(broken).toMatchObject({ status: 2, attributes: { 'error.type': 'upstream_outcome_unknown' } })
  expect(await spanWith('POST', 'error.type', 'unreachable')).toMatchObject({
    traceId: broken.traceId,
    parentSpanId: broken.spanId,
    status: 2,
  })
  upstream.answer = json(200, {})

  // A caller that is not recorded is not recorded here either; the upstream is told so.
  await ask(server.announced, `POST /x/${action.id}`, {
    credential: token,
    body: {},
    headers: { traceparent: `00-${'c'.repeat(32)}-${parent.spanId}-00` },
  })
  expect(upstream.received.at(-1)?.headers.traceparent).toMatch(
    new RegExp(`^00-${'c'.repeat(32)}-[0-9a-f]{16}-00$`),
  )

  // What is not sent yet is sent when the server stops.
  await ask(server.announced, 'GET /healthz', { headers: { 'x-request-id': 'last' } })
  await server.stop()
  await spanWith('GET /healthz', 'narrowapi.request_id', 'last')
  expect(receiver.requests[0]).toMatchObject({ path: '/v1/traces', headers: { 'x-tenant': 'ours' } })
  expect(receiver.spans.filter(({ traceId }) => traceId === 'c'.repeat(32))).toEqual([])
  const all = JSON.stringify(receiver.spans)
  expect(all).not.toMatch(/canary|sk_|sxt_/)
})

test('loads nothing of it where its variables are not set', async () => {
  const server = await start({}, ['../support/print-modules.ts'])
  expect((await ask(server.announced, 'GET /healthz')).status).toBe(200)
  await server.stop()
  // The API, which only has types and empty functions, is a dependency of prom-client.
  expect(/^loaded: (.*)$/m.exec(server.output())?.[1]).toBe('api')
})

test('serves without traces, and says what to install, where the packages are not', async () => {
  const server = await start({ OTEL_EXPORTER_OTLP_ENDPOINT: receiver.url }, [
    '../support/without-opentelemetry.ts',
  ])
  expect((await ask(server.announced, 'GET /healthz')).status).toBe(200)
  await server.stop()
  expect(server.output()).toContain('traces are not exported: run npm install @opentelemetry/api')
})

test('serves and stops while the receiver is away, and says so', async () => {
  const server = await start({
    OTEL_EXPORTER_OTLP_ENDPOINT: 'http://127.0.0.1:1',
    OTEL_EXPORTER_OTLP_TIMEOUT: '300',
    OTEL_BSP_SCHEDULE_DELAY: '50',
  })
  for (let attempt = 0; !server.output().includes('OpenTelemetry has a problem'); attempt += 1) {
    if (attempt === 1000) throw new Error(`Nothing was said:\n${server.output()}`)
    expect((await ask(server.announced, 'GET /healthz')).status).toBe(200)
    await new Promise((resolve) => setTimeout(resolve, 10))
  }
  await server.stop()
})

test.each([
  [{}, false],
  [{ OTEL_SERVICE_NAME: 'door' }, false],
  [{ OTEL_TRACES_EXPORTER: 'otlp' }, true],
  [{ OTEL_EXPORTER_OTLP_ENDPOINT: 'http://collector:4318' }, true],
  [{ OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: 'http://collector:4318/v1/traces' }, true],
  [{ OTEL_EXPORTER_OTLP_ENDPOINT: 'http://collector:4318', OTEL_SDK_DISABLED: 'true' }, false],
  [{ OTEL_EXPORTER_OTLP_ENDPOINT: 'http://collector:4318', OTEL_TRACES_EXPORTER: 'none' }, false],
  [{ OTEL_EXPORTER_OTLP_PROTOCOL: 'grpc' }, false],
  [
    {
      OTEL_TRACES_EXPORTER: 'otlp',
      OTEL_EXPORTER_OTLP_PROTOCOL: 'grpc',
      OTEL_EXPORTER_OTLP_TRACES_PROTOCOL: 'http/protobuf',
    },
    true,
  ],
])('understands %j', (environment, exportsTraces) => {
  expect(readConfig(environment).exportsTraces).toBe(exportsTraces)
})

test.each([
  ['OTEL_TRACES_EXPORTER', { OTEL_TRACES_EXPORTER: 'zipkin' }],
  ['OTEL_EXPORTER_OTLP_ENDPOINT', { OTEL_EXPORTER_OTLP_ENDPOINT: 'collector' }],
  ['OTEL_EXPORTER_OTLP_PROTOCOL', { OTEL_TRACES_EXPORTER: 'otlp', OTEL_EXPORTER_OTLP_PROTOCOL: 'grpc' }],
])('refuses to start and names %s', (name, environment) => {
  expect(() => readConfig(environment)).toThrow(`${name}: `)
})
