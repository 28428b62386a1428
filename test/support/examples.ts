import type { Actor } from './server.ts'

/** The smallest valid body of each thing that can be created. */
export const examples = {
  action: (upstreamUrl: string) => ({
    name: 'Refund a charge',
    target_url: `${upstreamUrl}/charges/{charge_id}/refund`,
    auth_type: 'bearer' as const,
    auth_value: 'upstream-secret-0123456789',
    input_schema: [
      { name: 'charge_id', type: 'string' as const, required: true },
      { name: 'amount', type: 'integer' as const, required: true },
    ],
    body_template: { amount: '{{amount}}' },
  }),
  secret: () => ({ name: 'Payments', value: 'payments-secret-0123456789' }),
  apiKey: () => ({ name: 'Pipeline' }),
  token: (actionId: string) => ({ name: 'support-bot', action_ids: [actionId] }),
  input: () => ({ charge_id: 'ch_1', amount: 100 }),
}

/** One of everything in an actor's workspace, an execution included. */
export const createEverything = async (
  { narrow, workspaceId }: Actor,
  upstreamUrl: string,
  as: (credential: string) => Actor['narrow'],
) => {
  const action = await narrow.actions.create(examples.action(upstreamUrl))
  const token = await narrow.tokens.create(examples.token(action.id))
  const secret = await narrow.secrets.create(examples.secret())
  const apiKey = await narrow.apiKeys.create(examples.apiKey())
  await as(token.token).execute(action.id, examples.input())
  const executions = await narrow.executions.list()
  const events = await narrow.audit.list()
  const [execution, event] = [executions.data[0], events.data[0]]
  if (!execution || !event) throw new Error('The call left no execution or no audit event')
  return { workspaceId, action, token, secret, apiKey, execution, event }
}
