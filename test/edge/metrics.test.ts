import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { expect, test } from 'vitest'
import { call, callable } from '../proxy/calls.ts'
import { examples } from '../support/examples.ts'
import { type Exposed, figure, parseExposition } from '../support/exposition.ts'
import { exchange } from '../support/raw.ts'
import { ask } from '../support/send.ts'
import { startTestServer } from '../support/server.ts'
import { serverAndUpstream } from '../support/server-and-upstream.ts'
import { json } from '../support/upstream.ts'

const { server, upstream } = await serverAndUpstream({ environment: { METRICS_PORT: '0' } })

const scrapeText = async ({ metricsUrl } = server): Promise<string> => {
  if (metricsUrl === null) throw new Error('The server serves no figures')
  return (await fetch(metricsUrl)).text()
}

const scrape = async (from = server): Promise<Map<string, Exposed>> => parseExposition(await scrapeText(from))

/** Figures that are counted when an answer is out may come a moment after it. */
const until = async (isSo: (figures: Map<string, Exposed>) => boolean): Promise<Map<string, Exposed>> => {
  for (let attempt = 0; attempt < 500; attempt += 1) {
    const figures = await scrape()
    if (isSo(figures)) return figures
    await new Promise((resolve) => setTimeout(resolve, 10))
  }
  throw new Error(`The figures did not come:\n${await scrapeText()}`)
}

const requests = 'narrowapi_http_request_duration_seconds'

test('counts requests by the pattern of their route, and what no route has as one', async () => {
  const { key } = server.owner
  const before = await scrape()
  await ask(server.url, 'GET /api/v1/actions/act_0000000000000000000001', { credential: key })
  await ask(server.url, 'GET /api/v1/actions/act_0000000000000000000002', { credential: key })
  for (const path of ['a-canary', 'b-canary', 'c-canary?x=canary']) await ask(server.url, `GET /${path}`)
  await exchange(server.url, 'PROPFIND /d-canary HTTP/1.1\r\nHost: x\r\n\r\n', { answers: 1 })
  const route = { method: 'GET', route: '/api/v1/actions/:id', status_class: '4xx' }
  const other = { method: 'GET', route: 'other', status_class: '4xx' }
  const strange = { method: 'other', route: 'other', status_class: '4xx' }
  const seen = (figures: Map<string, Exposed>, labels: Record<string, string>) =>
    figure(figures, `${requests}_count`, labels) - figure(before, `${requests}_count`, labels)
  await until((now) => seen(now, route) === 2 && seen(now, other) === 3 && seen(now, strange) === 1)
  expect(await scrapeText()).not.toContain('canary')
})

test('counts calls, what their upstreams took and answered, and why calls failed', async () => {
  const { action, token } = await callable(server.owner, {
    target_url: upstream.url,
    method: 'POST',
    passthrough_errors: false,
  })
  const before = await scrape()
  expect((await call(server, token, action.id, {})).status).toBe(200)
  upstream.answer = json(503, {})
  expect((await call(server, token, action.id, {})).error).toBe('upstream_error')
  upstream.answer = (_, res) => res.destroy()
  expect((await call(server, token, action.id, {})).error).toBe('upstream_outcome_unknown')
  upstream.answer = json(200, {})
  expect((await call(server, token, action.id, [])).error).toBe('validation_failed')
  const now = await scrape()
  const grown = (name: string, labels: Record<string, string>) =>
    figure(now, name, labels) - figure(before, name, labels)
  expect(grown('narrowapi_executions_total', { status: 'completed' })).toBe(1)
  expect(grown('narrowapi_executions_total', { status: 'failed' })).toBe(2)
  expect(grown('narrowapi_executions_total', { status: 'rejected' })).toBe(1)
  const ofAction = (result: string) => ({ action: action.id, result })
  expect(grown('narrowapi_upstream_calls_total', ofAction('2xx'))).toBe(1)
  expect(grown('narrowapi_upstream_calls_total', ofAction('5xx'))).toBe(1)
  expect(grown('narrowapi_upstream_calls_total', ofAction('no_answer'))).toBe(1)
  expect(grown('narrowapi_upstream_duration_seconds_count', { action: action.id })).toBe(3)
  for (const code of ['upstream_error', 'upstream_outcome_unknown', 'validation_failed']) {
    expect(grown('narrowapi_refusals_total', { code })).toBe(1)
  }
  const calls = { method: 'POST', route: '/x/:action_id' }
  expect(grown(`${requests}_count`, { ...calls, status_class: '2xx' })).toBe(1)
  expect(grown(`${requests}_count`, { ...calls, status_class: '4xx' })).toBe(1)
  expect(grown(`${requests}_count`, { ...calls, status_class: '5xx' })).toBe(2)
  // Each sent call is written when it begins and when it ends, the refused one once; keys and uses take other queues.
  expect(grown('narrowapi_record_group_rows_sum', { queue: 'write' })).toBe(7)
  expect(figure(now, 'narrowapi_record_queue_rows', { queue: 'write' })).toBe(0)
})

