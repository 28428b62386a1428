import { once } from 'node:events'
import { connect } from 'node:net'
import { contract, routesOf } from '@narrowapi/contract'
import { beforeAll, expect, inject, test } from 'vitest'
import { connect as connectDatabase } from '../../server/src/db/sql.ts'
import { createApp } from '../../server/src/http/app.ts'
import { expectProblem } from '../support/contract-check.ts'
import { createWorld, examples, idsOf, pathFor, type World } from '../support/examples.ts'
import { exchange, request } from '../support/raw.ts'
import { send, withoutRequestId } from '../support/send.ts'
import { startTestServer } from '../support/server.ts'
import { serverAndUpstream } from '../support/server-and-upstream.ts'

const { server, upstream } = await serverAndUpstream()
let world: World

beforeAll(async () => {
  world = await createWorld(server, upstream.url)
})

/** What is served beside the contract: texts for readers. */
const documentation = [
  '/.well-known/llms.txt',
  '/.well-known/openapi.json',
  '/.well-known/openapi.yaml',
  '/docs',
  '/docs/errors',
  '/docs/style.css',
  '/llms.txt',
]

const routes = routesOf(contract).map(({ route }) => route)
const paths = [...new Set(routes.map(({ path }) => path))]
const methodsOf = (path: string) => routes.filter((route) => route.path === path).map(({ method }) => method)

const asOwner = (method: string, path: string, body?: unknown, headers: Record<string, string> = {}) =>
  send(server.url, method, path, { credential: world.owner.key, body, headers })

test('serves the routes of the contract and the documentation, and nothing else', () => {
  const registered = createApp(server.deps).router.stack.flatMap(({ route }) =>
    // Express knows a route by its path and by the handlers of each method.
    route ? route.stack.map(({ method }) => `${method?.toUpperCase()} ${route.path}`) : [],
  )
  // What is served in front of the router is in no list of its own; the next test asks for it.
  const promised = routes
    .filter(({ metadata }) => !metadata.edge)
    .map(({ method, path }) => `${method} ${path}`)
  const pages = documentation.map((path) => `GET ${path}`)
  expect([...new Set(registered)].sort()).toEqual([...promised, ...pages].sort())
})

test('serves calls in front of the router', async () => {
  expect(routes.filter(({ metadata }) => metadata.edge).map(({ path }) => path)).toEqual(['/x/:action_id'])
  const answer = await send(server.url, 'POST', '/x/anything')
  expect(answer).toMatchObject({ status: 401, body: { error: 'unauthorized' } })
})

test.each(paths)('%s answers other methods with 405 and the methods it has', async (path) => {
  const route = routes.find((one) => one.path === path)
  if (!route) throw new Error('Paths are those of routes')
  const target = pathFor(route, idsOf(world))
  const known = methodsOf(path)
  const allowed = [...known, ...(known.includes('GET') ? ['HEAD'] : []), 'OPTIONS'].sort().join(', ')
  for (const method of ['GET', 'POST', 'PUT', 'PATCH', 'DELETE', 'PROPFIND'].filter(
    (one) => !known.some((own) => own === one),
  )) {
    const answer = await asOwner(method, target)
    expect([method, answer.status, answer.headers.get('allow')]).toEqual([method, 405, allowed])
    expect(answer.body).toMatchObject({ error: 'method_not_allowed' })
    expectProblem(answer)
  }
  const options = await send(server.url, 'OPTIONS', target, {
    headers: { origin: 'https://elsewhere.example' },
  })
  expect([options.status, options.text, options.headers.get('allow')]).toEqual([204, '', allowed])
  expect([...options.headers.keys()].filter((name) => name.startsWith('access-control'))).toEqual([])
})

