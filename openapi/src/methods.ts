import type { ErrorCode } from '@narrowapi/contract'
import { printCall } from './call-text.ts'
import { errorCodesOf } from './error-schemas.ts'
import { nouns } from './nouns.ts'
import { type Document, nameOf, type Operation, operationsOf, type Parameter, resolve } from './openapi.ts'
import type { RouteRow, RouteTable } from './route-table.ts'
import { type Interface, printType, toInterface } from './type-text.ts'

/** An operation as the SDK offers it, in the texts that its signature is made of. */
export type Method = {
  noun: string
  name: string
  summary: string
  doc: string[]
  /** What it throws beside what every operation may, as tags. */
  throws: string[]
  /** `<…>` or nothing. */
  typeParameters: string
  parameters: { name: string; optional: boolean; type: string }[]
  /** The type of its result. */
  answer: string
  /** What that result holds when no fields were chosen; of a list, each object of its pages. */
  answered: string
  /** The generated types that its signature names. */
  typeNames: string[]
  /** The type of its query. */
  query: Interface | undefined
}

export const toMethods = (document: Document, routes: RouteTable): Method[] =>
  operationsOf(document).map(({ noun, name, operation }) => {
    const route = routes[noun]?.[name]
    if (!route) throw new Error(`The route table has no ${noun}.${name}`)
    return toMethod(document, { noun, name, operation }, route)
  })

type Found = Pick<ReturnType<typeof operationsOf>[number], 'noun' | 'name' | 'operation'>

const toMethod = (document: Document, { noun, name, operation }: Found, route: RouteRow): Method => {
  const answered = answeredType(document, operation, route)
  const selectable = selectableOf(document, operation, answered)
  const queryName = `${nameOfCall(noun, name)}Query`
  const parameters = [
    ...pathParametersOf(document, operation, route.path).map(({ name, schema, description }) => ({
      name: toCamelCase(name),
      optional: false,
      type: printType(schema, { io: 'input', indent: '', name }),
      description,
    })),
    ...(route.body ? [bodyParameter(name, operation)] : []),
    ...(route.query ? [queryParameter(selectable ? `${queryName}<F>` : queryName, route)] : []),
    {
      name: 'options',
      optional: true,
      type: 'RequestOptions',
      description: 'For this call',
    },
  ]
  const signature = [...parameters.map(({ type }) => type), answered].join(' ')
  const summary = `${operation.summary.replace(/[.?]$/, '')}.`
  const common: readonly string[] = [...commonCodes.all, ...commonCodes.changes]
  const own = codesOf(document, operation).filter((code) => !common.includes(code))
  const upstream = operation.responses.default
    ? ['@throws {UpstreamResponseError} when the upstream answers outside 2xx']
    : []
  return {
    noun,
    name,
    summary,
    throws: [...(own.length > 0 ? [`@throws {NarrowApiError} with ${quoted(own)}`] : []), ...upstream],
    typeNames: (signature.match(/\b[A-Z]\w+/g) ?? []).filter((type) => type !== 'RequestOptions'),
    doc: [
      summary,
      '',
      operation.description,
      '',
      ...parameters.map(({ name, description }) => `@param ${name} ${description}.`),
      `@throws {NarrowApiError} with ${own.length > 0 ? `${quoted(own)} or ` : ''}a code of {@link Operations}`,
      ...upstream,
      ...(operation.deprecated ? ['@deprecated'] : []),
      ...printExample(printCall(document, operation, route)),
    ],
    typeParameters: selectable ? `<const F extends Fields<${selectable}> = undefined>` : '',
    parameters,
    answered,
    answer: `${route.paged ? 'PageCall' : 'Call'}<${selectable ? `Selection<${answered}, F>` : answered}>`,
    query: route.query ? toQuery(document, operation, queryName, selectable) : undefined,
  }
}

const bodyParameter = (verb: string, { requestBody }: Operation) => ({
  name: 'body',
  optional: !requestBody?.required,
  type: printType(requestBody?.content['application/json'].schema ?? {}, { io: 'input', indent: '' }),
  description: { create: 'What to create', update: 'What to change; the rest stays' }[verb] ?? 'What to send',
})

const queryParameter = (type: string, { paged }: RouteRow) => ({
  name: 'query',
  optional: true,
  type,
  description: paged ? 'Filters, order and size of the pages' : 'Which fields to answer',
})

