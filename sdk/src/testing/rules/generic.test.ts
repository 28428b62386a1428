import { describe, expect, it } from 'vitest'
import type { OperationRow } from '../schema.ts'
import { State } from '../state.ts'
import type { RuleCall } from './call.ts'
import { generic } from './generic.ts'

const example = {
  id: 'wid_1',
  object: 'widget',
  workspace_id: 'ws_1',
  name: 'Example',
  colour: null,
  created_at: '2026-01-15T10:30:00.000Z',
  updated_at: '2026-01-15T10:30:00.000Z',
}

const state = new State(() => new Date('2026-02-01T00:00:00Z'))

const ask = (verb: string, asked: Partial<RuleCall> = {}): unknown => {
  const path = verb === 'list' || verb === 'create' ? '/api/v1/widgets' : `/api/v1/widgets/{id}/${verb}`
  const row: OperationRow = { method: 'POST', path, auth: 'key', status: 200 }
  const call: RuleCall = {
    state,
    actor: { kind: 'nobody' },
    params: {},
    query: {},
    body: {},
    ifVersion: null,
    listName: 'widgets',
    note: () => undefined,
    touch: () => undefined,
    skipRecord: () => undefined,
    ...asked,
  }
  return generic(`widgets.${verb}`, row, example, call)
}

describe('a noun without rules of its own', () => {
  it('is kept as it is sent, without what it does not show', () => {
    const created = ask('create', { body: { name: 'Mine', value: 'secret' } })
    expect(created).toEqual({
      ...example,
      id: expect.stringMatching(/^wid_\d{22}$/),
      workspace_id: state.workspace.id,
      name: 'Mine',
      created_at: '2026-02-01T00:00:00.000Z',
      updated_at: '2026-02-01T00:00:00.000Z',
    })
    const params = { id: (created as { id: string }).id }
    expect(ask('get', { params })).toEqual(created)
    expect(ask('update', { params, body: { colour: 'red' } })).toMatchObject({ name: 'Mine', colour: 'red' })
    expect(ask('archive', { params })).toMatchObject({ id: params.id })
    expect(ask('list')).toMatchObject({ data: [{ id: params.id, colour: 'red' }], has_more: false })
    expect(ask('delete', { params })).toBeUndefined()
    expect(ask('list')).toMatchObject({ data: [] })
    for (const verb of ['get', 'update', 'archive'])
      expect(() => ask(verb, { params }), verb).toThrow('does not exist')
  })
})
