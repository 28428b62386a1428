import { errorCodesOf } from './error-schemas.ts'
import { nouns } from './nouns.ts'
import { type Document, nameOf, type Operation, operationsOf, type Parameter, resolve } from './openapi.ts'
import type { RouteRow, RouteTable } from './route-table.ts'
import { printDoc, printInterface, printNamed, printType, reachableFrom } from './type-text.ts'

/**
 * The SDK's types: an interface for each thing that is sent or answered, one for each noun with a method for
 * each operation, and `Operations` with all nouns. They are flat text, so an editor has nothing to infer.
 */
export const printClientTypes = (document: Document, routes: RouteTable): string => {
  const methods = operationsOf(document).map((found) => {
    const route = routes[found.noun]?.[found.name]
    if (!route) throw new Error(`The route table has no ${found.noun}.${found.name}`)
    return { ...found, ...toMethod(document, found, route) }
  })
  const interfaces = document.tags.map(({ name, description }) =>
    [
      printDoc([description], ''),
      `export interface ${operationsName(name)} {\n`,
      methods
        .filter(({ noun }) => noun === name)
        .map(({ text }) => text)
        .join('\n'),
      '}\n',
    ].join(''),
  )
  const all = document.tags.map(
    ({ name, description }) =>
      `${printDoc([description], '  ')}  readonly ${name}: ${operationsName(name)}\n`,
  )
  return [
    "import type { Call, PageCall, RequestOptions } from '../types.ts'\n",
    ...printSchemas(document),
    ...methods.flatMap(({ queryType }) => queryType ?? []),
    ...interfaces,
    `/** Every operation of the API, by noun. */\nexport interface Operations {\n${all.join('')}}\n`,
  ].join('\n')
}

type Found = ReturnType<typeof operationsOf>[number]

const toMethod = (document: Document, { noun, name, operation, path }: Found, route: RouteRow) => {
  const params = pathParametersOf(document, operation, path)
  const queryName = `${nameOfCall(noun, name)}Query`
  const input = route.body ? bodyArgument(operation) : route.query ? queryArgument(queryName) : undefined
  const args = [
    ...params.map(({ name, schema, description }) => ({
      name: toCamelCase(name),
      optional: false,
      type: printType(schema, { io: 'input', indent: '' }),
      description,
    })),
    ...(input ? [input] : []),
    { name: 'options', optional: true, type: 'RequestOptions', description: 'For this call only' },
  ]
  const list = args.map(({ name, optional, type }) => `${name}${optional ? '?' : ''}: ${type}`).join(', ')
  const doc = printDoc(
    [
      `${operation.summary.replace(/[.?]$/, '')}.`,
      '',
      operation.description,
      '',
      ...args.map(({ name, description }) => `@param ${name} ${description}.`),
      `@throws {NarrowApiError} with the code ${codesOf(document, operation).map(quote).join(', ')}`,
    ],
    '  ',
  )
  return {
    text: `${doc}  ${name}(${list}): ${answerOf(operation, route)}\n`,
    queryType: route.query ? printQuery(document, operation, queryName) : undefined,
  }
}

const bodyArgument = ({ requestBody }: Operation) => {
  const schema = requestBody?.content['application/json'].schema ?? {}
  return {
    name: 'body',
    optional: !requestBody?.required,
    type: printType(schema, { io: 'input', indent: '' }),
    description: 'What to send',
  }
}

const queryArgument = (type: string) => ({
  name: 'query',
  optional: true,
  type,
  description: 'What to ask for',
})

const answerOf = ({ responses }: Operation, { paged }: RouteRow): string => {
  const success = Object.entries(responses).find(([status]) => status.startsWith('2'))?.[1]
  const schema = success && 'content' in success ? success.content?.['application/json'].schema : undefined
  if (!schema) return 'Call<void>'
  const type = printType(schema, { io: 'output', indent: '' })
  // A page of `Action` is described by the SDK's own `Page`.
  return paged ? `PageCall<${type.replace(/List$/, '')}>` : `Call<${type}>`
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

const printQuery = (document: Document, operation: Operation, name: string): string => {
  const parameters = operation.parameters
    .map((parameter) => resolve<Parameter>(document, parameter))
    .filter((parameter) => parameter.in === 'query')
  const properties = Object.fromEntries(
    parameters.map(({ name, description, schema }) => [name, { ...schema, description }]),
  )
  return printInterface(
    name,
    { description: `The query of \`${dotted(operation)}\`.`, properties },
    { io: 'input', indent: '' },
  )
}

/** What is sent or answered, by name; the lists and errors have types of the SDK's own. */
const printSchemas = (document: Document): string[] => {
  const { schemas } = document.components
  const sent = new Set<string>()
  const answered = new Set<string>()
  for (const { operation } of operationsOf(document)) {
    reachableFrom(operation.requestBody?.content['application/json'].schema, schemas, sent)
    for (const parameter of operation.parameters) {
      reachableFrom(resolve<Parameter>(document, parameter).schema, schemas, sent)
    }
    for (const response of Object.values(operation.responses)) {
      // References lead to errors only.
      if ('content' in response)
        reachableFrom(response.content?.['application/json'].schema, schemas, answered)
    }
  }
  return Object.entries(schemas)
    .filter(([name]) => (sent.has(name) || answered.has(name)) && !name.endsWith('List'))
    .map(([name, schema]) =>
      printNamed(name, schema, {
        io: answered.has(name) ? 'output' : 'input',
        indent: '',
        // What comes back as it was sent can be sent again.
        isClosed: `${name}Input` in schemas,
      }),
    )
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

const operationsName = (noun: string): string => `${capitalize(noun)}Operations`
const dotted = ({ operationId }: Operation): string => operationId.replace('_', '.')
const capitalize = (word: string): string => word.charAt(0).toUpperCase() + word.slice(1)
const toCamelCase = (name: string): string =>
  name.replaceAll(/_([a-z])/g, (_, letter: string) => letter.toUpperCase())
const quote = (code: string): string => `\`${code}\``
