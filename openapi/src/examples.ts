import { type ErrorCode, errorCodes, idPrefixes } from '@narrowapi/contract'
import { errorExtras } from './error-examples.ts'
import { errorCodesOf } from './error-schemas.ts'
import { mapValues } from './map-values.ts'
import { type Content, type Document, type Json, type NamedExample, nameOf, type Schema } from './openapi.ts'
import type { Schemas } from './schemas.ts'

/** The same document with examples of everything that is sent and answered. */
export const withExamples = (document: Document): Document => {
  const { schemas } = document.components
  const fill = <T extends { content?: Content }>(holder: T): T => {
    const schema = holder.content?.['application/json'].schema
    return schema
      ? { ...holder, content: { 'application/json': { schema, examples: examplesOf(schema, schemas) } } }
      : holder
  }
  return {
    ...document,
    paths: mapValues(document.paths, (methods) =>
      mapValues(methods, (operation) => ({
        ...operation,
        ...(operation.requestBody && { requestBody: fill(operation.requestBody) }),
        responses: mapValues(operation.responses, (response) =>
          '$ref' in response ? response : fill(response),
        ),
      })),
    ),
    components: { ...document.components, responses: mapValues(document.components.responses, fill) },
  }
}

const examplesOf = (schema: Schema, schemas: Schemas): Record<string, NamedExample> => {
  const named = schema.$ref ? schemas[nameOf(schema.$ref)] : schema
  const codes = errorCodesOf(named)
  // The contract makes every error schema from codes of its registry.
  if (codes) return Object.fromEntries((codes as ErrorCode[]).map((code) => [code, errorExample(code)]))
  const values = named?.examples ?? [exampleOf(schema, schemas)]
  return Object.fromEntries(
    values.map((value, index) => [
      index === 0 ? 'example' : `example_${index + 1}`,
      { summary: values.length === 1 ? 'Example' : `Example ${index + 1}`, value },
    ]),
  )
}

const errorExample = (code: ErrorCode): NamedExample => ({
  summary: errorCodes[code].title,
  value: {
    error: code,
    message: errorCodes[code].title,
    ...errorExtras[code],
    request_id: `req_${ID}`,
    doc_url: `https://narrowapi.com/docs/errors#${code}`,
  },
})

/** A value that fits a schema: what the contract gives as an example, or the plainest thing that fits. */
export const exampleOf = (schema: Schema, schemas: Schemas, name = ''): Json => {
  const [first] = schema.examples ?? []
  if (first !== undefined) return first
  if (schema.$ref) return exampleOf(schemas[nameOf(schema.$ref)] ?? {}, schemas, name)
  if (schema.const !== undefined) return schema.const
  if (schema.default !== undefined) return schema.default
  const [choice] = schema.enum ?? []
  if (choice !== undefined) return choice
  const [option] = schema.oneOf ?? schema.anyOf ?? []
  if (option) return exampleOf(option, schemas, name)
  if (Array.isArray(schema.type)) return null
  switch (schema.type) {
    case 'object':
      return objectExample(schema, schemas)
    case 'array':
      return [exampleOf(schema.items ?? {}, schemas, name.replace(/s$/, ''))]
    case 'string':
      return stringExample(schema, name)
    case 'integer':
    case 'number':
      return Math.max(schema.minimum ?? 1, 1)
    case 'boolean':
      return true
    default:
      return null
  }
}

const objectExample = ({ properties = {}, required = [] }: Schema, schemas: Schemas): Json =>
  Object.fromEntries(
    Object.entries(properties)
      .filter(([name]) => required.includes(name))
      .map(([name, part]) => [name, exampleOf(part, schemas, name)]),
  )

const stringExample = ({ format }: Schema, name: string): string => {
  if (format === 'date-time') return '2026-01-15T10:30:00.000Z'
  return ids[name] ?? 'text'
}

const ID = '06Wz1Xb4mJq0YcT7eKs2hU'

/** Fields that hold the id of another object are named after it. */
const ids: Record<string, string> = {
  ...Object.fromEntries(
    Object.entries(idPrefixes).map(([noun, prefix]) => [`${noun}_id`, `${prefix}_${ID}`]),
  ),
  request_id: `req_${ID}`,
  created_by: `${idPrefixes.api_key}_${ID}`,
}