/** Only where it is short enough to be read in an editor's tooltip, and with ids cut short. */
const printExample = (call: string): string[] =>
  call.split('\n').length <= 16
    ? [`@example\n\`\`\`ts\n${call.replaceAll(/\b([a-z]+_)[0-9A-Za-z]{22}\b/g, '$1…')}\n\`\`\``]
    : []

/** What a call gives, or for a list what its pages hold, which the SDK's own `Page` goes around. */
const answeredType = (document: Document, { responses }: Operation, { paged }: RouteRow): string => {
  const success = Object.entries(responses).find(([status]) => status.startsWith('2'))?.[1]
  const schema = success && 'content' in success ? success.content?.['application/json'].schema : undefined
  if (!schema) return 'void'
  const page = paged ? document.components.schemas[nameOf(schema.$ref ?? '')] : undefined
  return printType(page?.properties?.data?.items ?? schema, { io: 'output', indent: '' })
}

/** In the order of the path, which is the order of the arguments. */
const pathParametersOf = (document: Document, operation: Operation, path: string): Parameter[] => {
  const all = operation.parameters.map((parameter) => resolve<Parameter>(document, parameter))
  return [...path.matchAll(/\{(\w+)\}/g)].map(([, name]) => {
    const parameter = all.find((one) => one.in === 'path' && one.name === name)
    if (!parameter) throw new Error(`${operation.operationId} does not describe its parameter ${name}`)
    return parameter
  })
}

const queryParametersOf = (document: Document, operation: Operation): Parameter[] =>
  operation.parameters
    .map((parameter) => resolve<Parameter>(document, parameter))
    .filter((parameter) => parameter.in === 'query')

/** What `fields` chooses from, where there is such a parameter: the fields of what is answered. */
const selectableOf = (document: Document, operation: Operation, answered: string): string | undefined => {
  const fields = queryParametersOf(document, operation).find(({ name }) => name === 'fields')
  if (!fields) return undefined
  const answeredFields = Object.keys(document.components.schemas[answered]?.properties ?? {})
  if (String(fields.schema.items?.enum) === String(answeredFields)) return answered
  throw new Error(`\`fields\` of ${operation.operationId} does not choose from the fields of ${answered}`)
}

/** With `fields` its type takes the chosen fields as a parameter, from which the type of the answer follows. */
const toQuery = (
  document: Document,
  operation: Operation,
  name: string,
  selectable: string | undefined,
): Interface => {
  const properties = Object.fromEntries(
    queryParametersOf(document, operation).map(({ name, description, schema }) => [
      name,
      { ...schema, description },
    ]),
  )
  return toInterface(
    name,
    { description: `The query of \`${dotted(operation)}\`.`, properties },
    { io: 'input', indent: '', ...(selectable && { types: { fields: 'F' } }) },
    selectable && `<F extends Fields<${selectable}> = undefined>`,
  )
}

/** Codes that have to do with no operation in particular, so that they are told of once for all. */
export const commonCodes: { all: readonly ErrorCode[]; changes: readonly ErrorCode[] } = {
  all: [
    'invalid_request',
    'unauthorized',
    'forbidden',
    'validation_failed',
    'rate_limited',
    'internal_error',
    'unavailable',
  ],
  changes: [
    'payload_too_large',
    'unsupported_media_type',
    'idempotency_in_progress',
    'idempotency_key_reused',
  ],
}

const codesOf = (document: Document, { responses }: Operation): string[] =>
  Object.values(responses).flatMap((response) => {
    const { content } = resolve(document, response)
    const { $ref } = content?.['application/json'].schema ?? {}
    return ($ref && errorCodesOf(document.components.schemas[nameOf($ref)])) || []
  })

/** `actions.listVersions` is `ListActionVersions`, `actions.list` is `ListActions`. */
const nameOfCall = (noun: string, name: string): string => {
  const { one, many } = nouns[noun as keyof typeof nouns] ?? { one: capitalize(noun), many: capitalize(noun) }
  const [verb = '', rest = ''] = name.split(/(?=[A-Z].*$)/)
  return capitalize(verb) + (rest ? one + rest : verb === 'list' ? many : one)
}

export const dotted = ({ operationId }: Operation): string => operationId.replace('_', '.')
const capitalize = (word: string): string => word.charAt(0).toUpperCase() + word.slice(1)
const toCamelCase = (name: string): string =>
  name.replaceAll(/_([a-z])/g, (_, letter: string) => letter.toUpperCase())

export const quoted = (codes: readonly string[]): string => codes.map((code) => `\`${code}\``).join(', ')
