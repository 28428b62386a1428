import { contract } from '@narrowapi/contract'
import { expect, test } from 'vitest'
import { toDocument } from './document.ts'
import { nameOf, operationsOf, resolve } from './openapi.ts'
import { toPublished, withoutFields } from './published.ts'

const strict = toDocument(contract, '0.0.0')

test('allows answers that `fields` cut wherever it may be asked for', () => {
  const document = toPublished(strict)
  const [list, get] = ['tokens_list', 'tokens_get'].map((id) => answerOf(document, id))
  const either = {
    anyOf: [{ $ref: '#/components/schemas/Token' }, { $ref: '#/components/schemas/TokenSelection' }],
  }
  expect(get).toEqual(either)
  expect(document.components.schemas[nameOf(list?.$ref ?? '')]?.properties?.data?.items).toEqual(either)
  expect(document.components.schemas.TokenSelection?.required).toEqual(['id', 'object'])
})

test('allows no cut answer where nobody can ask for one', () => {
  const document = toPublished(withoutFields(strict))
  expect(JSON.stringify(document)).not.toContain('Selection')
  expect(answerOf(document, 'tokens_get')).toEqual({ $ref: '#/components/schemas/Token' })
  const names = operationsOf(document).flatMap(({ operation }) =>
    operation.parameters.map((one) => resolve(document, one).name),
  )
  expect(names).toContain('sort')
  expect(names).not.toContain('fields')
})

const answerOf = (document: typeof strict, id: string) => {
  const found = operationsOf(document).find(({ operation }) => operation.operationId === id)
  const response = found?.operation.responses['200'] ?? { $ref: id }
  return resolve(document, response).content?.['application/json'].schema
}
