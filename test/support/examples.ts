import type { ContractRoute } from '@narrowapi/contract'
import { z } from 'zod'
import type { Actor, TestServer } from './server.ts'

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

export type Everything = Awaited<ReturnType<typeof createEverything>>
export type World = Everything & { owner: Actor; upstreamUrl: string }

/** A new workspace with one of everything in it. */
export const createWorld = async (server: TestServer, upstreamUrl: string): Promise<World> => {
  const owner = await server.newWorkspace()
  return { ...(await createEverything(owner, upstreamUrl, server.as)), owner, upstreamUrl }
}

/** A valid body for every route that takes one which may not be empty, by `noun.name`. */
const bodies: Record<string, (world: World) => unknown> = {
  'actions.create': ({ upstreamUrl }) => examples.action(upstreamUrl),
  'actions.update': () => ({ description: 'Refunds a charge' }),
  'actions.test': () => ({ input: examples.input() }),
  'tokens.create': ({ action }) => examples.token(action.id),
  'secrets.create': examples.secret,
  'secrets.update': () => ({ value: 'payments-secret-9876543210' }),
  'apiKeys.create': examples.apiKey,
  'workspaces.update': () => ({ settings: { timezone: 'Europe/London' } }),
  'x.dryRun': examples.input,
  'x.execute': examples.input,
}

/** A body the route takes, or nothing for routes without one. */
export const bodyFor = (routeId: string, route: ContractRoute, world: World): unknown =>
  'body' in route && route.body instanceof z.ZodType ? (bodies[routeId]?.(world) ?? {}) : undefined

/** What may stand in a path, in a workspace: each parameter takes the first that fits its schema. */
export const idsOf = ({ action, token, secret, apiKey, execution, event, workspaceId }: Everything) => [
  ...[action, token, secret, apiKey, execution, event].map(({ id }) => id),
  workspaceId,
]

export const pathFor = (route: ContractRoute, ids: readonly string[]): string =>
  route.path.replaceAll(/:([a-z_]+)/g, (_, name: string) => {
    const schema = route.pathParams instanceof z.ZodObject ? route.pathParams.shape[name] : undefined
    const value = [...ids, '1'].find((id) => schema?.safeParse(id).success)
    if (value === undefined) throw new Error(`No example fits the parameter ${name} of ${route.path}`)
    return value
  })