test.each(documentation)('%s answers other methods with 405 and the methods it has', async (path) => {
  const allowed = 'GET, HEAD, OPTIONS'
  for (const method of ['POST', 'PUT', 'PATCH', 'DELETE', 'PROPFIND']) {
    const answer = await asOwner(method, path)
    expect([method, answer.status, answer.headers.get('allow')]).toEqual([method, 405, allowed])
    expectProblem(answer)
  }
  const options = await send(server.url, 'OPTIONS', path)
  expect([options.status, options.text, options.headers.get('allow')]).toEqual([204, '', allowed])
})

test.each(paths)('TRACE %s is refused and echoes nothing', async (path) => {
  const route = routes.find((one) => one.path === path)
  const target = route ? pathFor(route, idsOf(world)) : path
  const { answers, text } = await exchange(server.url, request(`TRACE ${target}`, { 'X-Echo': 'echo-me' }), {
    answers: 1,
  })
  expect(answers[0]?.status).toBe(405)
  expect(text).not.toContain('echo-me')
})

test.each([
  '/',
  '/api',
  '/api/v1',
  '/api/v1/',
  '/api/v1/actions/',
  '/api/v1//actions',
  '/API/v1/actions',
  '/api/V1/actions',
  '/api/v1/Actions',
  '/api/v2/actions',
  '/v2/actions',
  '/v1',
  '/api/v1/nothing',
  '/healthz/',
  '/x/a/b/c',
  '/.git/config',
  '/.env',
  '/package.json',
  '/server/src/main.ts',
  '/main.js.map',
  '/debug',
  '/debug/pprof',
  '/metrics',
  '/console',
  '/admin',
  '/docs/../package.json',
  '/docs/%2e%2e/package.json',
  '/docs/..%2fpackage.json',
  '/docs/style.css.map',
])('%s is not found, with or without a key', async (path) => {
  for (const headers of [{}, { Authorization: `Bearer ${world.owner.key}` }]) {
    const { answers } = await exchange(server.url, request(`GET ${path}`, headers), { answers: 1 })
    const [answer] = answers
    expect(answer?.status).toBe(404)
    expect(JSON.parse(answer?.body ?? '')).toMatchObject({
      error: 'not_found',
      request_id: answer?.headers.get('x-request-id'),
    })
  }
})

