import type { Action, ActionId, PageCall, Token } from '@narrowapi/sdk'
import {
  actionsCreate,
  actionsGet,
  actionsList,
  createClient,
  healthLive,
  isNarrowError,
} from '@narrowapi/sdk/functions'

// The functions promise what the methods do. Nothing here runs.

type Same<A, B> = (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false
declare const check: <_ extends true>() => void

const client = createClient({ apiKey: 'sk_…', baseUrl: 'http://127.0.0.1:3000' })

// @ts-expect-error: a client is not `any`
client.nothing

export const calls = async (token: Token) => {
  const page = actionsList(client, { status: 'active' })
  check<Same<typeof page, PageCall<Action>>>()
  const action = await actionsGet(client, 'act_…')
  check<Same<typeof action, Action>>()
  const short = await actionsGet(client, action.id, { fields: ['name'] }, { timeout: 1000 })
  check<Same<keyof typeof short, 'id' | 'object' | 'name'>>()
  for await (const { id } of actionsList(client, { fields: ['name'] })) check<Same<typeof id, ActionId>>()
  await actionsCreate(client, { name: 'Refund', target_url: 'https://api.example.com' })
  await healthLive(client)
  // @ts-expect-error: the client comes first
  await actionsGet('act_…')
  // @ts-expect-error: a token is not an action
  await actionsGet(client, token.id)
  // @ts-expect-error: the target is missing
  await actionsCreate(client, { name: 'Refund' })
}

export const failed = (error: unknown) => isNarrowError(error, 'rate_limited') && error.retryAfterMs
