import { contract } from '@narrowapi/contract'
import { expect, test } from 'vitest'
import { toDocument } from './document.ts'
import { printFunctions } from './function-table.ts'
import { toRouteTable } from './route-table.ts'

const table = toRouteTable(contract)
const text = printFunctions(toDocument(contract, '1.0.0'), table)

test('makes one function of every operation, which carries its own route', () => {
  const operations = Object.entries(table).flatMap(([noun, rows]) =>
    Object.keys(rows).map((name) => noun + name.charAt(0).toUpperCase() + name.slice(1)),
  )
  expect([...text.matchAll(/^export const (\w+)/gm)].map(([, name]) => name).sort()).toEqual(
    operations.sort(),
  )
  expect(text).toContain("list(client, 'actions.list', '/api/v1/actions', [], query, options)")
  expect(text).toContain(
    "call(client, 'actions.delete', 'DELETE', '/api/v1/actions/{id}', [id], undefined, options)",
  )
})

test('says of each in short what it does and throws, and which method tells the rest', () => {
  expect(text).toContain(`/**
 * Delete an action. \`narrow.actions.delete\`.
 * @throws {NarrowApiError} with \`not_found\`, \`version_conflict\`
 */
export const actionsDelete`)
  expect(text).toContain('@throws {UpstreamResponseError} when the upstream answers outside 2xx')
})

test('leaves the answer of an upstream to the one function that reads it', () => {
  expect(text).toMatch(/xExecute: [^;]+ = execute\n/)
})