test('no answer tells what it is made of', async () => {
  const { answers } = await exchange(server.url, request('GET /healthz?%'), { answers: 1 })
  expect(answers[0]?.status).toBe(400)
  const texts = [
    await asOwner('GET', '/api/v1/actions'),
    await asOwner('GET', '/nothing'),
    await asOwner('POST', '/api/v1/actions', '{'),
    await asOwner('GET', '/api/v1/actions/%ff'),
    await asOwner('DELETE', '/healthz'),
    await send(server.url, 'GET', '/readyz'),
  ].map(({ headers, text }) => {
    for (const name of ['x-powered-by', 'server', 'via', 'x-runtime', 'x-aspnet-version'])
      expect(headers.get(name)).toBeNull()
    return text
  })
  // Ids are drawn, and may be drawn so that they spell a name.
  for (const text of [...texts, answers[0]?.body ?? ''])
    expect(text.replaceAll(/req_\w+/g, '')).not.toMatch(
      /node_modules|\.ts:\d|at \S+ \(|postgres(?:ql)?:\/\/|express|zod/i,
    )
})

test('every limit that counts a request is told, and how much of the tightest is left', async () => {
  const { key, workspaceId, narrow } = await server.newWorkspace()
  await narrow.workspaces.update(workspaceId, { tier: 'starter' })
  const slow = await narrow.apiKeys.create({ ...examples.apiKey(), rate_limit_tier: 'free' })
  const told = async (credential: string) => {
    const { headers } = await send(server.url, 'GET', '/api/v1/actions', { credential })
    return ['ratelimit-policy', 'ratelimit', 'x-ratelimit-limit'].map((name) => headers.get(name))
  }
  const workspace = '"workspace";q=1200;w=60'
  expect(await told(slow.key)).toEqual([
    `"default";q=60;w=60, ${workspace}`,
    expect.stringMatching(/^"default";r=59;t=\d+$/),
    '60',
  ])
  expect(await told(key)).toEqual([
    `${workspace}, "default";q=1200;w=60`,
    expect.stringMatching(/^"workspace";r=\d+;t=\d+$/),
    '1200',
  ])
})

test.each(['GET /api/v1/nothing', 'PUT /api/v1/actions', 'OPTIONS /api/v1/actions', 'GET /nothing'])(
  '%s is counted by address, and says so',
  async (line) => {
    const [method = '', path = ''] = line.split(' ')
    const { headers } = await asOwner(method, path)
    expect(headers.get('x-ratelimit-limit')).toBe('600')
    expect(Number(headers.get('x-ratelimit-remaining'))).toBeLessThan(600)
    expect(headers.get('ratelimit')).toMatch(/^"unknown";r=\d+;t=\d+$/)
  },
)

test('a method in a header or in the query changes nothing', async () => {
  const secret = await world.owner.narrow.secrets.create(examples.secret())
  const path = `/api/v1/secrets/${secret.id}`
  for (const name of ['x-http-method-override', 'x-http-method', 'x-method-override'])
    expect((await asOwner('GET', path, undefined, { [name]: 'DELETE' })).status).toBe(200)
  expect((await asOwner('GET', `${path}?_method=DELETE`)).status).toBe(422)
  expect((await asOwner('POST', path, {}, { 'x-http-method-override': 'DELETE' })).status).toBe(405)
  expect((await asOwner('GET', path)).status).toBe(200)
})

test('a page of another origin is given no right to read an answer', async () => {
  for (const origin of ['https://elsewhere.example', 'null'])
    for (const path of ['/api/v1/actions', '/healthz', '/nothing']) {
      const { headers } = await asOwner('GET', path, undefined, { origin })
      expect([...headers.keys()].filter((name) => name.startsWith('access-control'))).toEqual([])
    }
})

test('/v1 is the same API under another base', async () => {
  for (const path of [
    '/actions',
    `/actions/${world.action.id}`,
    '/audit?limit=2',
    '/nothing',
    '/actions?page=1',
  ]) {
    const [canonical, short] = [await asOwner('GET', `/api/v1${path}`), await asOwner('GET', `/v1${path}`)]
    expect(withoutRequestId(short)).toEqual(withoutRequestId(canonical))
    expect(short.headers.get('link')).toBe(canonical.headers.get('link'))
  }
  expect((await send(server.url, 'GET', '/v1/actions')).status).toBe(401)
  expect((await asOwner('DELETE', '/v1/actions')).status).toBe(405)
})

test('/credentials is another name of /secrets, and says so', async () => {
  const headers = { 'idempotency-key': 'one-secret' }
  const created = await asOwner('POST', '/v1/credentials', examples.secret(), headers)
  expect(created).toMatchObject({ status: 201, body: { object: 'secret' } })
  expect(created.headers.get('link')).toBe('</api/v1/secrets>; rel="canonical"')
  const path = created.headers.get('location') ?? ''
  expect(path).toMatch(/^\/api\/v1\/secrets\/sec_/)
  // The same thing under two names is the same request.
  const again = await asOwner('POST', '/api/v1/secrets', examples.secret(), headers)
  expect([again.headers.get('idempotent-replayed'), again.text]).toEqual(['true', created.text])

  const alias = path.replace('/secrets/', '/credentials/')
  const read = await asOwner('GET', alias)
  expect([read.status, read.headers.get('link')]).toEqual([200, `<${path}>; rel="canonical"`])
  expect(withoutRequestId(await asOwner('GET', '/api/v1/credentials?limit=1'))).toEqual(
    withoutRequestId(await asOwner('GET', '/api/v1/secrets?limit=1')),
  )
  const { headers: listed } = await asOwner('GET', '/api/v1/credentials?limit=1')
  expect(listed.get('link')).toMatch(/rel="canonical"/)
  expect(listed.get('link')).toMatch(/<\/api\/v1\/secrets\?[^>]+>; rel="next"/)
  expect((await asOwner('DELETE', alias)).status).toBe(204)
  expect((await asOwner('GET', path)).status).toBe(404)
  expect((await send(server.url, 'GET', '/api/v1/credentials')).status).toBe(401)
  expect((await asOwner('GET', '/api/v1/credentialsx')).status).toBe(404)
})

test('every documentation page is open, and takes HEAD', async () => {
  for (const path of documentation) {
    const [get, head] = [await send(server.url, 'GET', path), await send(server.url, 'HEAD', path)]
    expect([get.status, head.status, head.text]).toEqual([200, 200, ''])
    expect(head.headers.get('content-length')).toBe(get.headers.get('content-length'))
  }
})

test('health needs no key and tells nothing but that it is well', async () => {
  for (const path of ['/healthz', '/readyz'])
    for (const credential of [undefined, 'sk_wrong', world.owner.key]) {
      const answer = await send(server.url, 'GET', path, { credential })
      expect([answer.status, answer.text]).toEqual([200, '{"status":"ok"}'])
      const head = await send(server.url, 'HEAD', path, { credential })
      expect([head.status, head.text]).toEqual([200, ''])
    }
})

test('without its database the server is alive but not ready, refuses work with 503, and recovers by itself', async () => {
  const lone = await startTestServer()
  const admin = connectDatabase(inject('postgresUrl').replace('{database}', 'postgres'), 'owner', { max: 1 })
  const name = decodeURIComponent(new URL(lone.database.url).pathname.slice(1))
  try {
    const { key } = lone.owner
    expect((await send(lone.url, 'GET', '/readyz')).status).toBe(200)
    await admin.unsafe(`alter database ${name} with allow_connections false`)
    await admin`select pg_terminate_backend(pid) from pg_stat_activity where datname = ${name}`
    expect((await send(lone.url, 'GET', '/healthz')).status).toBe(200)
    const ready = await send(lone.url, 'GET', '/readyz')
    expect(ready).toMatchObject({ status: 503, body: { error: 'unavailable' } })
    expectProblem(ready)
    for (const [method, body] of [
      ['GET', undefined],
      ['POST', examples.secret()],
    ] as const) {
      const work = await send(lone.url, method, '/api/v1/secrets', { credential: key, body })
      expect(work).toMatchObject({ status: 503, body: { error: 'unavailable' } })
      expectProblem(work)
    }
    await admin.unsafe(`alter database ${name} with allow_connections true`)
    await expect
      .poll(async () => (await send(lone.url, 'GET', '/readyz')).status, { timeout: 10_000 })
      .toBe(200)
    await expect
      .poll(async () => (await send(lone.url, 'GET', '/api/v1/secrets', { credential: key })).status)
      .toBe(200)
  } finally {
    await admin.unsafe(`alter database ${name} with allow_connections true`)
    await admin.end()
    await lone.stop()
  }
})

test('a server that stops is not ready any more, while it still answers', async () => {
  const lone = await startTestServer()
  const { hostname, port } = new URL(lone.url)
  const socket = connect(Number(port), hostname)
  // Half a request keeps the connection; an answer to another one shows that the server has read it.
  socket.write('GET /readyz HTTP/1.1\r\nHost: localhost\r\n')
  await once(socket, 'connect')
  expect((await send(lone.url, 'GET', '/readyz')).status).toBe(200)
  const stopped = lone.stop()
  socket.write('\r\n')
  const [bytes] = await once(socket, 'data')
  expect(String(bytes)).toMatch(/^HTTP\/1\.1 503 /)
  expect(String(bytes)).toContain('"error":"unavailable"')
  socket.destroy()
  await stopped
})
