import { printIdTypes } from './id-types.ts'
import { printInterfaces } from './interfaces.ts'
import { commonCodes, dotted, type Method, quoted, toMethods } from './methods.ts'
import { type Document, nameOf, operationsOf, type Parameter, resolve } from './openapi.ts'
import type { RouteTable } from './route-table.ts'
import { type Interface, printAlias, printDoc, reachableFrom, toInterface } from './type-text.ts'

/**
 * The SDK's types: an interface for each thing that is sent or answered, one for each noun with a method for
 * each operation, and `Operations` with all nouns. They are flat text, so an editor has nothing to infer.
 */
export const printClientTypes = (document: Document, routes: RouteTable): string => {
  const methods = toMethods(document, routes)
  const interfaces = document.tags.map(({ name, description }) =>
    [
      printDoc([description], ''),
      `export interface ${operationsName(name)} {\n`,
      methods
        .filter(({ noun }) => noun === name)
        .map((method) => printDoc(method.doc, '  ') + printMethod(method))
        .join('\n'),
      '}\n',
    ].join(''),
  )
  const all = document.tags.map(
    ({ name, description }) =>
      `${printDoc([description], '  ')}  readonly ${name}: ${operationsName(name)}\n`,
  )
  return [
    "import type { Call, Fields, PageCall, RequestOptions, Selection } from '../types.ts'\n",
    printIdTypes(),
    ...printInterfaces([...toTypes(document), ...methods.flatMap(({ query }) => query ?? [])]),
    ...interfaces,
    `${printDoc(describeAll(), '')}export interface Operations {\n${all.join('')}}\n`,
  ].join('\n')
}

/** With what each method would otherwise say of its errors again. */
const describeAll = (): string[] => [
  'Every operation of the API, by noun.',
  '',
  `Any of them may throw a \`NarrowApiError\` with the code ${quoted(commonCodes.all)}, and any that changes something with ${quoted(commonCodes.changes)}. What else one throws, it says itself.`,
]

const printMethod = ({ name, typeParameters, parameters, answer }: Method): string => {
  const list = parameters.map(({ name, optional, type }) => `${name}${optional ? '?' : ''}: ${type}`)
  const line = `  ${name}${typeParameters}(${list.join(', ')}): ${answer}\n`
  if (line.length <= 111) return line
  return `  ${name}${typeParameters}(\n${list.map((one) => `    ${one},\n`).join('')}  ): ${answer}\n`
}

/** What is sent or answered, by name; the lists and errors have types of the SDK's own. */
const toTypes = (document: Document): (Interface | string)[] => {
  const { schemas } = document.components
  const sent = new Set<string>()
  const answered = new Set<string>()
  /** What is said of a body that says nothing of itself. */
  const bodies = new Map<string, string>()
  for (const { operation } of operationsOf(document)) {
    const { $ref } = operation.requestBody?.content['application/json'].schema ?? {}
    if ($ref) bodies.set(nameOf($ref), `The body of \`${dotted(operation)}\`.`)
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
    .map(([name, { description = bodies.get(name), ...rest }]) => {
      const schema = { ...rest, ...(description && { description }) }
      const io = answered.has(name) ? ('output' as const) : ('input' as const)
      // What comes back as it was sent can be sent again.
      const place = { io, indent: '', schemas, isClosed: `${name}Input` in schemas }
      return schema.type === 'object' && schema.properties
        ? toInterface(name, schema, place)
        : printAlias(name, schema, place)
    })
}

const operationsName = (noun: string): string => `${noun.charAt(0).toUpperCase()}${noun.slice(1)}Operations`
