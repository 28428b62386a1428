import { type ContractRoute, contract, ErrorBody, routesOf } from '@narrowapi/contract'
import fc from 'fast-check'
import { beforeAll, expect, test } from 'vitest'
import { z } from 'zod'
import { arbitraryOf, broken, type Known } from '../support/arbitrary.ts'
import { createEverything, examples } from '../support/examples.ts'
import { type Answer, ask } from '../support/send.ts'
import { serverAndUpstream } from '../support/server-and-upstream.ts'

const { server, upstream } = await serverAndUpstream()
let token: string
/** An action and an execution of it, as paths name them together. */
let nested = { id: '', execution_id: '' }
/** Objects that exist, by the prefix of their ids, and slugs. */
const pool = new Map<string, string[]>()

beforeAll(async () => {
  upstream.answer = (_, res) => {
    res.setHeader('content-type', 'application/json')
    res.end('{"id":"re_1"}')
  }
  for (let round = 0; round < 3; round += 1) {
    const made = await createEverything(server.owner, upstream.url, server.as)
    for (const { id } of [made.action, made.token, made.secret, made.apiKey, made.execution, made.event])
      pool.set(prefixOf(id), [...(pool.get(prefixOf(id)) ?? []), id])
  }
  pool.set('ws', [server.owner.workspaceId])
  // Nothing of what the fuzzing deletes; this one stays callable.
  const action = await server.owner.narrow.actions.create({
    ...examples.action(upstream.url),
    slug: 'callable',
  })
  token = (await server.owner.narrow.tokens.create(examples.token(action.id))).token
  pool.set('callable', [action.id, action.slug])
  // Names two actions, so that rotating the token of one of them leaves it alone.
  const lasting = await server.owner.narrow.tokens.create({
    name: 'lasting',
    action_ids: [action.id, pool.get('act')?.[0] ?? ''],
  })
  pool.get('tok')?.push(lasting.id)
  const called = await ask(server.url, 'POST /x/callable', { credential: token, body: examples.input() })
  const execution = called.headers.get('x-execution-id') ?? ''
  pool.get('exec')?.push(execution)
  nested = { id: action.id, execution_id: execution }
})

const prefixOf = (id: string): string => id.slice(0, id.indexOf('_'))

/** Ids of things that exist, upstreams that may be called, and names that fit each other. */
const knownFor =
  (auth: string): Known =>
  (property, schema) => {
    if (property === 'target_url') return [`${upstream.url}/a/{a}`, `${upstream.url}/b?c={a}`, upstream.url]
    if (property === 'action_id' && auth === 'token') return pool.get('callable') ?? null
    if (property === 'path') return ['/a', '/b/c', '']
    if (property === 'tier') return ['self_hosted']
    if (property === 'version') return [1, 2, 2_147_483_647]
    if (property === 'cursor') return ['', 'AAAA', 'e30', 'x'.repeat(3000), 'x'.repeat(5000)]
    const prefix = /^\^([a-z]+)_\[0-9A-Za-z\]/.exec(schema.pattern ?? '')?.[1]
    return prefix === undefined ? null : [...(pool.get(prefix) ?? []), `${prefix}_06Wz1Xb4mJq0YcT7eKs2hU`]
  }

type Asking = { params: Record<string, unknown>; query: Record<string, unknown>; body: unknown }

/** Bodies that work, for operations whose rules reach across fields. */
const working = (operation: string): Record<string, unknown> | null =>
  ({
    'actions.create': { ...examples.action(upstream.url), slug: undefined },
    'actions.update': { description: 'Another' },
    'workspaces.update': { name: 'Another' },
    'tokens.rotate': { grace_period_hours: 1 },
    'actions.test': { input: examples.input() },
    'tokens.create': examples.token(pool.get('callable')?.[0] ?? ''),
    'secrets.create': examples.secret(),
    'apiKeys.create': examples.apiKey(),
    'x.execute': examples.input(),
    'x.dryRun': examples.input(),
  })[operation] ?? null

/** A working body, of which one member is replaced by anything its schema allows. */
const varied = (base: Record<string, unknown>, generated: fc.Arbitrary<unknown>): fc.Arbitrary<unknown> =>
  fc.tuple(generated, fc.nat()).map(([other, seed]) => {
    const members = Object.entries(Object(other))
    const member = members[seed % Math.max(1, members.length)]
    return member ? { ...base, [member[0]]: member[1] } : base
  })

