import { execFile } from 'node:child_process'
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type Change, compare, type Level } from '../../openapi/src/diff/compare.ts'
import type { Document, Json, Schema } from '../../openapi/src/openapi.ts'

type Case = { name: string; level: Level | 'none'; before: object; after: object; says?: RegExp }

const object = (properties: Record<string, object>, more: object = {}) => ({
  type: 'object',
  properties,
  additionalProperties: false,
  ...more,
})
const text = { type: 'string' }

/** One operation which takes a body, and one which answers it. */
const sends = (schema: object, more = {}) => ({
  requestBody: { description: 'd', required: false, content: json(schema), ...more },
})
const answers = (schema: object) => ({ responses: { 200: { description: 'd', content: json(schema) } } })
const json = (schema: object) => ({ 'application/json': { schema } })
const refuses = (errors: Record<string, string[]>) => ({
  responses: {
    200: { description: 'd' },
    ...Object.fromEntries(
      Object.entries(errors).map(([status, codes]) => [
        status,
        {
          description: 'd',
          content: {
            'application/json': {
              schema: object({ error: { type: 'string', enum: codes } }),
              examples: Object.fromEntries(codes.map((code) => [code, { value: { error: code } }])),
            },
          },
        },
      ]),
    ),
  },
})
const asks = (...parameters: object[]) => ({ parameters })
const query = (name: string, more: object = {}) => ({
  name,
  in: 'query',
  description: 'd',
  schema: text,
  ...more,
})
const header = (name: string) => ({
  responses: { 200: { description: 'd', headers: { [name]: { description: 'd', schema: text } } } },
})

/** The same change of a schema, seen from both sides. */
const both = (name: string, before: object, after: object, sent: Level, answered: Level): Case[] => [
  { name: `${name}, sent`, level: sent, before: sends(before), after: sends(after) },
  { name: `${name}, answered`, level: answered, before: answers(before), after: answers(after) },
]

