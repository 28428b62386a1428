import { tracingChannel } from 'node:diagnostics_channel'
import { once } from 'node:events'
import { createServer, type IncomingHttpHeaders, type RequestListener } from 'node:http'
import type { AddressInfo } from 'node:net'
import { type ClientOptions, NarrowAPI } from '@narrowapi/sdk'
import { openTelemetry } from '@narrowapi/sdk/otel'
import * as api from '@opentelemetry/api'
import { W3CTraceContextPropagator } from '@opentelemetry/core'
import { BasicTracerProvider, InMemorySpanExporter, SimpleSpanProcessor } from '@opentelemetry/sdk-trace-base'
import { afterEach, describe, expect, it } from 'vitest'

let stop = () => {}
afterEach(() => stop())

const serve = async (answers: readonly RequestListener[], options: ClientOptions = {}) => {
  const seen: IncomingHttpHeaders[] = []
  const server = createServer((request, response) => {
    answers[Math.min(seen.length, answers.length - 1)]?.(request, response)
    seen.push(request.headers)
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  stop = () => {
    server.closeAllConnections()
    server.close()
  }
  const baseUrl = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  return { seen, baseUrl, narrow: new NarrowAPI({ apiKey: 'sk_test_0123456789', baseUrl, ...options }) }
}

const ok: RequestListener = (_, response) => response.end('{"id":"act_1"}')
const busy: RequestListener = (_, response) => response.writeHead(503, { 'retry-after': '0' }).end()
const missing: RequestListener = (_, response) =>
  response.writeHead(404, { 'x-request-id': 'req_1' }).end('{"error":"not_found","message":"No"}')

describe('a deprecated operation', () => {
  const deprecated: RequestListener = (_, response) => {
    response.setHeader('deprecation', '@1800000000')
    response.setHeader('sunset', 'Fri, 01 Jan 2027 00:00:00 GMT')
    response.end('{"id":"act_1"}')
  }
  const listen = () => {
    const lines: string[] = []
    const write = (line: string) => void lines.push(line)
    return { lines, logger: { error: write, warn: write, info: write, debug: write } }
  }

  it('is warned of once, whatever client calls it', async () => {
    const { lines, logger } = listen()
    const { narrow } = await serve([deprecated], { logger })
    await narrow.secrets.get('sec_1')
    await narrow.secrets.get('sec_1')
    await narrow.with({ timeout: 5000 }).secrets.get('sec_1')
    await narrow.tokens.get('tok_1')
    expect(lines).toEqual([
      'narrowapi secrets.get deprecation: deprecation=@1800000000 sunset=Fri, 01 Jan 2027 00:00:00 GMT',
      'narrowapi tokens.get deprecation: deprecation=@1800000000 sunset=Fri, 01 Jan 2027 00:00:00 GMT',
    ])
  })

  it('is warned of with the links about that, and no other', async () => {
    const { lines, logger } = listen()
    const about = '<https://example.com/old, or not>; type="text/html"; rel="deprecation"'
    const links = ['<https://h/?search=private&rel=sunset>; rel="next"', about, '<https://h/end>; rel=sunset']
    const linked: RequestListener = (request, response) => {
      response.setHeader('link', links.join(', '))
      deprecated(request, response)
    }
    const only: RequestListener = (request, response) => {
      response.setHeader('link', links[0] ?? '')
      deprecated(request, response)
    }
    const { narrow } = await serve([linked, only], { logger })
    await narrow.apiKeys.get('key_1')
    await narrow.audit.get('aud_1')
    expect(lines[0]).toMatch(/ link=<https:\/\/example.com\/old, or not>.*, <https:\/\/h\/end>; rel=sunset$/)
    expect(lines[1]).toMatch(/GMT$/)
    expect(lines.join()).not.toContain('private')
  })

  it('is not warned of where nothing is to be written, and is always an event', async () => {
    const { lines, logger } = listen()
    const events: string[] = []
    const onEvent: ClientOptions['onEvent'] = ({ type }) => events.push(type)
    const { narrow } = await serve([deprecated], { logger, log: 'off', onEvent })
    await narrow.workspaces.get('ws_1')
    await narrow.workspaces.get('ws_1')
    expect(lines).toEqual([])
    expect(events.filter((type) => type === 'deprecation').length).toBe(2)
  })
})

describe('diagnostics_channel', () => {
  it('publishes a call with its outcome, retries included', async () => {
    const { narrow } = await serve([busy, ok, missing])
    const channel = tracingChannel<object, { operation: string; result?: unknown; error?: unknown }>(
      'narrowapi:call',
    )
    const published: unknown[] = []
    const note = (name: string) => (message: { operation: string; error?: unknown }) => {
      published.push([name, message.operation, message.error !== undefined])
    }
    const subscribers = {
      start: note('start'),
      end: note('end'),
      asyncStart: note('asyncStart'),
      asyncEnd: note('asyncEnd'),
      error: note('error'),
    }
    channel.subscribe(subscribers)
    try {
      await narrow.actions.get('act_1')
      await narrow.tokens.get('tok_1').catch(() => {})
    } finally {
      channel.unsubscribe(subscribers)
    }
    await narrow.actions.get('act_1').catch(() => {})
    expect(published).toEqual([
      ['start', 'actions.get', false],
      ['end', 'actions.get', false],
      ['asyncStart', 'actions.get', false],
      ['asyncEnd', 'actions.get', false],
      ['start', 'tokens.get', false],
      ['end', 'tokens.get', false],
      ['error', 'tokens.get', true],
      ['asyncStart', 'tokens.get', true],
      ['asyncEnd', 'tokens.get', true],
    ])
  })
})

describe('OpenTelemetry', () => {
  const exporter = new InMemorySpanExporter()
  api.trace.setGlobalTracerProvider(
    new BasicTracerProvider({ spanProcessors: [new SimpleSpanProcessor(exporter)] }),
  )
  api.propagation.setGlobalPropagator(new W3CTraceContextPropagator())

  it('gets a span for every attempt, which the server can go on with', async () => {
    const { seen, baseUrl, narrow } = await serve([busy, missing], { middleware: [openTelemetry(api)] })
    await narrow.actions.get('act_1', { fields: ['id'] }).catch(() => {})
    const spans = exporter.getFinishedSpans()
    expect(spans.map(({ name, kind }) => [name, kind])).toEqual([
      ['GET actions.get', api.SpanKind.CLIENT],
      ['GET actions.get', api.SpanKind.CLIENT],
    ])
    expect(spans.map(({ attributes }) => attributes)).toMatchObject([
      { 'http.response.status_code': 503, 'error.type': '503', 'narrowapi.operation': 'actions.get' },
      {
        'http.request.method': 'GET',
        'http.request.resend_count': 1,
        'http.response.status_code': 404,
        'narrowapi.request_id': 'req_1',
        'server.address': '127.0.0.1',
        'server.port': Number(new URL(baseUrl).port),
        'url.full': `${baseUrl}/api/v1/actions/act_1`,
      },
    ])
    expect(seen.map(({ traceparent }) => traceparent)).toEqual(
      spans.map((span) => `00-${span.spanContext().traceId}-${span.spanContext().spanId}-01`),
    )
    expect(JSON.stringify(spans.map(({ attributes }) => attributes))).not.toContain('sk_test')
  })

  it('gets the failure of an attempt that had no answer', async () => {
    exporter.reset()
    const middleware = [openTelemetry(api)]
    const narrow = new NarrowAPI({ apiKey: 'sk_test', baseUrl: 'http://127.0.0.1:1', retries: 0, middleware })
    await expect(narrow.actions.get('act_1')).rejects.toMatchObject({ code: 'connection_failed' })
    const [span] = exporter.getFinishedSpans()
    expect(span?.attributes['error.type']).toBe('NarrowConnectionError')
    expect(span?.status.code).toBe(api.SpanStatusCode.ERROR)
    expect(span?.events.map(({ name }) => name)).toEqual(['exception'])
  })
})
