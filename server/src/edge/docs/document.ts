import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

/** The part of the OpenAPI document that its pages show. */
export type Document = {
  info: { title: string; version: string; summary: string; description: string }
  tags: { name: string; 'x-displayName': string; description: string }[]
  paths: Record<string, Record<string, Operation>>
  components: Record<'parameters' | 'responses' | 'schemas', Record<string, object>> & {
    schemas: Record<string, Schema>
  }
}

export type Operation = {
  operationId: string
  tags: [string]
  summary: string
  description: string
  security: Record<string, []>[]
  'x-required-scope'?: string
  parameters: (Parameter | Reference)[]
  requestBody?: { required: boolean; content: Content }
  responses: Record<string, Response | Reference>
}

export type Parameter = { name: string; in: string; description: string; required?: boolean; schema: Schema }
export type Response = { description: string; content?: Content }
export type Content = {
  'application/json': { schema: Schema; examples: Record<string, { value: unknown }> }
}
export type Reference = { $ref: string }

export type Schema = {
  $ref?: string
  type?: string | string[]
  format?: string
  description?: string
  const?: unknown
  enum?: unknown[]
  default?: unknown
  allOf?: Schema[]
  anyOf?: Schema[]
  oneOf?: Schema[]
  items?: Schema
  properties?: Record<string, Schema>
  required?: string[]
  additionalProperties?: boolean | Schema
  minimum?: number
  maximum?: number
  minLength?: number
  maxLength?: number
  maxItems?: number
}

/** An operation with everything it refers to, ready to be shown. */
export type Entry = {
  id: string
  tag: string
  method: string
  path: string
  operation: Operation
  parameters: Parameter[]
  codes: string[]
}

const defaultUrl = 'http://127.0.0.1:3000'
const defaultErrorUrl = 'https://narrowapi.com/docs/errors#'

/** The generated document as text, speaking of this server instead of the default one. */
export const readDocument = (format: 'json' | 'yaml', publicUrl: string): string => {
  const file = fileURLToPath(import.meta.resolve(`@narrowapi/openapi/openapi.${format}`))
  const text = readFileSync(file, 'utf8')
  if (text.split(defaultUrl).length !== 2) throw new Error(`${file} does not name ${defaultUrl} exactly once`)
  return text
    .replace(defaultUrl, () => publicUrl)
    .replaceAll(defaultErrorUrl, () => `${publicUrl}/docs/errors#`)
}

/** Every operation in the order of the tags. */
export const entriesOf = (document: Document): Entry[] => {
  const entries = Object.entries(document.paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, operation]) => ({
      id: operation.operationId,
      tag: operation.tags[0],
      method: method.toUpperCase(),
      path,
      operation,
      parameters: operation.parameters.map((parameter) => follow<Parameter>(document, parameter)),
      codes: codesOf(document, operation),
    })),
  )
  return document.tags.flatMap(({ name }) => entries.filter(({ tag }) => tag === name))
}

export const nameOf = (ref: string): string => ref.slice(ref.lastIndexOf('/') + 1)

const follow = <T extends object>(document: Document, value: T | Reference): T => {
  if (!('$ref' in value)) return value
  const [kind = '', name = ''] = value.$ref.split('/').slice(-2)
  // The document passes its linters before it is committed, so what it refers to is there and of the right kind.
  return document.components[kind as 'parameters']?.[name] as T
}

const codesOf = (document: Document, { responses }: Operation): string[] =>
  Object.values(responses).flatMap((response) => {
    if (!('$ref' in response)) return []
    const { content } = follow<Response>(document, response)
    return Object.keys(content?.['application/json'].examples ?? {})
  })
