import { contract, routesOf } from '@narrowapi/contract'
import { beforeAll, expect, test } from 'vitest'
import { connect, type Pool } from '../../server/src/db/sql.ts'
import { bodyFor, createWorld, examples, idsOf, pathFor, type World } from '../support/examples.ts'
import { type Request, send } from '../support/send.ts'
import { serverAndUpstream } from '../support/server-and-upstream.ts'
import { stateOf, tenantTables } from '../support/state.ts'

/** Two workspaces with one of everything each: A asks, B must not notice and must not be noticed. */
const { server, upstream } = await serverAndUpstream()
let a: World
let b: World

beforeAll(async () => {
  a = await createWorld(server, upstream.url)
  b = await createWorld(server, upstream.url)
})

const routes = routesOf(contract).map(({ noun, name, route }) => ({ id: `${noun}.${name}`, route }))
const reads = routes.filter(({ route }) => route.method === 'GET' && (route.metadata.auth ?? 'key') === 'key')
const audited = routes.filter(({ route }) => route.metadata.audit !== null)

const asA = (method: string, path: string, request: Request = {}) =>
  send(server.url, method, path, { credential: a.owner.key, ...request })

/** Everything that could give B away: its ids, the texts of its credentials, what it calls its things. */
const tracesOf = async (world: World): Promise<string[]> => {
  const rows = Object.values(await stateOf(server, world.workspaceId))
    .flat()
    .join()
  const ids = rows.match(/\b(?:ws|key|act|tok|exec|sec|aud)_[0-9A-Za-z]{22}\b/g) ?? []
  return [...new Set(ids), world.owner.key, world.token.token, world.apiKey.key]
}

const withoutIds = (state: Record<string, string[]>) =>
  Object.fromEntries(Object.entries(state).map(([table, rows]) => [table, rows.length]))

test('no read shows a byte of another workspace', async () => {
  const traces = await tracesOf(b)
  expect(traces.length).toBeGreaterThan(10)
  for (const { route } of reads) {
    const answer = await asA('GET', pathFor(route, idsOf(a)))
    expect(answer.status).toBe(200)
    expect(traces.filter((trace) => answer.text.includes(trace))).toEqual([])
  }
})

test.each([
  ['executions', 'action_id', () => b.action.id],
  ['executions', 'token_id', () => b.token.id],
  ['tokens', 'action_id', () => b.action.id],
  ['audit', 'actor_id', () => b.apiKey.id],
  ['audit', 'target_id', () => b.action.id],
])('the list of %s filtered by %s of another workspace is empty', async (noun, filter, id) => {
  const answer = await asA('GET', `/api/v1/${noun}?${filter}=${id()}`)
  expect(answer).toMatchObject({ status: 200, body: { data: [], has_more: false, next_cursor: null } })
})

test('refuses objects of another workspace in a body, and stores nothing', async () => {
  const before = withoutIds(await stateOf(server, a.workspaceId))
  const { auth_value: _, ...open } = examples.action(upstream.url)
  const attempts: [method: string, path: string, body: unknown, field: string | null][] = [
    ['POST', '/actions', { ...open, secret_id: b.secret.id }, 'secret_id'],
    ['PATCH', `/actions/${a.action.id}`, { secret_id: b.secret.id }, 'secret_id'],
    ['POST', '/tokens', { name: 'x', action_ids: [b.action.id] }, 'action_ids.0'],
    ['POST', '/tokens', { name: 'x', action_ids: [a.action.id, b.action.id] }, 'action_ids.1'],
    ['POST', '/tokens', { name: 'x', grants: [{ action_id: b.action.id }] }, 'grants.0.action_id'],
    ['POST', `/actions/${a.action.id}/test`, { input: examples.input(), token_id: b.token.id }, null],
  ]
  for (const [method, path, body, field] of attempts) {
    const answer = await asA(method, `/api/v1${path}`, { body })
    if (field === null) expect(answer).toMatchObject({ status: 404, body: { error: 'not_found' } })
    else expect(answer).toMatchObject({ status: 422, body: { details: [{ field }] } })
  }
  expect(withoutIds(await stateOf(server, a.workspaceId))).toEqual(before)
})

