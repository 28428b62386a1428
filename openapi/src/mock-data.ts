import { type ContractRoute, routesOf } from '@narrowapi/contract'
import type { AppRouter } from '@ts-rest/core'
import { exampleOf } from './examples.ts'
import { mapValues } from './map-values.ts'
import { type Method, toMethods } from './methods.ts'
import { type Document, type Json, nameOf, type Operation, operationsOf, type Schema } from './openapi.ts'
import { toParts } from './parts.ts'
import { toRouteTable } from './route-table.ts'
import type { Schemas } from './schemas.ts'

/**
 * What `@narrowapi/sdk/testing` knows of the API: how each operation is asked and answered, the schemas that
 * requests are checked with, and an object of each kind to begin from. It must come from the strict document.
 */
export const printMockData = (contract: AppRouter, document: Document): string => {
  const { schemas } = document.components
  const found = new Map(operationsOf(document).map((one) => [`${one.noun}.${one.name}`, one]))
  const described = routesOf(contract).map(({ noun, name, route }) => {
    const id = `${noun}.${name}`
    const one = found.get(id)
    if (!one) throw new Error(`The document has no ${id}`)
    const { path, operation } = one
    const answer = answerOf(operation, schemas)
    return { id, answer, row: rowOf(route, path, operation, schemas), input: inputOf(operation) }
  })
  const needed = reachable(
    described.map(({ input }) => input),
    schemas,
  )
  const inputs = described.map(({ id, input }) => [`'${id}'`, input] as const)
  const answers = [...new Set(described.flatMap(({ answer }) => answer?.name ?? []))].sort()
  const blanks = answers.map((name) => [name, blankOf({ $ref: name }, schemas, '')] as const)
  // What became of JSON is JSON.
  const { constants, print } = toParts([...inputs, ...needed, ...blanks].map(([, value]) => value as Json))
  const members = (entries: readonly (readonly [string, unknown])[]): string =>
    entries.map(([name, value]) => `  ${name}: ${print(value as Json)},\n`).join('')
  const methods = new Map(
    toMethods(document, toRouteTable(contract)).map((one) => [`${one.noun}.${one.name}`, one]),
  )
  const shapes = described.map(({ id, row }) => `  '${id}': ${shapeOf(row, methods.get(id))}\n`)
  // Of the names in those, two are not interfaces of the API.
  const named = new Set(shapes.join('').match(/\b[A-Z]\w+/g))
  for (const own of ['Fields', 'PageData']) named.delete(own)
  return `import type {
${[...named]
  .sort()
  .map((name) => `  ${name},\n`)
  .join('')}} from '../../generated/client.ts'
import type { Fields } from '../../types.ts'
import type { OperationRow, PageData, Schema } from '../schema.ts'

/** Where each operation is, what it takes and what a success of it holds. */
export interface OperationShapes {
${shapes.join('')}}

/** Every operation of the API, as the mock serves it. */
export const operations: { readonly [Name in keyof OperationShapes]: OperationRow } = {
${described.map(({ id, row: { query, body, ...row } }) => `  '${id}': ${JSON.stringify(row)},\n`).join('')}}

// What stands in several of the following.
${constants}

/** What each operation takes; a member that is absent is not taken at all. */
export const inputs: { readonly [name: string]: { readonly query?: Schema; readonly body?: Schema } } = {
${members(inputs)}}

/** The schemas that others refer to. */
export const schemas: { readonly [name: string]: Schema } = {
${members(needed)}}

/** An object of each kind before anything was said about it: empty where that is allowed, else the example. */
export const blanks: { readonly [name: string]: object } = {
${members(blanks)}}
`
}

type Row = ReturnType<typeof rowOf>

const shapeOf = ({ path, query, body, paged }: Row, method: Method | undefined): string => {
  const { parameters = [], answered = 'void' } = method ?? {}
  // What stands before the options: path parameters first, then a query or a body if the route takes one.
  const taken = parameters.at(-2)?.type.replace('<F>', `<Fields<${answered}>>`)
  const input = query ? `query: ${taken}; ` : body ? `body: ${taken}; ` : ''
  const data = answered === 'void' ? 'undefined' : paged ? `PageData<${answered}>` : answered
  const names = [...path.matchAll(/\{(\w+)\}/g)].map(([, name]) => `'${name}'`)
  const params = names.length > 0 ? `params: ${names.join(' | ')}; ` : ''
  return `{ ${params}${input}data: ${data} }`
}

