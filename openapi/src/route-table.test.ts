import { contract } from '@narrowapi/contract'
import { expect, test } from 'vitest'
import { printRouteTable, toRouteTable } from './route-table.ts'

const table = toRouteTable(contract)

test('knows lists, bodies, queries and which calls carry a key', () => {
  expect(table.actions?.list).toEqual({ method: 'GET', path: '/api/v1/actions', paged: true, query: true })
  expect(table.actions?.create).toEqual({
    method: 'POST',
    path: '/api/v1/actions',
    body: true,
    idempotent: true,
  })
  expect(table.actions?.delete).toEqual({ method: 'DELETE', path: '/api/v1/actions/{id}', idempotent: true })
  expect(table.x?.execute).toMatchObject({ path: '/x/{action_id}', body: true })
})

test('takes no argument for a query or body that can only be empty', () => {
  expect(table.workspaces?.pause).not.toHaveProperty('body')
  expect(table.actions?.getSchema).not.toHaveProperty('query')
})

test('never takes both, because a call has one place for input', () => {
  const both = Object.values(table)
    .flatMap((rows) => Object.values(rows))
    .filter(({ body, query }) => body && query)
  expect(both).toEqual([])
})

test('prints a row on a line of its own', () => {
  expect(printRouteTable({ audit: { get: { method: 'GET', path: '/audit/{id}', query: true } } })).toContain(
    "  audit: {\n    get: { method: 'GET', path: '/audit/{id}', query: true },\n  },\n",
  )
})
