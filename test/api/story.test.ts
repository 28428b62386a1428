import { expect, test } from 'vitest'
import { createEverything, examples } from '../support/examples.ts'
import { serverAndUpstream } from '../support/server-and-upstream.ts'

const { server, upstream } = await serverAndUpstream()

test('an action is called with its secret, and the secret is in nothing that can be read', async () => {
  const { action, token, execution } = await createEverything(server.owner, upstream.url, server.as)
  expect(upstream.received[0]).toMatchObject({
    method: 'POST',
    url: '/charges/ch_1/refund',
    headers: { authorization: 'Bearer upstream-secret-0123456789' },
    body: '{"amount":100}',
  })
  expect(execution).toMatchObject({
    status: 'completed',
    action_id: action.id,
    token_id: token.id,
    input: examples.input(),
  })
  const [dump] = await server.database.sql`select json_agg(e)::text as text from executions e`
  expect(dump?.text).not.toContain('upstream-secret-0123456789')
  expect(server.logs.join('')).not.toContain('upstream-secret-0123456789')
})