test('finds nothing of another workspace under an id of its own', async () => {
  for (const path of [
    `/actions/${a.action.id}/executions/${b.execution.id}`,
    `/actions/${b.action.id}/executions/${a.execution.id}`,
    `/actions/${b.action.id}/executions`,
  ])
    expect(await asA('GET', `/api/v1${path}`)).toMatchObject({ status: 404, body: { error: 'not_found' } })
})

test('a token runs nothing of another workspace, by id or by slug', async () => {
  const sent = upstream.received.length
  const own = await a.owner.narrow.actions.create({ ...examples.action(upstream.url), slug: 'own' })
  const foreign = await b.owner.narrow.actions.create({ ...examples.action(upstream.url), slug: 'theirs' })
  const { token } = await a.owner.narrow.tokens.create(examples.token(own.id))
  for (const name of [foreign.id, 'theirs', b.action.id, b.action.slug])
    for (const [method, path] of [
      ['POST', `/x/${name}`],
      ['POST', `/x/${name}/dry-run`],
      ['GET', `/x/${name}`],
    ] as const) {
      const body = method === 'POST' ? examples.input() : undefined
      expect((await send(server.url, method, path, { credential: token, body })).status).toBe(404)
    }
  expect(
    (await send(server.url, 'GET', `/x/executions/${b.execution.id}`, { credential: token })).status,
  ).toBe(404)
  expect(upstream.received).toHaveLength(sent)
})

test('refuses a cursor of another workspace', async () => {
  for (const { route } of reads.filter(({ id }) => id === 'audit.list' || id === 'secrets.list')) {
    await b.owner.narrow.secrets.create(examples.secret())
    const { next_cursor } = JSON.parse(
      (await send(server.url, 'GET', `${route.path}?limit=1`, { credential: b.owner.key })).text,
    )
    expect(next_cursor).toEqual(expect.any(String))
    const answer = await asA('GET', `${route.path}?limit=1&cursor=${encodeURIComponent(next_cursor)}`)
    expect(answer).toMatchObject({ status: 400, body: { error: 'invalid_cursor' } })
  }
})

test('naming another workspace in query, body or header gains nothing', async () => {
  for (const { route } of reads) {
    const answer = await asA('GET', `${pathFor(route, idsOf(a))}?workspace_id=${b.workspaceId}`)
    expect(answer).toMatchObject({ status: 422, body: { details: [{ field: 'workspace_id' }] } })
  }
  const body = { ...examples.secret(), workspace_id: b.workspaceId }
  expect((await asA('POST', '/api/v1/secrets', { body })).status).toBe(422)
  const plain = await asA('GET', '/api/v1/secrets')
  for (const name of ['x-organization', 'x-user-id', 'x-workspace', 'x-tenant-id', 'x-forwarded-user']) {
    const answer = await asA('GET', '/api/v1/secrets', { headers: { [name]: b.workspaceId } })
    expect(answer.text).toBe(plain.text)
  }
  const named = (workspaceId: string) =>
    asA('GET', '/api/v1/secrets', { headers: { 'x-workspace-id': workspaceId } })
  expect((await named(a.workspaceId)).text).toBe(plain.text)
  expect(await named(b.workspaceId)).toMatchObject({ status: 403, body: { error: 'forbidden' } })
})