test('counts what a limit refused under the name of the limit', async () => {
  const { action, token } = await callable(server.owner, {
    target_url: upstream.url,
    method: 'POST',
    rate_limit_rpm: 1,
  })
  const limited = { policy: 'action' }
  const before = figure(await scrape(), 'narrowapi_rate_limited_total', limited)
  await call(server, token, action.id, {})
  expect((await call(server, token, action.id, {})).error).toBe('rate_limited')
  expect(figure(await scrape(), 'narrowapi_rate_limited_total', limited)).toBe(before + 1)
})

test('shows what is under way while it is', async () => {
  const { action, token } = await callable(server.owner, { target_url: upstream.url, method: 'POST' })
  let finish = (): void => {}
  upstream.answer = (_, res) => {
    finish = () => res.end('{}')
  }
  const sent = upstream.received.length
  const pending = call(server, token, action.id, {})
  while (upstream.received.length === sent) await new Promise((resolve) => setImmediate(resolve))
  const during = await until((now) => figure(now, 'narrowapi_http_requests_in_flight') === 1)
  expect(figure(during, 'narrowapi_upstream_requests', { state: 'running' })).toBe(1)
  expect(figure(during, 'narrowapi_upstream_connections', { state: 'connected' })).toBeGreaterThan(0)
  expect(figure(during, 'narrowapi_upstream_origins')).toBeGreaterThan(0)
  expect(figure(during, 'narrowapi_http_connections')).toBeGreaterThan(0)
  finish()
  await pending
  upstream.answer = json(200, {})
  const after = await until((now) => figure(now, 'narrowapi_http_requests_in_flight') === 0)
  expect(figure(after, 'narrowapi_upstream_requests', { state: 'running' })).toBe(0)
})

test('tells how often memory answered for the database', async () => {
  const { action, token } = await callable(server.owner, { target_url: upstream.url, method: 'POST' })
  server.deps.expire()
  const before = await scrape()
  await call(server, token, action.id, {})
  const once = await scrape()
  for (const cache of ['tokens', 'actions']) {
    expect(figure(once, 'narrowapi_cache_misses_total', { cache })).toBe(
      figure(before, 'narrowapi_cache_misses_total', { cache }) + 1,
    )
    expect(figure(once, 'narrowapi_cache_entries', { cache })).toBeGreaterThan(0)
  }
  // Within the age of what is remembered, which a busy machine may outlast between two calls.
  await Promise.all(Array.from({ length: 50 }, () => call(server, token, action.id, {})))
  expect(figure(await scrape(), 'narrowapi_cache_hits_total', { cache: 'tokens' })).toBeGreaterThan(
    figure(once, 'narrowapi_cache_hits_total', { cache: 'tokens' }),
  )
})

