import { headerRefs } from './headers.ts'
import {
  type Content,
  type Document,
  nameOf,
  operationsOf,
  type Response,
  resolve,
  type Schema,
  schemaRef,
} from './openapi.ts'

/**
 * The document as it is published. It allows every answer there can be, also where a schema cannot say when to
 * expect which; the SDK, which knows what it asked for, has its types from the stricter one.
 */
export const toPublished = (strict: Document): Document => {
  const document = structuredClone(strict)
  for (const { operation } of operationsOf(document)) {
    if (operation.parameters.some((one) => resolve(document, one).name === 'fields')) {
      allowSelections(document, operation)
    }
    if (operation.responses.default) allowUpstreamAnswers(document, operation)
  }
  dropUnusedResponses(document)
  return document
}

/**
 * The same API without the parameter `fields`, so that no answer lacks a member. Types of the document are made
 * from it, because none can say that an answer is cut only when that is asked for.
 */
export const withoutFields = (strict: Document): Document => {
  const document = structuredClone(strict)
  for (const { operation } of operationsOf(document)) {
    operation.parameters = operation.parameters.filter((one) => resolve(document, one).name !== 'fields')
  }
  return document
}

type Operation = Document['paths'][string][string]

/** With `fields` an object has the chosen fields and no others, whatever its schema requires. */
const allowSelections = (document: Document, operation: Operation): void => {
  const { schemas } = document.components
  const content = contentOf(document, operation, '200')
  const list = schemas[nameOf(content.schema.$ref ?? '')]?.properties?.data
  if (list?.items) list.items = orSelection(document, list.items)
  else content.schema = orSelection(document, content.schema)
}

const orSelection = ({ components: { schemas } }: Document, schema: Schema): Schema => {
  // Two lists can share their schema; then this one is done.
  if (!schema.$ref) return schema
  const name = nameOf(schema.$ref)
  schemas[`${name}Selection`] ??= {
    ...schemas[name],
    description: `The fields of ${name} that \`fields\` chose`,
    required: ['id', 'object'],
  }
  return { anyOf: [schema, { $ref: schemaRef(`${name}Selection`) }] }
}

/**
 * An upstream answers in any media type, and its status may be one that we use too; the header
 * `X-NarrowAPI-Error` tells whose answer it is.
 */
const allowUpstreamAnswers = (document: Document, operation: Operation): void => {
  const { responses } = document.components
  const { schema: upstream } = contentOf(document, operation, 'default')
  for (const [status, known] of Object.entries(operation.responses)) {
    const { schema, examples } = contentOf(document, operation, status)
    const anything = { '*/*': { schema: upstream } }
    if (!('$ref' in known)) {
      known.content = { 'application/json': { schema, examples }, ...anything }
    } else if (!neverUpstream.has(status)) {
      const refusal = resolve<Response>(document, known)
      const name = `UpstreamOr${nameOf(known.$ref)}`
      responses[name] = {
        description: `${refusal.description}. Or what the upstream answered with this status.`,
        headers: { ...refusal.headers, ...headerRefs(['X-Upstream-Status']) },
        content: { 'application/json': { schema: { anyOf: [schema, upstream] }, examples }, ...anything },
      }
      operation.responses[status] = { $ref: `#/components/responses/${name}` }
    }
  }
}

/** These become `upstream_auth_failed`. */
const neverUpstream = new Set(['401', '403'])

/** Those of which only a changed copy is left. */
const dropUnusedResponses = ({ paths, components }: Document): void => {
  const used = JSON.stringify(paths)
  for (const name of Object.keys(components.responses)) {
    if (!used.includes(`"#/components/responses/${name}"`)) delete components.responses[name]
  }
}

const contentOf = (document: Document, operation: Operation, status: string): Content['application/json'] => {
  const { content } = resolve(document, operation.responses[status] ?? { $ref: status })
  if (!content) throw new Error(`${operation.operationId} does not describe its answer ${status}`)
  return content['application/json']
}
