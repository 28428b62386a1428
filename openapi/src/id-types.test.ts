import { expect, test } from 'vitest'
import { idTypeOf, printIdTypes } from './id-types.ts'
import type { Schema } from './openapi.ts'

const cases: [what: string, field: string, schema: Schema, type: string | undefined][] = [
  ['a pattern', 'id', { pattern: '^act_[0-9A-Za-z]{22}$' }, 'ActionId'],
  ['an example', 'created_by', { examples: ['key_06Wz1Xb4mJq0YcT7eKs2hU'] }, 'ApiKeyId'],
  ['the name of a field', 'workspace_id', {}, 'WorkspaceId'],
  ['the name of a list', 'revoked_token_ids', {}, 'TokenId'],
  ['no id: another name', 'name', {}, undefined],
  ['no id: a slug will do', 'action_id', { maxLength: 64, examples: ['refund_a_charge'] }, undefined],
  ['no id: another form', 'token_id', { pattern: '^t' }, undefined],
]

test.each(cases)('knows an id by %s', (_, field, schema, type) => {
  expect(idTypeOf({ type: 'string', ...schema }, field)).toBe(type)
})

test('declares every type that it may name', () => {
  for (const [, , , type] of cases)
    if (type) expect(printIdTypes()).toContain(`export type ${type} = string & `)
})