/** Does work while every connection of the management API is taken. */
const withoutConnections = async (work: () => Promise<void>): Promise<void> => {
  const { app } = server.deps
  const held = await Promise.all(Array.from({ length: app.options.max }, () => app.reserve()))
  try {
    await work()
  } finally {
    for (const connection of held) connection.release()
  }
}

test('shows transactions that wait when every connection is taken', async () => {
  const { app } = server.deps
  let list: Promise<{ status: number }> | undefined
  const waiting = { pool: 'app', state: 'waiting' }
  await withoutConnections(async () => {
    list = ask(server.url, 'GET /api/v1/actions', { credential: server.owner.key })
    await until((now) => figure(now, 'narrowapi_database_transactions', waiting) === 1)
  })
  expect((await list)?.status).toBe(200)
  const after = await scrape()
  expect(figure(after, 'narrowapi_database_transactions', waiting)).toBe(0)
  expect(figure(after, 'narrowapi_database_transactions', { pool: 'app', state: 'open' })).toBe(0)
  expect(figure(after, 'narrowapi_database_connections_limit', { pool: 'app' })).toBe(app.options.max)
})

test('counts a request as aborted whose caller went away before there was an answer', async () => {
  const aborted = { method: 'GET', route: '/api/v1/actions', status_class: 'aborted' }
  const transactions = (now: Map<string, Exposed>, state: string) =>
    figure(now, 'narrowapi_database_transactions', { pool: 'app', state })
  await withoutConnections(async () => {
    const leaving = new AbortController()
    const list = fetch(`${server.url}/api/v1/actions`, {
      headers: { authorization: `Bearer ${server.owner.key}` },
      signal: leaving.signal,
    })
    await until((now) => transactions(now, 'waiting') === 1)
    leaving.abort()
    await expect(list).rejects.toThrow()
    await until((now) => figure(now, `${requests}_count`, aborted) === 1)
  })
  await until((now) => transactions(now, 'waiting') === 0 && transactions(now, 'open') === 0)
})

test('counts the database as away when it is, and not for an upstream that is given a rest', async () => {
  const away = 'narrowapi_database_away_total'
  const { sql } = server.database
  const begin = await scrape()
  const answer = await sql.begin(async (lock) => {
    await lock.unsafe('lock table narrowapi.actions in access exclusive mode')
    const asked = ask(server.url, 'GET /api/v1/actions', { credential: server.owner.key })
    for (let ended = 0; ended === 0; ) {
      const rows = await sql`
        select pg_terminate_backend(pid)
        from pg_stat_activity
        where datname = current_database() and wait_event_type = 'Lock' and pid <> pg_backend_pid()`
      ended = rows.length
    }
    return { asked }
  })
  expect((await answer.asked).body).toMatchObject({ error: 'unavailable' })
  const lost = await scrape()
  expect(figure(lost, away)).toBeGreaterThan(figure(begin, away))

  const { action, token } = await callable(server.owner, { target_url: upstream.url, method: 'POST' })
  upstream.answer = (_, res) => res.destroy()
  const codes: unknown[] = []
  while (codes.length < 30 && codes.at(-1) !== 'unavailable') {
    codes.push((await call(server, token, action.id, {})).error)
  }
  upstream.answer = json(200, {})
  expect(codes.at(-1)).toBe('unavailable')
  expect(figure(await scrape(), away)).toBe(figure(lost, away))
})