const cases: Case[] = [
  ...both(
    'a new required member',
    object({}),
    object({ a: text }, { required: ['a'] }),
    'breaking',
    'additive',
  ),
  ...both('a new optional member', object({}), object({ a: text }), 'additive', 'additive'),
  ...both('a removed member', object({ a: text }), object({}), 'breaking', 'breaking'),
  ...both('a renamed member', object({ a: text }), object({ b: text }), 'breaking', 'breaking'),
  ...both(
    'a member that became required',
    object({ a: text }),
    object({ a: text }, { required: ['a'] }),
    'breaking',
    'additive',
  ),
  ...both(
    'a member that became optional',
    object({ a: text }, { required: ['a'] }),
    object({ a: text }),
    'additive',
    'breaking',
  ),
  ...both('a new value of an enum', { enum: ['a'] }, { enum: ['a', 'b'] }, 'additive', 'additive'),
  ...both('a removed value of an enum', { enum: ['a', 'b'] }, { enum: ['a'] }, 'breaking', 'additive'),
  ...both('another constant', { const: 'a' }, { const: 'b' }, 'breaking', 'breaking'),
  ...both('another type', text, { type: 'integer' }, 'breaking', 'breaking'),
  ...both('a type that became nullable', text, { type: ['string', 'null'] }, 'additive', 'breaking'),
  ...both('a type that is never null again', { type: ['string', 'null'] }, text, 'breaking', 'additive'),
  ...both(
    'a shorter longest text',
    { ...text, maxLength: 9 },
    { ...text, maxLength: 5 },
    'breaking',
    'additive',
  ),
  ...both(
    'a longer longest text',
    { ...text, maxLength: 5 },
    { ...text, maxLength: 9 },
    'additive',
    'breaking',
  ),
  ...both(
    'a higher minimum',
    { type: 'integer', minimum: 1 },
    { type: 'integer', minimum: 2 },
    'breaking',
    'additive',
  ),
  ...both(
    'a lower maximum',
    { type: 'integer', maximum: 9 },
    { type: 'integer', maximum: 8 },
    'breaking',
    'additive',
  ),
  ...both('a first pattern', text, { ...text, pattern: '^a' }, 'breaking', 'additive'),
  ...both('another pattern', { ...text, pattern: '^a' }, { ...text, pattern: '^b' }, 'breaking', 'breaking'),
  ...both('a pattern no more', { ...text, pattern: '^a' }, text, 'additive', 'breaking'),
  ...both(
    'fewer items',
    { type: 'array', items: text },
    { type: 'array', items: text, maxItems: 1 },
    'breaking',
    'additive',
  ),
  ...both(
    'items of another type',
    { type: 'array', items: text },
    { type: 'array', items: { type: 'integer' } },
    'breaking',
    'breaking',
  ),
  ...both(
    'one alternative more',
    { anyOf: [text] },
    { anyOf: [text, { type: 'integer' }] },
    'additive',
    'breaking',
  ),
  ...both(
    'one alternative less',
    { anyOf: [text, { type: 'integer' }] },
    { anyOf: [text] },
    'breaking',
    'additive',
  ),
  ...both('another default', { ...text, default: 'a' }, { ...text, default: 'b' }, 'breaking', 'additive'),
  ...both('a default no more', { ...text, default: 'a' }, text, 'breaking', 'additive'),
  ...both('a first default', text, { ...text, default: 'a' }, 'additive', 'additive'),
  ...both(
    'another default of many members',
    { type: 'object', default: { a: 1 } },
    { type: 'object', default: { a: 2 } },
    'breaking',
    'additive',
  ),
  ...both(
    'another description',
    { ...text, description: 'a' },
    { ...text, description: 'b' },
    'docs',
    'docs',
  ),
  ...both('another example', { ...text, examples: ['a'] }, { ...text, examples: ['b'] }, 'docs', 'docs'),
  ...both('a deprecated schema', text, { ...text, deprecated: true }, 'additive', 'additive'),
  {
    name: 'a member called "default" with another type',
    level: 'breaking',
    before: sends(object({ default: text })),
    after: sends(object({ default: { type: 'integer' } })),
  },
  {
    name: 'unknown members refused',
    level: 'breaking',
    before: sends({ type: 'object' }),
    after: sends({ type: 'object', additionalProperties: false }),
  },
  {
    name: 'a body that became required',
    level: 'breaking',
    before: sends(text),
    after: sends(text, { required: true }),
  },
  { name: 'a body no more', level: 'breaking', before: sends(text), after: {} },
  {
    name: 'a new optional parameter',
    level: 'additive',
    before: asks(query('b')),
    after: asks(query('b'), query('a')),
  },
  {
    name: 'a new required parameter',
    level: 'breaking',
    before: asks(query('b')),
    after: asks(query('b'), query('a', { required: true })),
  },
  {
    name: 'a parameter that became required',
    level: 'breaking',
    before: asks(query('a')),
    after: asks(query('a', { required: true })),
  },
  {
    name: 'a removed parameter',
    level: 'breaking',
    before: asks(query('a'), query('b')),
    after: asks(query('b')),
  },
  { name: 'a renamed parameter', level: 'breaking', before: asks(query('a')), after: asks(query('b')) },
  {
    name: 'a parameter written in another way',
    level: 'breaking',
    before: asks(query('a', { style: 'form', explode: false })),
    after: asks(query('a', { style: 'form', explode: true })),
  },
  {
    name: 'a parameter of another type',
    level: 'breaking',
    before: asks(query('a')),
    after: asks(query('a', { schema: { type: 'integer' } })),
  },
  {
    name: 'a new response header',
    level: 'additive',
    before: header('A'),
    after: {
      responses: {
        200: {
          description: 'd',
          headers: { ...header('A').responses[200].headers, B: { description: 'd', schema: text } },
        },
      },
    },
  },
  {
    name: 'a removed response header',
    level: 'breaking',
    before: header('A'),
    after: { responses: { 200: { description: 'd' } } },
  },
  {
    name: 'another status of success',
    level: 'breaking',
    before: { responses: { 200: { description: 'd' } } },
    after: { responses: { 201: { description: 'd' } } },
  },
  {
    name: 'a new error code',
    level: 'additive',
    before: refuses({ 409: ['a'] }),
    after: refuses({ 409: ['a', 'b'] }),
  },
  {
    name: 'a first error of a status',
    level: 'additive',
    before: refuses({}),
    after: refuses({ 409: ['a'] }),
  },
  {
    name: 'a removed error code',
    level: 'additive',
    before: refuses({ 409: ['a', 'b'] }),
    after: refuses({ 409: ['a'] }),
  },
  {
    name: 'a removed status of errors',
    level: 'additive',
    before: refuses({ 409: ['a'] }),
    after: refuses({}),
  },
  {
    name: 'an error code with another status',
    level: 'breaking',
    before: refuses({ 409: ['a'], 422: ['b'] }),
    after: refuses({ 409: [], 422: ['b', 'a'] }),
    says: /`a` came with the status 409 and comes with 422/,
  },
  {
    name: 'another credential',
    level: 'breaking',
    before: { security: [{ key: [] }] },
    after: { security: [{ token: [] }] },
  },
  {
    name: 'one credential more',
    level: 'additive',
    before: { security: [{ key: [] }] },
    after: { security: [{ key: [] }, { token: [] }] },
  },
  {
    name: 'a credential where none was needed',
    level: 'breaking',
    before: { security: [] },
    after: { security: [{ key: [] }] },
  },
  {
    name: 'another scope',
    level: 'breaking',
    before: { 'x-required-scope': 'a:read' },
    after: { 'x-required-scope': 'b:read' },
  },
  { name: 'a first scope', level: 'breaking', before: {}, after: { 'x-required-scope': 'a:read' } },
  { name: 'a scope no more', level: 'additive', before: { 'x-required-scope': 'a:read' }, after: {} },
  {
    name: 'another operation id',
    level: 'breaking',
    before: { operationId: 'a_b' },
    after: { operationId: 'a_c' },
  },
  { name: 'a deprecated operation', level: 'additive', before: {}, after: { deprecated: true } },
  { name: 'another summary', level: 'docs', before: { summary: 'a' }, after: { summary: 'b' } },
  { name: 'another sample', level: 'docs', before: sample('a'), after: sample('b') },
  { name: 'a first sample', level: 'docs', before: {}, after: sample('b') },
  { name: 'nothing', level: 'none', before: sends(object({ a: text })), after: sends(object({ a: text })) },
]

