import { execFile } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { contract, errorCodes, honoursIdempotencyKey, raisedBy, routesOf } from '@narrowapi/contract'
import { Ajv2020 } from 'ajv/dist/2020.js'
import ajvFormats from 'ajv-formats'
import { expect, test } from 'vitest'
import { toDocument } from '../../openapi/src/document.ts'
import { errorCodesOf } from '../../openapi/src/error-schemas.ts'
import {
  type Content,
  nameOf,
  operationsOf,
  type Parameter,
  type Response,
  resolve,
  type Schema,
} from '../../openapi/src/openapi.ts'
import { toPublished } from '../../openapi/src/published.ts'

const document = toDocument(contract, '0.0.0')
const operations = operationsOf(document)
const cwd = fileURLToPath(new URL('../../', import.meta.url))
// Linters of other people's making, kept from calling home.
const env = {
  ...process.env,
  REDOCLY_TELEMETRY: 'off',
  REDOCLY_SUPPRESS_UPDATE_NOTICE: 'true',
  REDOCLY_SUPPRESS_NOTIFICATIONS: 'true',
}
const run = (tool: string, args: string[]) =>
  promisify(execFile)(`${cwd}node_modules/.bin/${tool}`, args, { cwd, env })

test('passes the strict rules of Redocly', async () => {
  const lint = run('redocly', [
    'lint',
    'openapi/openapi.json',
    '--config=openapi/redocly.yaml',
    '--format=json',
  ])
  expect(JSON.parse((await lint).stdout).totals).toMatchObject({ errors: 0, warnings: 0 })
})

test('passes the OpenAPI rules of Spectral without a warning', async () => {
  const lint = run('spectral', ['lint', 'openapi/openapi.json', '-r', 'openapi/.spectral.yaml', '-F', 'hint'])
  expect((await lint).stdout).toContain('No results')
})

test('is the same text every time', () => {
  expect(JSON.stringify(toDocument(contract, '0.0.0'))).toBe(JSON.stringify(document))
})

test('has every route of the contract, and nothing else', () => {
  const declared = routesOf(contract).map(({ noun, name }) => `${noun}_${name}`)
  expect(operations.map(({ operation }) => operation.operationId).sort()).toEqual(declared.sort())
})

test('says of every operation what it is, who may use it and how it may be refused', () => {
  for (const { noun, name, route } of routesOf(contract)) {
    const { operation } = operationNamed(`${noun}_${name}`)
    const { scope, auth = 'key' } = route.metadata
    expect(operation).toMatchObject({ summary: route.summary, tags: [noun] })
    expect(operation.description).toContain(route.description ?? 'a description')
    expect(operation.security).toEqual(
      { key: [{ apiKey: [] }], token: [{ executionToken: [] }], none: [] }[auth],
    )
    expect(operation['x-required-scope'] ?? null).toBe(scope)
    if (scope) expect(operation.description).toContain(scope)
    for (const code of raisedBy(route)) {
      const answer = resolve(document, operation.responses[errorCodes[code].status] ?? { $ref: code })
      const { $ref = '' } = answer.content?.['application/json'].schema ?? {}
      expect(errorCodesOf(document.components.schemas[nameOf($ref)])).toContain(code)
      expect(answer.content?.['application/json'].examples).toHaveProperty(code)
    }
  }
})

test('describes every parameter and every field', () => {
  const undescribed = [
    ...operations.flatMap(({ operation }) =>
      parametersOf(operation)
        .filter(({ description }) => !description)
        .map(({ name }) => `${operation.operationId} ${name}`),
    ),
    ...Object.entries(document.components.schemas).flatMap(([name, schema]) =>
      undescribedFields(schema, name),
    ),
  ]
  expect(undescribed).toEqual([])
})

test.each([
  { name: 'the strict document', described: document },
  { name: 'the published document', described: toPublished(document) },
])('gives examples that fit their schemas in $name', ({ described }) => {
  const ajv = new Ajv2020({ strict: false, allErrors: true })
  ajvFormats.default(ajv)
  ajv.addSchema({ $id: 'document', components: { schemas: described.components.schemas } })
  const validate = ({ 'application/json': { schema, examples } }: Content, place: string) => {
    const absolute = JSON.parse(JSON.stringify(schema).replaceAll('"#/', '"document#/'))
    expect(Object.keys(examples), place).not.toEqual([])
    for (const [name, { value }] of Object.entries(examples)) {
      expect(ajv.validate(absolute, value) ? [] : ajv.errors, `${place} ${name}`).toEqual([])
    }
  }
  for (const { operation } of operationsOf(described)) {
    if (operation.requestBody) validate(operation.requestBody.content, operation.operationId)
    for (const [status, response] of Object.entries(operation.responses)) {
      const { content } = resolve(described, response)
      if (content) validate(content, `${operation.operationId} ${status}`)
    }
  }
})

