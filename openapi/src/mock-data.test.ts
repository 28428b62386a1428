import { stripTypeScriptTypes } from 'node:module'
import { contract } from '@narrowapi/contract'
import { describe, expect, it } from 'vitest'
import { toDocument } from './document.ts'
import { printMockData } from './mock-data.ts'

const text = printMockData(contract, toDocument(contract, '1.0.0'))
const { blanks, schemas, inputs } = await import(
  `data:text/javascript,${encodeURIComponent(stripTypeScriptTypes(text))}`
)

describe('the data of the mock', () => {
  it('begins each object empty where it may be, and with its example where it may not', () => {
    expect(blanks.Token).toMatchObject({
      object: 'token',
      name: 'support-bot',
      grants: [],
      metadata: {},
      expires_at: null,
      revoked_at: null,
    })
    expect(blanks.Workspace.settings).toMatchObject({ timezone: 'UTC', execution_retention_days: 30 })
    expect(blanks.Action.response).toEqual(expect.any(Object))
  })

  it('holds the schemas of requests with all that they refer to, without words for readers', () => {
    const whole = JSON.stringify([inputs, schemas])
    const named = [...whole.matchAll(/"\$ref":"([^"]+)"/g)].map(([, name = '']) => name)
    expect(named.length).toBeGreaterThan(10)
    expect(named.filter((name) => !(name in schemas))).toEqual([])
    expect(whole).not.toContain('"description":"')
    const { properties } = schemas.CreateToken
    expect(properties.max_uses).toEqual({
      type: ['integer', 'null'],
      minimum: 1,
      maximum: 1_000_000_000,
      default: null,
    })
  })

  it('types each operation by what it takes and gives', () => {
    expect(text).toContain(
      "'actions.listVersions': { params: 'id'; query: ListActionVersionsQuery; data: PageData<ActionVersion> }",
    )
    expect(text).toContain("'secrets.delete': { params: 'id'; data: undefined }")
    expect(text).toContain("'x.execute': { params: 'action_id'; body: CallInput; data: UpstreamAnswer }")
  })
})