function sample(source: string) {
  return { 'x-codeSamples': [{ lang: 'Shell', label: 'curl', source }] }
}

/** A document with a path for each case. */
const documentOf = (side: 'before' | 'after') =>
  documentWith(
    Object.fromEntries(
      cases.map((one, index) => [
        `/case-${index}`,
        { post: { operationId: `case_${index}`, responses: { 200: { description: 'd' } }, ...one[side] } },
      ]),
    ),
  )

// Documents of fewer parts than ours; Redocly reads them, and nothing else looks at what they lack.
const documentWith = (paths: object, components: object = {}): Document =>
  ({
    openapi: '3.1.1',
    info: { title: 't', version: '1.0.0' },
    paths,
    components: {
      securitySchemes: { key: { type: 'http', scheme: 'bearer' }, token: { type: 'http', scheme: 'basic' } },
      ...components,
    },
  }) as unknown as Document

describe('one change', () => {
  let changes: Change[]
  beforeAll(async () => {
    changes = await compare(documentOf('before'), documentOf('after'))
  })

  test.each(cases.map((one, index) => ({ ...one, index })))('$name is $level', ({ level, index, says }) => {
    const found = changes.filter(({ place }) => place.endsWith(` /case-${index}`))
    // The gravest counts: a member that is renamed is also one that is new.
    const order: Level[] = ['breaking', 'additive', 'docs']
    expect(order.find((one) => found.some((change) => change.level === one)) ?? 'none').toBe(level)
    if (says) expect(found.map(({ message }) => message).join()).toMatch(says)
  })
})

describe('a change of the released document', async () => {
  const ours: Document = JSON.parse(
    await readFile(new URL('../../openapi/openapi.json', import.meta.url), 'utf8'),
  )
  const changed = async (change: (document: Document) => void) => {
    const copy = structuredClone(ours)
    change(copy)
    return compare(ours, copy)
  }
  const property = ({ components }: Document, schema: string, name: string): Schema => {
    const found = components.schemas[schema]?.properties?.[name]
    if (!found) throw new Error(`The document has no ${schema}.${name}`)
    return found
  }

  test('is none when only the version differs', async () => {
    expect(
      await changed((document) => {
        document.info.version = '9.9.9'
      }),
    ).toEqual([])
  })

  test('is told by the operation or by the schema it is in', async () => {
    const changes = await changed((document) => {
      delete document.paths['/healthz']
      property(document, 'CreateAction', 'name').maxLength = 5
      property(document, 'Action', 'status').enum?.push('resting')
      // Sent and answered under one name.
      Object.assign(document.components.schemas.Metadata ?? {}, { maxProperties: 3 })
      Object.assign(document.paths['/api/v1/actions']?.get ?? {}, { summary: 'All actions' })
    })
    expect(changes).toEqual(
      expect.arrayContaining([
        { level: 'breaking', place: '/healthz', message: 'Path `/healthz` was removed.' },
        expect.objectContaining({
          level: 'breaking',
          place: 'CreateAction',
          message: expect.stringMatching(/^name: .*255.*5/),
        }),
        expect.objectContaining({
          level: 'breaking',
          place: 'Metadata',
          message: expect.stringContaining('maxProperties'),
        }),
        expect.objectContaining({
          level: 'additive',
          place: 'Action',
          message: expect.stringContaining('resting'),
        }),
        { level: 'docs', place: 'GET /api/v1/actions', message: '`summary` changed.' },
      ]),
    )
  })

  test('is seen where all that changed is inside an example', async () => {
    const changes = await changed(({ components }) => {
      const examples = components.responses.NotFoundError?.content?.['application/json'].examples
      Object.assign((examples?.not_found?.value ?? {}) as Record<string, Json>, { message: 'Gone' })
    })
    expect(changes).toEqual([expect.objectContaining({ level: 'docs' })])
  })

  test('breaks those who use a schema by its name, unless it is named after error codes', async () => {
    const renamed = (from: string, to: string) =>
      compare(ours, JSON.parse(JSON.stringify(ours).replaceAll(new RegExp(`\\b${from}"`, 'g'), `${to}"`)))
    expect(await renamed('CreateToken', 'NewToken')).toMatchObject([
      { level: 'breaking', message: expect.stringContaining('`CreateToken`') },
    ])
    const levels = (await renamed('NotFoundError', 'NotFoundOrGoneError')).map(({ level }) => level)
    expect(new Set(levels)).toEqual(new Set(['docs']))
  })

  test('breaks the types when a path parameter has another name', async () => {
    const changes = await changed((document) => {
      const { '/api/v1/audit/{id}': path = {}, ...others } = document.paths
      const renamed = JSON.parse(JSON.stringify(path).replace('"name":"id"', '"name":"event_id"'))
      document.paths = { ...others, '/api/v1/audit/{event_id}': renamed }
    })
    expect(changes).toContainEqual(
      expect.objectContaining({ level: 'breaking', message: expect.stringContaining('event_id') }),
    )
  })
})

