/** The part of OpenAPI 3.1 that the document uses. */

export type Json = null | boolean | number | string | readonly Json[] | { readonly [key: string]: Json }

export type Schema = {
  $ref?: string
  type?: string | string[]
  format?: string
  description?: string
  const?: Json
  enum?: Json[]
  allOf?: Schema[]
  anyOf?: Schema[]
  oneOf?: Schema[]
  properties?: Record<string, Schema>
  required?: string[]
  additionalProperties?: boolean | Schema
  propertyNames?: Schema
  items?: Schema
  default?: Json
  examples?: Json[]
  pattern?: string
  minLength?: number
  maxLength?: number
  minimum?: number
  maximum?: number
  exclusiveMinimum?: number
  minItems?: number
  maxItems?: number
  uniqueItems?: boolean
  maxProperties?: number
  deprecated?: boolean
}

export type Reference = { $ref: string }

export type Parameter = {
  name: string
  in: 'path' | 'query' | 'header'
  description: string
  required?: boolean
  style?: 'form' | 'deepObject'
  explode?: boolean
  schema: Schema
  example?: Json
}

export type Header = { description: string; required?: boolean; schema: Schema; example: Json }

export type NamedExample = { summary: string; value: Json }

export type Content = {
  'application/json': { schema: Schema; examples: Record<string, NamedExample> }
  '*/*'?: { schema: Schema }
}

export type Response = {
  description: string
  headers?: Record<string, Reference>
  content?: Content
}

export type Operation = {
  operationId: string
  tags: [string]
  summary: string
  description: string
  security: Record<string, []>[]
  'x-required-scope'?: string
  deprecated?: boolean
  parameters: (Parameter | Reference)[]
  requestBody?: { description: string; required: boolean; content: Content }
  responses: Record<string, Response | Reference>
  'x-codeSamples'?: Sample[]
}

/** A piece of code that calls the operation. */
export type Sample = { lang: string; label: string; source: string }

export type Tag = { name: string; 'x-displayName': string; description: string }

export type Document = {
  openapi: string
  info: {
    title: string
    version: string
    summary: string
    description: string
    license: { name: string; identifier: string }
    contact: { name: string; url: string }
  }
  servers: { url: string; description: string }[]
  tags: Tag[]
  paths: Record<string, Record<string, Operation>>
  components: {
    securitySchemes: Record<string, { type: 'http'; scheme: 'bearer'; description: string }>
    parameters: Record<string, Parameter>
    headers: Record<string, Header>
    responses: Record<string, Response>
    schemas: Record<string, Schema>
  }
}

/** The name a reference ends in: `#/components/schemas/Action` is `Action`. */
export const nameOf = (ref: string): string => ref.slice(ref.lastIndexOf('/') + 1)

export const schemaRef = (name: string): string => `#/components/schemas/${name}`

/** Every operation with its noun and name, which its id is made of. */
export const operationsOf = (document: Document) =>
  Object.entries(document.paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, operation]) => {
      const [noun = '', name = ''] = operation.operationId.split('_')
      return { path, method: method.toUpperCase(), operation, noun, name }
    }),
  )

/** Follows one reference into the components; anything else is its own answer. */
export const resolve = <T extends object>(document: Document, value: T | Reference): T => {
  if (!('$ref' in value) || typeof value.$ref !== 'string') return value as T
  const [kind = '', name = ''] = value.$ref.split('/').slice(-2)
  const components = document.components as unknown as Record<string, Record<string, T>>
  const found = components[kind]?.[name]
  if (!found) throw new Error(`The document has no ${value.$ref}`)
  return found
}
