import { afterAll, beforeAll, expect, test } from 'vitest'
import type { ExecutionRow } from '../../server/src/proxy/record-queries.ts'
import { type Actor, startTestServer, type TestServer } from '../support/server.ts'

let server: TestServer
let owner: Actor

beforeAll(async () => {
  server = await startTestServer()
  owner = await server.newWorkspace()
})

afterAll(() => server.stop())

const rowWith = (actionId: string, output: string): ExecutionRow => ({
  workspace_id: owner.workspaceId,
  id: server.deps.ids.next('exec'),
  action_id: actionId,
  version: 1,
  status: 'completed',
  source: 'proxy',
  created_at: new Date().toISOString(),
  output,
})

test('an output that would part rows or fields writes none, and fails no neighbour', async () => {
  const { recorder, ids } = server.deps
  const other = await server.newWorkspace()
  const actionId = ids.next('act')
  const forged = [other.workspaceId, ids.next('exec'), actionId, 1, 'completed', 'proxy'].join('\u001f')
  const results = await Promise.allSettled(
    ['{"a":1}', `{}\u001e${forged}`, '"\u001f"', '{"b":2}'].map((output) =>
      recorder.write(rowWith(actionId, output)),
    ),
  )
  expect(results.map(({ status }) => status)).toEqual(['fulfilled', 'rejected', 'rejected', 'fulfilled'])
  const { data } = await owner.narrow.executions.list({ action_id: actionId, sort: ['created_at'] })
  expect(data.map(({ output }) => output)).toEqual([{ a: 1 }, { b: 2 }])
  expect((await other.narrow.executions.list()).data).toEqual([])
})