const rowOf = (route: ContractRoute, path: string, operation: Operation, schemas: Schemas) => {
  const { auth, scope, audit, versioned, raises } = route.metadata
  const answer = answerOf(operation, schemas)
  const status = Object.keys(operation.responses).find((one) => one < '300') ?? '200'
  return {
    method: route.method,
    path,
    ...(auth && auth !== 'key' && { auth }),
    ...(scope && { scope }),
    ...(audit && { audit }),
    ...(status !== '200' && { status: Number(status) }),
    ...(answer && { answer: answer.name }),
    ...(answer?.isList && { paged: true }),
    ...(operation.parameters.some((one) => 'in' in one && one.in === 'query') && { query: true as const }),
    ...(operation.requestBody &&
      takesFields(operation.requestBody.content['application/json'].schema, schemas) && {
        body: true as const,
      }),
    ...(versioned && { versioned: true }),
    ...(raises && { raises }),
  }
}

const takesFields = (schema: Schema, schemas: Schemas): boolean => {
  const named = (schema.$ref && schemas[nameOf(schema.$ref)]) || schema
  return named.additionalProperties !== false || Object.keys(named.properties ?? {}).length > 0
}

/** The name of what a success holds, or of the objects of its page. */
const answerOf = (operation: Operation, schemas: Schemas): { name: string; isList: boolean } | null => {
  const [response] = Object.entries(operation.responses).flatMap(([status, one]) =>
    status < '300' && 'content' in one ? [one] : [],
  )
  const ref = response?.content?.['application/json'].schema.$ref
  if (!ref) return null
  const properties = schemas[nameOf(ref)]?.properties
  const item = properties?.next_cursor && properties.data?.items?.$ref
  return { name: nameOf(item ?? ref), isList: item !== undefined }
}

const inputOf = ({ parameters, requestBody }: Operation): { query?: Schema; body?: Schema } => {
  const query = parameters.flatMap((one) => ('in' in one && one.in === 'query' ? [one] : []))
  const needed = query.flatMap(({ name, required }) => (required ? [name] : []))
  return {
    ...(query.length > 0 && {
      query: {
        type: 'object',
        properties: Object.fromEntries(
          // Which fields there are to choose from, the blanks say.
          query.map(({ name, schema }) => [name, name === 'fields' ? { type: 'array' } : bare(schema)]),
        ),
        ...(needed.length > 0 && { required: needed }),
      },
    }),
    ...(requestBody && { body: bare(requestBody.content['application/json'].schema) }),
  }
}

/** A schema without what only readers need. */
const bare = (schema: Schema): Schema => {
  const { description: _, examples: __, $ref, properties, items, additionalProperties, ...rest } = schema
  const all = (parts: readonly Schema[]) => parts.map(bare)
  return {
    ...rest,
    ...($ref && { $ref: nameOf($ref) }),
    ...(properties && { properties: mapValues(properties, bare) }),
    ...(items && { items: bare(items) }),
    ...(typeof additionalProperties === 'object' && { additionalProperties: bare(additionalProperties) }),
    // An object with members is closed to the mock unless it is said to be open.
    ...(properties && additionalProperties === undefined && { additionalProperties: true }),
    ...(!properties && additionalProperties === false && { additionalProperties: false }),
    ...(rest.propertyNames && { propertyNames: bare(rest.propertyNames) }),
    ...(rest.anyOf && { anyOf: all(rest.anyOf) }),
    ...(rest.oneOf && { oneOf: all(rest.oneOf) }),
    ...(rest.allOf && { allOf: all(rest.allOf) }),
  }
}

/** Every schema that something refers to, directly or through another, by name. */
const reachable = (from: unknown, schemas: Schemas): [string, Schema][] => {
  const found = new Map<string, Schema>()
  const follow = (value: unknown): void => {
    for (const [, name = ''] of JSON.stringify(value).matchAll(/"\$ref":"(\w+)"/g)) {
      const schema = schemas[name]
      if (!schema || found.has(name)) continue
      const stripped = bare(schema)
      found.set(name, stripped)
      follow(stripped)
    }
  }
  follow(from)
  return [...found].sort(([a], [b]) => (a < b ? -1 : 1))
}

const blankOf = (schema: Schema, schemas: Schemas, name: string): Json => {
  if (mayBeNull(schema)) return null
  if (schema.default !== undefined) return schema.default
  if (schema.$ref) return blankOf(schemas[nameOf(schema.$ref)] ?? {}, schemas, name)
  if (schema.type === 'array') return []
  if (schema.type !== 'object')
    return Object.keys(schema).length === 0 ? null : exampleOf(schema, schemas, name)
  const { properties, required = [], examples: [example] = [] } = schema
  if (!properties) return {}
  // What is described by an example as a whole, such as the settings of a workspace, begins as it says.
  if (example !== undefined && !required.includes('id')) return example
  return Object.fromEntries(
    Object.entries(properties)
      .filter(([key]) => required.includes(key))
      .map(([key, part]) => [key, blankOf(part, schemas, key)]),
  )
}

const mayBeNull = ({ type, anyOf = [] }: Schema): boolean =>
  (Array.isArray(type) && type.includes('null')) || anyOf.some((option) => option.type === 'null')
