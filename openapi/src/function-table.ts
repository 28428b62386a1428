import { type Method, toMethods } from './methods.ts'
import type { Document } from './openapi.ts'
import type { RouteRow, RouteTable } from './route-table.ts'
import { printDoc } from './type-text.ts'

/**
 * The SDK's functions: one for each operation, which carries its own route, so that a bundle holds those that are
 * imported and nothing of the others. They are typed like the methods of the client, whose documentation they name.
 */
export const printFunctions = (document: Document, table: RouteTable): string => {
  const methods = toMethods(document, table)
  const declared = new Set(methods.flatMap(({ typeNames }) => typeNames))
  const own = ['Fields', 'Selection'].filter((name) =>
    methods.some(({ answer, typeParameters }) => (answer + typeParameters).includes(name)),
  )
  for (const name of ['Call', 'PageCall', 'RequestOptions', ...own]) declared.delete(name)
  return `import { type Client, call, list } from '../core.ts'
import { execute } from '../execute.ts'
import type {
${[...declared]
  .sort()
  .map((name) => `  ${name},\n`)
  .join('')}} from './client.ts'
import type { ${['Call', 'PageCall', 'RequestOptions', ...own].sort().join(', ')} } from '../types.ts'

${methods.map((method) => printFunction(method, table)).join('\n')}`
}

const printFunction = (method: Method, table: RouteTable): string => {
  const { noun, name, typeParameters, parameters, answer } = method
  const row = table[noun]?.[name]
  if (!row) throw new Error(`The route table has no ${noun}.${name}`)
  const own = noun + name.charAt(0).toUpperCase() + name.slice(1)
  const list = [
    'client: Client',
    ...parameters.map((one) => `${one.name}${one.optional ? '?' : ''}: ${one.type}`),
  ]
  const type = `${typeParameters}(\n${list.map((one) => `  ${one},\n`).join('')}) => ${answer}`
  return `${printDoc(docOf(method), '')}export const ${own}: ${type} = ${printBody(`${noun}.${name}`, parameters, row)}\n`
}

const docOf = ({ noun, name, summary, throws }: Method): string[] => [
  `${summary} \`narrow.${noun}.${name}\`.`,
  ...throws,
]

const printBody = (
  name: string,
  parameters: Method['parameters'],
  { method, path, paged, query, body }: RouteRow,
): string => {
  if (name === 'x.execute') return 'execute'
  const count = path.split('{').length - 1
  const names = parameters.map((one) => one.name)
  // An absent body counts as an empty one.
  const takes = [
    'client',
    ...parameters.map((one) => (one.name === 'body' && one.optional ? 'body = {}' : one.name)),
  ]
  const input = query || body ? names[count] : 'undefined'
  const gives = [`'${path}'`, `[${names.slice(0, count).join(', ')}]`, input, 'options']
  return `(${takes.join(', ')}) =>
  ${paged ? `list(client, '${name}'` : `call(client, '${name}', '${method}'`}, ${gives.join(', ')})`
}