test('gives examples that say something', () => {
  // What the generator writes where it knows nothing better.
  expect(JSON.stringify(document)).not.toMatch(/:"text"|\["text"\]/)
})

test('refuses unknown fields in requests and allows them in answers', () => {
  const { CreateAction, Action } = document.components.schemas
  expect(CreateAction).toHaveProperty('additionalProperties', false)
  expect(Action).not.toHaveProperty('additionalProperties')
})

test('names the two sides of a schema apart only where they differ', () => {
  const names = Object.keys(document.components.schemas)
  expect(names).toEqual(expect.arrayContaining(['Annotations', 'AnnotationsInput', 'Metadata']))
  expect(names).not.toContain('MetadataInput')
})

test('asks for a body only where a field is required', () => {
  expect(operationNamed('actions_create').operation.requestBody?.required).toBe(true)
  expect(operationNamed('actions_update').operation.requestBody?.required).toBe(false)
  expect(operationNamed('x_execute').operation.requestBody?.required).toBe(false)
})

test('writes lists and maps of the query as generators understand them', () => {
  const query = parametersOf(operationNamed('actions_list').operation)
  expect(query.find(({ name }) => name === 'fields')).toMatchObject({
    style: 'form',
    explode: false,
    schema: { type: 'array', uniqueItems: true },
  })
  expect(query.find(({ name }) => name === 'metadata')).toMatchObject({ style: 'deepObject', explode: true })
})

test('declares the limits, the repetition and the waiting of every answer', () => {
  for (const { noun, name, route } of routesOf(contract)) {
    const { operation } = operationNamed(`${noun}_${name}`)
    const { auth = 'key' } = route.metadata
    const names = parametersOf(operation).map((parameter) => parameter.name)
    expect(names.includes('Idempotency-Key'), operation.operationId).toBe(honoursIdempotencyKey(route))
    for (const [status, response] of Object.entries(operation.responses)) {
      const { headers = {} } = resolve<Response>(document, response)
      const place = `${operation.operationId} ${status}`
      const has = (...expected: string[]) =>
        expect(Object.keys(headers), place).toEqual(expect.arrayContaining(expected))
      has('X-Request-ID')
      if (auth !== 'none')
        has(
          'X-RateLimit-Limit',
          'X-RateLimit-Remaining',
          'X-RateLimit-Reset',
          'RateLimit',
          'RateLimit-Policy',
        )
      if (status.startsWith('2') && honoursIdempotencyKey(route)) has('Idempotent-Replayed')
      if (status === '201') has('Location')
      if (status === '401') has('WWW-Authenticate')
      if (status === '429' || status === '503') has('Retry-After')
    }
  }
})

test('declares the headers each kind of answer has', () => {
  const created = resolve(
    document,
    operationNamed('actions_create').operation.responses['201'] ?? { $ref: '' },
  )
  expect(Object.keys(created.headers ?? {})).toEqual(
    expect.arrayContaining(['X-Request-ID', 'X-RateLimit-Limit', 'RateLimit', 'ETag', 'Location']),
  )
  const { responses } = operationNamed('x_execute').operation
  const upstream = resolve(document, responses.default ?? { $ref: '' })
  expect(Object.keys(upstream.headers ?? {})).toEqual(
    expect.arrayContaining(['X-Execution-ID', 'X-Upstream-Status']),
  )
  const limited = resolve(document, responses['429'] ?? { $ref: '' })
  expect(Object.keys(limited.headers ?? {})).toEqual(
    expect.arrayContaining(['Retry-After', 'X-NarrowAPI-Error']),
  )
  const healthy = resolve(document, operationNamed('health_live').operation.responses['200'] ?? { $ref: '' })
  expect(Object.keys(healthy.headers ?? {})).toEqual(['X-Request-ID'])
})

const operationNamed = (id: string) => {
  const found = operations.find(({ operation }) => operation.operationId === id)
  if (!found) throw new Error(`The document has no ${id}`)
  return found
}

const parametersOf = (operation: (typeof operations)[number]['operation']): Parameter[] =>
  operation.parameters.map((parameter) => resolve<Parameter>(document, parameter))

const undescribedFields = (schema: Schema, place: string): string[] => [
  ...Object.entries(schema.properties ?? {}).flatMap(([name, field]) => [
    ...(field.description || nameOfRef(field) ? [] : [`${place}.${name}`]),
    ...undescribedFields(field, `${place}.${name}`),
  ]),
  ...[schema.items ?? [], schema.oneOf ?? [], schema.anyOf ?? []]
    .flat()
    .flatMap((part) => undescribedFields(part, place)),
]

/** A field without words of its own is described by the schema it refers to. */
const nameOfRef = ({ $ref, anyOf }: Schema): string | undefined =>
  $ref ?? anyOf?.find((part) => part.$ref)?.$ref