const requestsOf = (operation: string, route: ContractRoute): fc.Arbitrary<Asking> => {
  const known = knownFor(route.metadata.auth ?? 'key')
  const of = (schema: unknown): fc.Arbitrary<unknown> =>
    schema instanceof z.ZodType
      ? arbitraryOf(z.toJSONSchema(schema, { io: 'input', unrepresentable: 'any' }), known)
      : fc.constant({})
  const record = (schema: unknown) =>
    of(schema).map((value) => (typeof value === 'object' && value !== null ? { ...value } : {}))
  const generated = of('body' in route ? route.body : undefined)
  const base = working(operation)
  const body = base ? fc.oneof(generated, varied(base, generated), fc.constant(base)) : generated
  return fc.record({
    params: fc.oneof(
      { weight: 5, arbitrary: record(route.pathParams) },
      ...(operation === 'actions.getExecution' ? [{ weight: 2, arbitrary: fc.constant(nested) }] : []),
      { weight: 1, arbitrary: oddParams },
    ),
    query: fc.oneof(
      { weight: 3, arbitrary: record(route.query) },
      { weight: 1, arbitrary: fc.constant({}) },
      { weight: 1, arbitrary: record(z.record(z.string(), z.string())) },
    ),
    body: fc.oneof({ weight: 3, arbitrary: body }, { weight: 2, arbitrary: broken(body) }),
  })
}

const oddParams = fc
  .string({ unit: 'binary', maxLength: 40 })
  .map((text) => ({ id: text, action_id: text, version: text }))

const send = (route: ContractRoute, { params, query, body }: Asking): Promise<Answer> => {
  const path = route.path.replaceAll(
    /:([a-z_]+)/g,
    (_, name: string) => encodeURIComponent(String(params[name] ?? '1')) || '1',
  )
  const search = new URLSearchParams()
  for (const [name, value] of Object.entries(query)) {
    if (typeof value === 'object' && value !== null)
      for (const [key, member] of Object.entries(value)) search.append(`${name}[${key}]`, String(member))
    else search.append(name, String(value))
  }
  const suffix = search.size > 0 ? `?${search}` : ''
  const { auth = 'key' } = route.metadata
  return ask(server.url, `${route.method} ${path}${suffix}`, {
    ...(auth === 'none' ? {} : { credential: auth === 'key' ? server.owner.key : token }),
    ...(route.method === 'GET' || route.method === 'DELETE' ? {} : { body }),
  })
}

/** What a fuzzed request may have paused, so that later requests come past it. */
const wakeUp = async (): Promise<void> => {
  await server.database
    .sql`update narrowapi.workspaces set status = 'active', tier = 'self_hosted' where status <> 'active' or tier <> 'self_hosted'`
}

/** What deletes comes last, so that everything else meets things that exist. */
const routes = routesOf(contract).toSorted(
  (left, right) => Number(left.route.method === 'DELETE') - Number(right.route.method === 'DELETE'),
)
const runs = Math.floor(600 / routes.length)
const seen = new Set<string>()

test.each(routes.map(({ noun, name, route }) => [`${noun}.${name}`, route] as const))(
  '%s answers whatever it is sent as the contract says',
  async (operation, route) => {
    await fc.assert(
      fc.asyncProperty(requestsOf(operation, route), async (asking) => {
        const answer = await send(route, asking)
        seen.add(`${operation} ${answer.status}`)
        expect(answer.status, answer.text).toBeLessThan(500)
        const declared: unknown = route.responses[answer.status]
        expect(declared, `${answer.status} is not declared: ${answer.text}`).toBeDefined()
        if (answer.status >= 400) ErrorBody.strict().parse(answer.body)
        if (declared instanceof z.ZodType) {
          // What the schema does not name must not be there: an object schema drops it while parsing.
          if (typeof asking.query.fields === 'string' && answer.status === 200)
            expectProjection(answer.body, asking.query.fields)
          else expect(declared.parse(answer.body)).toEqual(answer.body)
        } else expect(answer.text).toBe('')
        if (operation.startsWith('workspaces.')) await wakeUp()
      }),
      { seed: 20261123, numRuns: runs },
    )
  },
)

const expectProjection = (body: unknown, fields: string): void => {
  const { data } = z.looseObject({ data: z.array(z.unknown()).optional() }).parse(body)
  const asked = ['id', 'object', ...fields.split(',')]
  for (const one of data ?? [body]) expect(asked).toEqual(expect.arrayContaining(Object.keys(Object(one))))
}

test('came past the validation of every operation', () => {
  const succeeded = routes.filter(({ noun, name }) =>
    [...seen].some((one) => one.startsWith(`${noun}.${name} 2`)),
  )
  const without = routes.filter((one) => !succeeded.includes(one)).map(({ noun, name }) => `${noun}.${name}`)
  expect(without).toEqual([])
})