test('is well-formed: buckets grow to the count, names end in their unit', async () => {
  const metrics = await scrape()
  for (const [name, { help, type, samples }] of metrics) {
    expect(help).not.toBe('')
    if (name.startsWith('narrowapi_')) expect(name.endsWith('_total')).toBe(type === 'counter')
    if (type !== 'histogram') continue
    const buckets = samples.filter((sample) => sample.name === `${name}_bucket`)
    for (const { labels, value } of samples.filter((sample) => sample.name === `${name}_count`)) {
      const own = buckets.filter((bucket) =>
        Object.entries(labels).every(([label, text]) => bucket.labels[label] === text),
      )
      const counts = own.map((bucket) => bucket.value)
      expect(counts).toEqual(counts.toSorted((a, b) => a - b))
      expect(own.at(-1)).toMatchObject({ labels: { le: '+Inf' }, value })
    }
  }
  for (const name of ['process_resident_memory_bytes', 'nodejs_eventloop_lag_p99_seconds']) {
    expect(figure(metrics, name)).toBeGreaterThan(0)
  }
  expect(figure(metrics, 'narrowapi_build_info', { version: '0.0.0' })).toBe(1)
})

test('names no workspace and no credential, shows no secret, and no version but its own', async () => {
  const actor = await server.newWorkspace()
  const { narrow, workspaceId, key } = actor
  const { name } = await narrow.workspaces.get(workspaceId)
  const { action, token, tokenId } = await callable(actor, {
    ...examples.action(upstream.url),
    name: 'canary-action',
    slug: 'canary-slug',
    auth_value: 'canary-value-1234567890',
  })
  await call(server, token, 'canary-slug', examples.input())
  await ask(server.url, 'POST /x/canary-name', { credential: token })
  await ask(server.url, 'GET /api/v1/actions', { credential: `${key.slice(0, -1)}x` })
  const text = await scrapeText()
  expect(text).toContain(action.id)
  expect(text).not.toMatch(/canary|sk_|sxt_|key_[0-9A-Za-z]{22}|tok_|ws_[0-9A-Za-z]{22}|postgres:\/\//)
  for (const known of [workspaceId, name, key, token, tokenId]) {
    expect(text).not.toContain(known)
  }
  expect(text).not.toContain(process.version)
})

test('is served on its own listener alone, to whoever can reach that', async () => {
  expect((await ask(server.url, 'GET /metrics')).status).toBe(404)
  const own = new URL(server.metricsUrl ?? '').origin
  const answer = await ask(own, 'GET /metrics')
  expect(answer.status).toBe(200)
  expect(answer.headers.get('content-type')).toContain('text/plain; version=0.0.4')
  expect(answer.headers.get('cache-control')).toBe('no-store')
  expect((await ask(own, 'HEAD /metrics')).text).toBe('')
  expect((await ask(own, 'POST /metrics')).status).toBe(405)
  expect((await ask(own, 'GET /')).status).toBe(404)
  expect((await ask(own, 'GET /healthz')).status).toBe(404)
})

test('cannot be read by an action, whatever addresses the operator allows', async () => {
  const { action, token } = await callable(server.owner, {
    target_url: server.metricsUrl ?? '',
    method: 'GET',
  })
  expect((await call(server, token, action.id)).error).toBe('upstream_blocked')
})

test('opens no listener unless METRICS_PORT is set, and says so when it cannot be opened', async () => {
  const quiet = await startTestServer()
  expect(quiet.metricsUrl).toBeNull()
  await quiet.stop()
  const taken = createServer()
  await new Promise<void>((resolve) => taken.listen(0, '127.0.0.1', resolve))
  // A server that listens on a port has an AddressInfo.
  const { port } = taken.address() as AddressInfo
  await expect(startTestServer({ environment: { METRICS_PORT: String(port) } })).rejects.toThrow(
    'METRICS_PORT',
  )
  await expect(
    startTestServer({ environment: { METRICS_PORT: '0', METRICS_HOST: '192.0.2.1' } }),
  ).rejects.toThrow('METRICS_HOST: cannot be listened on')
  await expect(startTestServer({ environment: { HOST: '192.0.2.1' } })).rejects.toThrow(
    'HOST: cannot be listened on',
  )
  await expect(startTestServer({ environment: { PORT: '3999', METRICS_PORT: '3999' } })).rejects.toThrow(
    'METRICS_PORT: must be another port than PORT',
  )
  await new Promise((resolve) => taken.close(resolve))
})
