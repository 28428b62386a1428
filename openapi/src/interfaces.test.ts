import { expect, test } from 'vitest'
import { printInterfaces } from './interfaces.ts'
import type { Interface } from './type-text.ts'

const toInterface = (name: string, names: readonly string[], parameters = ''): Interface => ({
  name,
  parameters,
  doc: '',
  fields: Object.fromEntries(names.map((field) => [field, `  ${field}: string\n`])),
})

test('takes what stands in another interface from there', () => {
  const texts = printInterfaces([
    toInterface('Token', ['id', 'name']),
    toInterface('CreatedToken', ['id', 'name', 'token']),
    toInterface('RotatedToken', ['id', 'name', 'token', 'revoked']),
  ])
  expect(texts).toEqual([
    'export interface Token {\n  id: string\n  name: string\n}\n',
    'export interface CreatedToken extends Token {\n  token: string\n}\n',
    'export interface RotatedToken extends CreatedToken {\n  revoked: string\n}\n',
  ])
})

test('takes a field that is told of in other words from nowhere', () => {
  const token = toInterface('Token', ['id', 'name'])
  const other = { ...toInterface('Key', ['id', 'name', 'key']), fields: { id: '', name: 'Other', key: '' } }
  expect(printInterfaces([token, other]).join('')).not.toContain('extends')
})

test('hands type parameters on, and takes nothing that has others', () => {
  const parameters = '<F extends Fields<Token> = undefined>'
  const texts = printInterfaces([
    toInterface('ListQuery', ['sort', 'fields'], parameters),
    toInterface('ListMoreQuery', ['sort', 'fields', 'more'], parameters),
    toInterface('ListOthersQuery', ['sort', 'fields', 'other'], '<F extends Fields<Other> = undefined>'),
  ])
  expect(texts[1]).toContain(`ListMoreQuery${parameters} extends ListQuery<F> {`)
  expect(texts[2]).not.toContain('> extends')
})

test('gives a name to what several lists take', () => {
  const texts = printInterfaces([
    toInterface('ListTokensQuery', ['limit', 'cursor']),
    'type Other = string\n',
    toInterface('ListKeysQuery', ['limit', 'cursor', 'key']),
  ])
  expect(texts).toEqual([
    '/** What every list takes. */\nexport interface PageQuery {\n  limit: string\n  cursor: string\n}\n',
    'export interface ListTokensQuery extends PageQuery {}\n',
    'type Other = string\n',
    'export interface ListKeysQuery extends PageQuery {\n  key: string\n}\n',
  ])
})
