import { exampleOf } from './examples.ts'
import { type Document, type Json, type Operation, type Parameter, resolve } from './openapi.ts'
import type { RouteRow } from './route-table.ts'

/**
 * One call of an operation as a user of the SDK would write it, from the document's examples:
 * `await narrow.tokens.rotate('tok_…', { grace_period_hours: 1 })`.
 */
export const printCall = (
  document: Document,
  operation: Operation,
  { path, body, paged }: RouteRow,
): string => {
  const { schemas } = document.components
  const parameters = operation.parameters.map((one) => resolve<Parameter>(document, one))
  const values = [...path.matchAll(/\{(\w+)\}/g)].map(([, name]) => {
    const parameter = parameters.find((one) => one.in === 'path' && one.name === name)
    return exampleOf(parameter?.schema ?? {}, schemas, name)
  })
  const [example] = Object.values(operation.requestBody?.content['application/json'].examples ?? {})
  const args = [...values, ...(body && example ? [example.value] : [])].map((value) => printValue(value, ''))
  const call = `narrow.${operation.operationId.replace('_', '.')}(${args.join(', ')})`
  return paged ? `for await (const each of ${call}) console.log(each)` : `await ${call}`
}

/** JSON as a literal of TypeScript, on one line if it is short. */
const printValue = (value: Json, indent: string): string => {
  if (typeof value === 'string') return `'${value.replaceAll('\\', '\\\\').replaceAll("'", "\\'")}'`
  if (typeof value !== 'object' || value === null) return String(value)
  const inner = `${indent}  `
  const isList = Array.isArray(value)
  const parts = isList
    ? value.map((part: Json) => printValue(part, inner))
    : Object.entries(value).map(([name, part]) => `${nameOf(name)}: ${printValue(part, inner)}`)
  const [open, close] = isList ? ['[', ']'] : ['{', '}']
  const line = isList ? `[${parts.join(', ')}]` : parts.length ? `{ ${parts.join(', ')} }` : '{}'
  if (line.length <= 70 && !line.includes('\n')) return line
  return `${open}\n${parts.map((part) => `${inner}${part},\n`).join('')}${indent}${close}`
}

const nameOf = (name: string): string => (/^[A-Za-z_$][\w$]*$/.test(name) ? name : `'${name}'`)