test('whatever one workspace does, in any order, the other stays as it is', async () => {
  const random = sequenceOf(20_261_123)
  const state = new Map<string, Awaited<ReturnType<typeof stateOf>>>()
  for (const world of [a, b]) state.set(world.workspaceId, await stateOf(server, world.workspaceId))
  const seen = { ok: 0, refused: 0 }
  for (let turn = 0; turn < 20; turn += 1) {
    const [mover, other] = turn % 2 === 0 ? [a, b] : [b, a]
    for (let step = 0; step < 15; step += 1) {
      const { id, route } = random.pick(routes)
      // Every id is one of the mover's or one of the other's, in any mixture.
      const ids = idsOf(mover).map((own, index) => (random.next() < 0.5 ? own : (idsOf(other)[index] ?? own)))
      const credential = route.metadata.auth === 'token' ? mover.token.token : mover.owner.key
      const body = bodyFor(id, route, random.next() < 0.7 ? mover : other)
      const answer = await send(server.url, route.method, pathFor(route, ids), { credential, body })
      expect(answer.status).toBeLessThan(500)
      seen[answer.status < 400 ? 'ok' : 'refused'] += 1
    }
    expect(await stateOf(server, other.workspaceId)).toEqual(state.get(other.workspaceId))
    state.set(mover.workspaceId, await stateOf(server, mover.workspaceId))
  }
  expect(seen.ok).toBeGreaterThan(50)
  expect(seen.refused).toBeGreaterThan(50)
})

/** The same numbers for the same seed (a linear congruential generator), so that a failure can be repeated. */
const sequenceOf = (seed: number) => {
  let state = seed
  const next = (): number => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0
    return state / 2 ** 32
  }
  const pick = <T>(items: readonly T[]): T => {
    const item = items[Math.floor(next() * items.length)]
    if (item === undefined) throw new Error('There is nothing to pick from')
    return item
  }
  return { next, pick }
}

