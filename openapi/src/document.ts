import { type ContractRoute, ErrorBody, routesOf } from '@narrowapi/contract'
import type { AppRouter } from '@ts-rest/core'
import { generateOpenApi } from '@ts-rest/open-api'
import type { z } from 'zod'
import { info, securitySchemes, servers } from './about.ts'
import { shareErrorShape } from './error-schemas.ts'
import { withExamples } from './examples.ts'
import { errorHeadersOf, headers, parameters, requestHeadersOf, successHeadersOf } from './headers.ts'
import { nouns } from './nouns.ts'
import type { Document, Operation, Parameter, Reference, Response, Schema } from './openapi.ts'
import { toQueryParameter } from './query.ts'
import { createSchemas } from './schemas.ts'

/**
 * The OpenAPI document of a contract. ts-rest walks the routes and their parameters and writes a 3.0 document
 * around our schemas; everything it leaves open (security, headers, shared errors, examples) is added here,
 * which makes it a 3.1 document. The same contract always gives the same text.
 */
export const toDocument = (contract: AppRouter, version: string): Document => {
  const schemas = createSchemas()
  const errors = createErrorResponses()
  const generated = generateOpenApi(
    contract,
    { info: { title: info.title, version } },
    {
      setOperationId: 'concatenated-path',
      // Its type is that of OpenAPI 3.0, where `type` is not a list; nothing it does looks at that.
      schemaTransformer: ({ schema, type }) =>
        (isSchema(schema)
          ? schemas.toSchema(schema, type === 'response' ? 'output' : 'input')
          : null) as never,
      // Every route of the contract comes from `group`, which requires the metadata.
      operationMapper: (operation, route) =>
        toOperation(operation as Generated, route as ContractRoute, errors.refOf) as never,
    },
  )
  schemas.toSchema(ErrorBody, 'output')
  const settled = schemas.settle({
    paths: generated.paths as Document['paths'],
    responses: errors.responses,
  })
  return withExamples({
    openapi: '3.1.1',
    info: { ...info, version },
    servers,
    tags: [...new Set(routesOf(contract).map(({ noun }) => noun))].map(toTag),
    paths: settled.value.paths,
    components: {
      securitySchemes,
      parameters,
      headers,
      responses: sortByKey(settled.value.responses),
      schemas: shareErrorShape(settled.schemas),
    },
  })
}

/** What ts-rest makes of a route: parameters, a body and answers without headers, examples or meaning. */
type Generated = {
  operationId: string
  tags: [string]
  summary?: string
  description?: string
  deprecated?: boolean
  parameters: Parameter[]
  requestBody?: { content: GeneratedContent }
  responses: Record<string, { content?: GeneratedContent }>
}
type GeneratedContent = { 'application/json': { schema: Schema } }

type RefOf = (route: ContractRoute, status: number, schema: Schema) => Reference

const isSchema = (value: unknown): value is z.ZodType =>
  typeof value === 'object' && value !== null && '_zod' in value

const toOperation = (generated: Generated, route: ContractRoute, refOf: RefOf): Operation => {
  const { scope, auth = 'key' } = route.metadata
  const { summary = '', description = '' } = route
  const needs = scope ? ` Needs the scope \`${scope}\`.` : ''
  const body = generated.requestBody?.content['application/json'].schema
  return {
    operationId: generated.operationId.replace('.', '_'),
    tags: generated.tags,
    summary,
    description: description + needs,
    security: securityOf[auth],
    ...(scope && { 'x-required-scope': scope }),
    ...(generated.deprecated && { deprecated: true }),
    parameters: [...generated.parameters.map(toParameter), ...requestHeadersOf(route)],
    ...(body && { requestBody: toRequestBody(body, route) }),
    responses: responsesOf(generated, route, refOf),
  }
}

const securityOf = { key: [{ apiKey: [] }], token: [{ executionToken: [] }], none: [] } satisfies Record<
  string,
  Record<string, []>[]
>

const toParameter = ({ name, in: place, description, required, schema }: Parameter): Parameter => {
  const parameter: Parameter = {
    name,
    in: place,
    description: description ?? '',
    ...(required && { required }),
    schema,
  }
  return place === 'query' ? toQueryParameter(parameter) : parameter
}

/** A body is required only where some field is. */
const toRequestBody = (schema: Schema, { body }: ContractRoute & { body?: unknown }) => {
  const required = isSchema(body) && !body.safeParse({}).success
  return {
    description: required ? 'A JSON object' : 'A JSON object; an absent body counts as `{}`',
    required,
    content: { 'application/json': { schema, examples: {} } },
  }
}

const responsesOf = (
  { responses }: Generated,
  route: ContractRoute,
  refOf: RefOf,
): Operation['responses'] => {
  const all = Object.entries(responses).map(([code, { content }]): [string, Response | Reference] => {
    const status = Number(code)
    const schema = content?.['application/json'].schema
    if (status >= 400 && schema) return [code, refOf(route, status, schema)]
    return [code, toSuccess(route, status, schema)]
  })
  if (route.metadata.edge) all.push(['default', toUpstreamAnswer(route, responses['200']?.content)])
  return Object.fromEntries(all)
}

const descriptions: Record<number, string> = { 200: 'Done', 201: 'Created', 204: 'Done; there is no body' }

const toSuccess = (route: ContractRoute, status: number, schema: Schema | undefined): Response => ({
  description: descriptions[status] ?? 'Done',
  headers: successHeadersOf(route, status),
  ...(schema && { content: { 'application/json': { schema, examples: {} } } }),
})

const toUpstreamAnswer = (route: ContractRoute, content: GeneratedContent | undefined): Response => ({
  ...toSuccess(route, 200, content?.['application/json'].schema),
  description: 'An upstream answer passed through with its own status; `X-NarrowAPI-Error` is absent',
})

/**
 * Error answers as components, one for each set of codes and kind of route: answers to token holders carry
 * other headers than answers to keys, and open routes carry neither limits nor challenges.
 */
const createErrorResponses = () => {
  const responses: Record<string, Response> = {}
  const prefixes = { key: '', token: 'Token', none: 'Open' }
  const refOf: RefOf = (route, status, schema) => {
    const id = /(\w+)@/.exec(schema.$ref ?? '')?.[1]
    if (!id) throw new Error('An error schema of the contract has no id')
    const name = `${prefixes[route.metadata.auth ?? 'key']}${id}`
    responses[name] ??= {
      description: titleOf(route.responses[status]),
      headers: errorHeadersOf(route, status),
      content: { 'application/json': { schema, examples: {} } },
    }
    return { $ref: `#/components/responses/${name}` }
  }
  return { responses, refOf }
}

const titleOf = (schema: unknown): string => (isSchema(schema) ? schema.description : undefined) ?? 'Refused'

const toTag = (noun: string): Document['tags'][number] => {
  const known = nouns[noun as keyof typeof nouns]
  // A contract with other nouns, as in a test, has only their names.
  return { name: noun, 'x-displayName': known?.title ?? noun, description: known?.description ?? noun }
}

const sortByKey = <T>(record: Record<string, T>): Record<string, T> =>
  Object.fromEntries(Object.entries(record).sort(([a], [b]) => (a < b ? -1 : 1)))
