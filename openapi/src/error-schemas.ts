import { type Schema, schemaRef } from './openapi.ts'
import type { Schemas } from './schemas.ts'

/**
 * Every set of error codes has a schema of its own and all of them share one shape, so each becomes that
 * shape plus its codes instead of a copy of it.
 */
export const shareErrorShape = (schemas: Schemas): Schemas =>
  Object.fromEntries(
    Object.entries(schemas).map(([name, schema]) => [
      name,
      isErrorOfCodes(schema) ? toShared(schema) : schema,
    ]),
  )

/** The codes of an error schema after `shareErrorShape`; undefined for other schemas. */
export const errorCodesOf = (schema: Schema | undefined): string[] | undefined =>
  schema?.allOf?.[0]?.$ref === schemaRef('Error') ? schema.properties?.error?.enum?.map(String) : undefined

const isErrorOfCodes = ({ properties }: Schema): boolean =>
  properties?.error?.enum !== undefined && properties.request_id !== undefined

const toShared = ({ description, properties }: Schema): Schema => ({
  ...(description && { description }),
  type: 'object',
  allOf: [{ $ref: schemaRef('Error') }],
  required: ['error'],
  ...(properties?.error && { properties: { error: properties.error } }),
})
