import { describe, expect, it } from 'vitest'
import { fillPath, toQuery } from './path.ts'

const fill = (...args: unknown[]) => fillPath('/api/v1/actions/{id}/executions/{execution_id}', args)

describe('fillPath', () => {
  it('fills parameters in order', () => {
    expect(fill('act_1', 'exe_2')).toBe('/api/v1/actions/act_1/executions/exe_2')
    expect(fill('act_1', 2)).toBe('/api/v1/actions/act_1/executions/2')
  })

  it.each([
    ['a/b', 'a%2Fb'],
    ['a?b#c', 'a%3Fb%23c'],
    ['a\\b', 'a%5Cb'],
    ['a b', 'a%20b'],
    ['%2F', '%252F'],
    ['...', '...'],
    ['..x', '..x'],
    ['é', '%C3%A9'],
  ])('keeps %j inside its segment', (value, expected) => {
    expect(fill(value, 'x')).toBe(`/api/v1/actions/${expected}/executions/x`)
  })

  it.each(['.', '..', '%2e', '%2E%2e', '.%2e', '%2e.', '%252e%252E', '', undefined, null, {}, ['..']])(
    'refuses %j',
    (value) => {
      expect(() => fill('act_1', value)).toThrow('execution_id must not be')
    },
  )
})

describe('toQuery', () => {
  it.each([
    [{}, ''],
    [{ a: undefined, b: null }, ''],
    [{ limit: 20, active: false, search: '' }, '?limit=20&active=false&search='],
    [{ sort: ['-created_at', 'name'] }, '?sort=-created_at%2Cname'],
    [{ metadata: { team: 'a&b', 'x y': '1' } }, '?metadata%5Bteam%5D=a%26b&metadata%5Bx%20y%5D=1'],
    [{ created_after: new Date(0) }, '?created_after=1970-01-01T00%3A00%3A00.000Z'],
  ])('writes %j as %j', (query, expected) => {
    expect(toQuery(JSON.stringify(query))).toBe(expected)
  })
})
