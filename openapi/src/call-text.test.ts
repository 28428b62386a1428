import { contract } from '@narrowapi/contract'
import { expect, test } from 'vitest'
import { printCall } from './call-text.ts'
import { toDocument } from './document.ts'
import { operationsOf } from './openapi.ts'
import { toRouteTable } from './route-table.ts'

const document = toDocument(contract, '0.0.0')
const routes = toRouteTable(contract)

const cases = {
  actions_list: 'for await (const each of narrow.actions.list()) console.log(each)',
  actions_restoreVersion: "await narrow.actions.restoreVersion('act_06Wz1Xb4mJq0YcT7eKs2hU', 1)",
  tokens_rotate: "await narrow.tokens.rotate('tok_06Wz1Xb4mJq0YcT7eKs2hU', { grace_period_hours: 1 })",
  workspaces_pause: "await narrow.workspaces.pause('ws_06Wz1Xb4mJq0YcT7eKs2hU')",
  tokens_create: `await narrow.tokens.create({
  name: 'support-bot',
  expires_at: '2030-01-01T00:00:00.000Z',
  max_uses: 50,
  grants: [
    {
      action_id: 'act_06Wz1Xb4mJq0YcT7eKs2hU',
      constraints: [{ path: '/amount', op: 'max', value: 2000 }],
    },
  ],
})`,
}

test.each(Object.entries(cases))('writes a call of %s as a person would', (id, text) => {
  const { operation, noun, name } =
    operationsOf(document).find(({ operation }) => operation.operationId === id) ?? {}
  const route = routes[noun ?? '']?.[name ?? '']
  expect(operation && route && printCall(document, operation, route)).toBe(text)
})