describe('npm run api:diff', () => {
  let folder: string
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'api-diff-test-'))
  })
  afterAll(() => rm(folder, { recursive: true }))

  const base = documentWith({
    '/a': { get: { operationId: 'a_get', responses: { 200: { description: 'd' } } } },
  })
  const additive = documentWith({
    ...base.paths,
    '/b': { get: { operationId: 'b_get', responses: { 200: { description: 'd' } } } },
  })
  const breaking = documentWith({ '/b': additive.paths['/b'] ?? {} })

  const put = async (path: string, content: string) => {
    await mkdir(dirname(join(folder, path)), { recursive: true })
    await writeFile(join(folder, path), content)
  }
  const main = fileURLToPath(new URL('../../openapi/src/diff/main.ts', import.meta.url))
  const run = (...args: string[]) =>
    promisify(execFile)(process.execPath, [main, ...args], { cwd: folder }).then(
      ({ stdout }) => ({ code: 0, stdout, stderr: '' }),
      ({ code, stdout, stderr }: { code: number; stdout: string; stderr: string }) => ({
        code,
        stdout,
        stderr,
      }),
    )
  const arrange = async (version: string, announced: string | null, document: Document) => {
    await rm(join(folder, '.changeset'), { recursive: true, force: true })
    for (const name of ['openapi', 'sdk']) {
      await put(`${name}/package.json`, JSON.stringify({ name: `@narrowapi/${name}`, version }))
    }
    await put('.changeset/config.json', '{}')
    if (announced) {
      const releases = `'@narrowapi/openapi': ${announced}\n'@narrowapi/sdk': ${announced}`
      await put('.changeset/some-change.md', `---\n${releases}\n---\n\nChange something.\n`)
    }
    await put('openapi/openapi.json', JSON.stringify(document))
  }

  test('takes everything for new before the first release, and wants it announced', async () => {
    await arrange('0.0.0', null, base)
    expect(await run()).toMatchObject({ code: 1, stderr: expect.stringContaining('@narrowapi/sdk 0.0.0') })
    await arrange('0.0.0', 'minor', base)
    expect(await run()).toMatchObject({ code: 0, stdout: expect.stringContaining('Nothing was released') })
  })

  test('passes or fails as the pending changesets say', async () => {
    await arrange('1.0.0', null, base)
    expect(await run('--release')).toMatchObject({ code: 0 })
    expect(await run()).toEqual({ code: 0, stdout: 'The document is the released one.\n', stderr: '' })

    await arrange('1.0.0', 'minor', additive)
    expect(await run()).toMatchObject({
      code: 0,
      stdout: expect.stringMatching(/^Additive \(1\)\n {2}\/b\n/),
    })
    await arrange('1.0.0', 'patch', additive)
    expect(await run()).toMatchObject({ code: 1, stderr: expect.stringContaining('at least minor') })

    await arrange('1.0.0', 'minor', breaking)
    const { code, stdout, stderr } = await run()
    expect({ code, stdout }).toMatchObject({ code: 1, stdout: expect.stringMatching(/^Breaking/) })
    expect(stderr).toContain('@narrowapi/openapi 1.0.0 needs a changeset of at least major')
    await arrange('1.0.0', 'major', breaking)
    expect(await run()).toMatchObject({ code: 0 })
    await arrange('0.3.0', 'minor', breaking)
    expect(await run()).toMatchObject({ code: 0 })
  })
})
