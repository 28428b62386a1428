import { isAppRoute } from '@ts-rest/core'
import { describe, expect, test } from 'vitest'
import { z } from 'zod'
import { type ErrorCode, errorCodes } from './errors.ts'
import { contract, honoursIdempotencyKey, raisedBy, routesOf, scopes } from './index.ts'
import { pageQuery } from './page.ts'

/** The conventions, held for every route at once. An exception is a row in a list here, with its reason. */
const routes = routesOf(contract).map(({ noun, name, route }) => ({
  id: `${noun}.${name}`,
  noun,
  name,
  route,
  isChange: route.method !== 'GET',
}))

/** Words that stand before an id and have no plural. */
const massNouns = ['audit']

/** What a noun can do beside list, create, get, update and delete. */
const ownVerbs: Record<string, readonly string[]> = {
  actions: [
    'listVersions',
    'restoreVersion',
    'getSchema',
    'test',
    'rotateToken',
    'listExecutions',
    'getExecution',
  ],
  tokens: ['rotate'],
  workspaces: ['pause', 'resume'],
  x: ['manifest', 'getExecution', 'dryRun', 'execute'],
  health: ['live', 'ready'],
}

/** The same in every noun that has them, in this order. */
const commonVerbs: Record<string, { method: string; path: RegExp; status: number }> = {
  list: { method: 'GET', path: /[^:]+$/, status: 200 },
  create: { method: 'POST', path: /[^:]+$/, status: 201 },
  get: { method: 'GET', path: /\/:[a-z_]*id$/, status: 200 },
  update: { method: 'PATCH', path: /\/:id$/, status: 200 },
  delete: { method: 'DELETE', path: /\/:id$/, status: 204 },
}

/** Calls that are no GET and yet leave no audit event. */
const unaudited: Record<string, string> = {
  'actions.test': 'it changes nothing',
  'x.dryRun': 'it changes nothing',
  'x.execute': 'the execution is its own record',
}

/** In the registry for nouns that are not built yet; each leaves this list with the route that raises it. */
const codesOfLaterNouns: readonly ErrorCode[] = [
  'workspace_required', // account keys
  'cannot_retry', // webhook deliveries
  'idempotency_key_required', // usage records
  'approval_denied', // approvals
  'feature_limit_reached', // entitlements
  'budget_exceeded', // budgets
  'connection_required', // connections
  'connection_expired', // connections
  'ai_provider_not_configured', // ai
]

/** Raised in front of the routes: a path that exists, with another method. */
const codesOfNoRoute: readonly ErrorCode[] = ['method_not_allowed']

const isSchema = (value: unknown): value is z.ZodType => value instanceof z.ZodType

/** Everything a schema is made of, itself first, each part once. */
const partsOf = (schema: z.ZodType, seen = new Set<z.ZodType>()): Set<z.ZodType> => {
  if (seen.has(schema)) return seen
  seen.add(schema)
  for (const part of schemasIn(schema.def)) partsOf(part, seen)
  return seen
}

const schemasIn = (value: unknown): z.ZodType[] => {
  if (isSchema(value)) return [value]
  if (typeof value !== 'object' || value === null) return []
  if ('getter' in value && typeof value.getter === 'function') return schemasIn(value.getter())
  return Object.values(value).flatMap(schemasIn)
}

const inputsOf = ({ route }: (typeof routes)[number]): z.ZodType[] =>
  ['body' in route ? route.body : null, route.query].filter(isSchema)

const answersOf = ({ route }: (typeof routes)[number]): z.ZodType[] =>
  Object.values(route.responses).filter(isSchema)

const isSuccess = (status: string | number): boolean => Number(status) < 400

/** `@ts-rest` types path parameters as anything; `group` gets Zod objects only, which a test below holds. */
const shapeOf = (schema: unknown): Record<string, z.ZodType> =>
  schema instanceof z.ZodObject ? (schema.shape as Record<string, z.ZodType>) : {}

