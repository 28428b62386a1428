import { type ContractRoute, routesOf } from '@narrowapi/contract'
import type { AppRouter } from '@ts-rest/core'
import { z } from 'zod'

/** What the SDK knows of an operation at run time. */
export type RouteRow = {
  method: string
  path: string
  paged?: true
  query?: true
  body?: true
  idempotent?: true
}

export type RouteTable = Record<string, Record<string, RouteRow>>

/** The routes of a contract as data, by noun and name. */
export const toRouteTable = (contract: AppRouter): RouteTable => {
  const table: RouteTable = {}
  for (const { noun, name, route } of routesOf(contract)) {
    table[noun] = { ...table[noun], [name]: toRow(route) }
  }
  return table
}

const toRow = (route: ContractRoute): RouteRow => ({
  method: route.method,
  path: route.path.replaceAll(/:(\w+)/g, '{$1}'),
  ...(isPage(route.responses[200]) && { paged: true }),
  ...(takesInput(route.query) && { query: true }),
  ...('body' in route && takesInput(route.body) && { body: true }),
  ...(route.method !== 'GET' && { idempotent: true }),
})

const isPage = (schema: unknown): boolean => schema instanceof z.ZodObject && 'next_cursor' in schema.shape

/** A query or body that can only be empty is no argument: the server counts an absent body as `{}`. */
const takesInput = (input: unknown): boolean =>
  input instanceof z.ZodType && !(input instanceof z.ZodObject && Object.keys(input.shape).length === 0)

export const printRouteTable = (table: RouteTable): string => {
  const nouns = Object.entries(table).map(([noun, rows]) => {
    const lines = Object.entries(rows).map(([name, row]) => `    ${name}: ${printRow(row)},\n`)
    return `  ${noun}: {\n${lines.join('')}  },\n`
  })
  return `import type { Routes } from '../types.ts'

/** Every operation of the API as data. */
export const routes = {
${nouns.join('')}} as const satisfies Routes
`
}

const printRow = (row: RouteRow): string =>
  `{ ${Object.entries(row)
    .map(([key, value]) => `${key}: ${typeof value === 'string' ? `'${value}'` : value}`)
    .join(', ')} }`