test('every table but the installation-wide ones belongs to workspaces and is guarded by forced row-level security', async () => {
  const tables = await server.database.sql<
    { name: string; enabled: boolean; forced: boolean; owner: string; policies: string[]; open: string[] }[]
  >`
    select c.relname as name, c.relrowsecurity as enabled, c.relforcerowsecurity as forced,
      pg_get_userbyid(c.relowner) as owner,
      array(
        select p.qual from pg_policies p
        where p.schemaname = 'narrowapi' and p.tablename = c.relname and 'narrowapi_app' = any (p.roles)
      ) as policies,
      array(
        select p.policyname::text from pg_policies p
        where p.schemaname = 'narrowapi' and p.tablename = c.relname and 'public' = any (p.roles)
      ) as open
    from pg_class c
    where c.relnamespace = 'narrowapi'::regnamespace and c.relkind in ('r', 'p') and not c.relispartition
    order by c.relname`
  const installationWide = ['installation', 'migrations', 'plans']
  const guarded = tables.filter(({ name }) => !installationWide.includes(name))
  const tenants = await tenantTables(server.database.sql)
  expect(guarded.map(({ name }) => name)).toEqual(tenants.map(({ table }) => table))
  for (const { name, enabled, forced, owner, policies, open } of guarded) {
    expect({ name, enabled, forced, policies: policies.length }).toEqual({
      name,
      enabled: true,
      forced: true,
      policies: 1,
    })
    expect(policies[0]).toMatch(/^\(\(?(?:workspace_id|id)\)?.*=.*current_workspace/)
    expect(open).toEqual([])
    expect(owner).not.toMatch(/^narrowapi_(?:app|system)$/)
  }
})

test('the roles of the server cannot bypass row-level security or become anyone else', async () => {
  const roles = await server.database.sql`
    select rolname, rolsuper, rolbypassrls, rolcreaterole, rolcreatedb, rolcanlogin
    from pg_roles where rolname in ('narrowapi_app', 'narrowapi_system') order by rolname`
  const powerless = {
    rolsuper: false,
    rolbypassrls: false,
    rolcreaterole: false,
    rolcreatedb: false,
    rolcanlogin: false,
  }
  expect(roles).toEqual([
    { rolname: 'narrowapi_app', ...powerless },
    { rolname: 'narrowapi_system', ...powerless },
  ])
  const memberships = await server.database.sql`
    select from pg_auth_members where member in ('narrowapi_app'::regrole, 'narrowapi_system'::regrole)`
  expect(memberships).toHaveLength(0)
})

/** Works as the management API does, without the API in front. */
const asAppRole = async <T>(work: (sql: Pool) => Promise<T>): Promise<T> => {
  const pool = connect(server.database.url, 'narrowapi_app', { max: 1 })
  try {
    return await work(pool)
  } finally {
    await pool.end()
  }
}

test('without a workspace the role of the API sees no row, and with one only its own', async () => {
  const tables = await tenantTables(server.database.sql)
  await asAppRole(async (sql) => {
    for (const { table, column } of tables) {
      expect([table, (await sql`select from ${sql(table)}`).length]).toEqual([table, 0])
      const shown = await sql.begin(async (inside) => {
        await inside`select set_config('narrowapi.workspace_id', ${a.workspaceId}, true)`
        return inside<{ owner: string }[]>`select distinct ${inside(column)} as owner from ${inside(table)}`
      })
      expect(shown.filter(({ owner }) => owner !== a.workspaceId)).toEqual([])
      expect([table, (await sql`select from ${sql(table)}`).length]).toEqual([table, 0])
    }
  })
})

test('the role of the API can put no row into another workspace', async () => {
  await asAppRole(async (sql) => {
    const insert = sql.begin(async (inside) => {
      await inside`select set_config('narrowapi.workspace_id', ${a.workspaceId}, true)`
      await inside`insert into audit_heads values (${b.workspaceId}, 99, 'x')`
    })
    await expect(insert).rejects.toThrow(/row-level security/)
    const move = sql.begin(async (inside) => {
      await inside`select set_config('narrowapi.workspace_id', ${a.workspaceId}, true)`
      await inside`update actions set workspace_id = ${b.workspaceId}`
    })
    await expect(move).rejects.toThrow(/row-level security|foreign key/)
  })
})

test('neither role can change or remove what the audit holds', async () => {
  for (const role of ['narrowapi_app', 'narrowapi_system'] as const) {
    const sql = connect(server.database.url, role, { max: 1 })
    try {
      for (const statement of [
        `update audit_events set outcome = 'failure'`,
        'delete from audit_events',
        'truncate audit_events',
        'alter table audit_events disable row level security',
        'drop table audit_events',
        'delete from audit_heads',
        'alter table audit_events disable trigger all',
      ])
        await expect(sql.unsafe(statement)).rejects.toThrow(/permission denied|must be owner/)
    } finally {
      await sql.end()
    }
  }
})

test('a change that cannot be recorded is refused and leaves nothing, and the same request works later', async () => {
  const worlds: World[] = []
  for (const _ of audited) worlds.push(await createWorld(server, upstream.url))
  const states = []
  for (const world of worlds) states.push(await stateOf(server, world.workspaceId))
  const change = ({ id, route }: (typeof audited)[number], world: World) =>
    send(server.url, route.method, pathFor(route, idsOf(world)), {
      credential: world.owner.key,
      body: bodyFor(id, route, world),
      headers: { 'idempotency-key': 'again' },
    })
  await server.database.sql`revoke insert on audit_events from narrowapi_app`
  try {
    for (const [index, one] of audited.entries()) {
      const world = worlds[index] ?? a
      const answer = await change(one, world)
      expect(answer).toMatchObject({ status: 503, body: { error: 'unavailable', retry_after_seconds: 1 } })
      expect(answer.headers.get('retry-after')).toBe('1')
      expect(withoutLastUse(await stateOf(server, world.workspaceId))).toEqual(withoutLastUse(states[index]))
    }
  } finally {
    await server.database.sql`grant insert on audit_events to narrowapi_app`
  }
  expect(server.logs.join('')).toContain('permission denied for table audit_events')
  for (const [index, one] of audited.entries()) {
    const answer = await change(one, worlds[index] ?? a)
    expect(answer.status).toBeLessThan(300)
    expect(answer.headers.get('idempotent-replayed')).toBeNull()
  }
})

/** A refused request is a use of its key all the same. */
const withoutLastUse = (state: Record<string, string[]> = {}) => ({
  ...state,
  api_keys: state.api_keys?.map((row) => row.replace(/"last_used_at":[^,]+,/, '')),
})