const namesIn = (path: string): string[] => [...path.matchAll(/:([^/]+)/g)].map(([, name = '']) => name)

test('is made of routes of nouns, and of nothing else', () => {
  const members = Object.values(contract).flatMap((noun) => Object.values(noun))
  expect(members.filter((member) => !isAppRoute(member))).toEqual([])
  expect(routes).toHaveLength(members.length)
})

test('gives each method and path to one route', () => {
  const places = routes.map(({ route }) => `${route.method} ${route.path.replaceAll(/:[^/]+/g, ':')}`)
  expect(places.filter((place, index) => places.indexOf(place) !== index)).toEqual([])
})

describe.each(routes)('$id', (one) => {
  const { id, noun, name, route, isChange } = one
  const params = namesIn(route.path)

  test('has a path of kebab-case words, plural where an id follows', () => {
    const segments = route.path.split('/').slice(1)
    expect(
      segments.filter((segment) => !/^(?::[a-z]+(?:_[a-z]+)*|[a-z0-9]+(?:-[a-z]+)*)$/.test(segment)),
    ).toEqual([])
    const collections = segments.filter((_, index) => segments[index + 1]?.startsWith(':'))
    const singular = collections.filter(
      (word) => !word.startsWith(':') && !word.endsWith('s') && word !== 'x',
    )
    expect(singular.filter((word) => !massNouns.includes(word))).toEqual([])
  })

  test('has a name from the list of verbs, and does what its name says', () => {
    expect([...Object.keys(commonVerbs), ...(ownVerbs[noun] ?? [])]).toContain(name)
    const verb = commonVerbs[name]
    if (!verb) return
    expect(route.method).toBe(verb.method)
    expect(route.path).toMatch(verb.path)
    expect(Object.keys(route.responses).filter(isSuccess)).toEqual([String(verb.status)])
  })

  test('has a schema for each path parameter', () => {
    expect(Object.keys(shapeOf(route.pathParams)).sort()).toEqual([...params].sort())
  })

  test('says in its summary and description what it does', () => {
    expect(route.summary).toMatch(/^[A-Z].{5,60}[^.]$/)
    expect(route.description).toMatch(/^[A-Z`].{4,400}[.]$/)
  })

  test('refuses unknown fields at every level of its input', () => {
    const open = inputsOf(one)
      .flatMap((schema) => [...partsOf(schema)])
      .filter((part) => part instanceof z.ZodObject)
      .filter((part) => part.def.catchall?._zod.def.type !== 'never')
    expect(open.map((part) => Object.keys(part.shape))).toEqual([])
    expect(route.query).toBeInstanceOf(z.ZodObject)
  })

  test('records a change', () => {
    if (isChange && !(id in unaudited)) expect(route.metadata.audit).toMatch(/^[a-z_]+\.[a-z_]+ed$/)
    else expect(route.metadata.audit).toBeNull()
  })

  test('honours an idempotency key if it changes anything', () => {
    expect(honoursIdempotencyKey(route)).toBe(isChange && id !== 'x.dryRun')
  })

  test('needs a scope if it is opened by a key', () => {
    const needed = route.metadata.auth === undefined || route.metadata.auth === 'key'
    if (needed) expect(scopes).toContain(route.metadata.scope)
    else expect(route.metadata.scope).toBeNull()
  })

  test('can say that what its path names is not there', () => {
    if (params.length > 0) expect(raisedBy(route)).toContain('not_found')
  })

  test('declares an answer for every status that its errors have', () => {
    const declared = Object.keys(route.responses).filter((status) => !isSuccess(status))
    const statuses = new Set(raisedBy(route).map((code) => String(errorCodes[code].status)))
    expect(declared.sort()).toEqual([...statuses].sort())
  })

  test('gives an id to its body and to its answers, so that the document has each once', () => {
    const body = 'body' in route && isSchema(route.body) ? [route.body] : []
    const unnamed = [...body, ...answersOf(one)].filter((schema) => !schema.meta()?.id && !isEmpty(schema))
    expect(unnamed).toEqual([])
  })
})

/** A body in which nothing may stand. */
const isEmpty = (schema: z.ZodType): boolean =>
  schema instanceof z.ZodObject && Object.keys(schema.shape).length === 0

test('gives an id to every shape that stands in more than one place', () => {
  const shapes = routes
    .flatMap((one) => [...inputsOf(one), ...answersOf(one)])
    .flatMap((schema) => [...partsOf(schema)])
    // Each query is told parameter by parameter, and a shape of one field is as short as its reference.
    .filter((part) => part instanceof z.ZodObject && Object.keys(part.shape).length > 1)
    .filter((part) => !part.meta()?.id && !routes.some(({ route }) => route.query === part))
  const texts = [...new Set(shapes)].map((part) =>
    JSON.stringify(z.toJSONSchema(part, { io: 'input', unrepresentable: 'any' })),
  )
  expect(texts.filter((text, index) => texts.indexOf(text) !== index)).toEqual([])
})

test.each(routes.filter(({ name }) => name.startsWith('list')))('$id is a list like every other', (one) => {
  const query = shapeOf(one.route.query)
  for (const name of Object.keys(pageQuery))
    expect(query[name]).toBe(pageQuery[name as keyof typeof pageQuery])
  expect(Object.keys(shapeOf(one.route.responses[200]))).toEqual([
    'object',
    'data',
    'has_more',
    'next_cursor',
  ])
  expect(raisedBy(one.route)).toContain('invalid_cursor')
  expect(one.route.method).toBe('GET')
})

test('every route that answers a page is a list by name', () => {
  const pages = routes.filter(({ route }) => 'next_cursor' in shapeOf(route.responses[200]))
  expect(pages.filter(({ name }) => !name.startsWith('list')).map(({ id }) => id)).toEqual([])
})

test('the nouns of the management API have their common verbs first, in one order', () => {
  for (const [noun, verbs] of Object.entries(contract)) {
    if (noun === 'x') continue // Its routes are matched in this order, so the more special one stands first.
    const names = Object.keys(verbs)
    const common = Object.keys(commonVerbs).filter((verb) => names.includes(verb))
    expect(names.slice(0, common.length)).toEqual(common)
  }
})

test('every scope opens some route, and every route names a scope that exists', () => {
  const used = new Set(routes.flatMap(({ route }) => route.metadata.scope ?? []))
  expect([...used].sort()).toEqual([...scopes].sort())
})

test('every error code is raised by some route, or waits for its noun', () => {
  const raised = new Set(routes.flatMap(({ route }) => raisedBy(route)))
  const silent = Object.keys(errorCodes).filter((code) => !(raised as ReadonlySet<string>).has(code))
  expect(silent.sort()).toEqual([...codesOfLaterNouns, ...codesOfNoRoute].sort())
})

test('every example of every schema fits its schema', () => {
  const parts = new Set(
    routes.flatMap((one) =>
      [...inputsOf(one), ...answersOf(one), ...Object.values(shapeOf(one.route.pathParams))].flatMap(
        (schema) => [...partsOf(schema)],
      ),
    ),
  )
  const wrong = [...parts].flatMap((part) => {
    const examples: unknown = part.meta()?.examples
    if (!Array.isArray(examples)) return []
    return examples.filter((example) => !part.safeParse(example).success)
  })
  expect(wrong).toEqual([])
})

test('every body has an example, so that the document shows how to call it', () => {
  const bare = routes.filter(
    ({ route }) =>
      'body' in route && isSchema(route.body) && !isEmpty(route.body) && !route.body.meta()?.examples,
  )
  expect(bare.map(({ id }) => id)).toEqual([])
})
