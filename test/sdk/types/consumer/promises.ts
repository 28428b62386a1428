import {
  type Action,
  type ActionId,
  type Call,
  isNarrowError,
  type ListActionsQuery,
  NarrowAPI,
  type NarrowErrorCode,
  type Page,
  type PageCall,
  type Token,
} from '@narrowapi/sdk'

// What the types promise: each line compiles, and each expected error is one. Nothing here runs.

/** Whether two types are the same, not only assignable to each other. */
type Same<A, B> = (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false
declare const check: <_ extends true>() => void
declare const narrow: NarrowAPI

// @ts-expect-error: the client is not `any`
narrow.nothing()

export const configuration = () => {
  new NarrowAPI()
  new NarrowAPI('sk_…')
  new NarrowAPI({ apiKey: async () => 'sk_…', timeout: 1000, retries: 0 })
  // @ts-expect-error: there is no such option
  new NarrowAPI({ key: 'sk_…' })
  // @ts-expect-error: milliseconds are a number
  new NarrowAPI({ timeout: '1s' })
}

export const answers = async () => {
  const call = narrow.actions.get('act_…')
  check<Same<typeof call, Call<Action>>>()
  const action = await call
  check<Same<typeof action, Action>>()
  // @ts-expect-error: an action has no such field
  action.colour
  check<Same<typeof action.created_at, string>>()
  const { data, response } = await call.withResponse()
  check<Same<typeof data, Action>>()
  check<Same<typeof response.attempts, number>>()
  check<Same<Awaited<ReturnType<typeof narrow.tokens.delete>>, void>>()
}

export const lists = async () => {
  const call = narrow.actions.list({ status: 'active', sort: ['-created_at'], metadata: { team: 'billing' } })
  check<Same<typeof call, PageCall<Action>>>()
  const page = await call
  check<Same<typeof page, Page<Action>>>()
  check<Same<Awaited<ReturnType<typeof page.nextPage>>, Page<Action> | null>>()
  for await (const action of call) check<Same<typeof action, Action>>()
  for await (const each of call.pages()) check<Same<typeof each, Page<Action>>>()
  const some = await call.toArray({ max: 10 })
  check<Same<typeof some, Action[]>>()
  // @ts-expect-error: without a bound a list may not end
  await call.toArray()
  // @ts-expect-error: there is no such filter
  narrow.actions.list({ colour: 'red' })
  // @ts-expect-error: requests know every state
  narrow.actions.list({ status: 'splendid' })
  // @ts-expect-error: not a field to sort by
  narrow.actions.list({ sort: ['slug'] })
}

export const selections = async (dynamic: readonly (keyof Action)[], isShort: boolean) => {
  const action = await narrow.actions.get('act_…', { fields: ['name', 'status'] })
  check<Same<keyof typeof action, 'id' | 'object' | 'name' | 'status'>>()
  check<Same<typeof action.name, string>>()
  // @ts-expect-error: not among the fields
  action.slug
  const page = await narrow.actions.list({ fields: ['name'], limit: 5 })
  check<Same<keyof (typeof page.data)[number], 'id' | 'object' | 'name'>>()
  for await (const { id, name } of narrow.actions.list({ fields: ['name'] })) {
    check<Same<typeof id, ActionId>>()
    check<Same<typeof name, string>>()
  }
  // @ts-expect-error: an action has no such field
  await narrow.actions.get('act_…', { fields: ['colour'] })

  // Which fields these are is known when the program runs, so any may be absent.
  const some = await narrow.actions.get('act_…', { fields: dynamic })
  check<Same<typeof some.id, ActionId>>()
  check<Same<typeof some.name, string | undefined>>()
  // May be whole or not, so only what both have is sure.
  const either = await narrow.actions.get('act_…', { fields: isShort ? ['name'] : undefined })
  check<Same<typeof either.name, string>>()
  // @ts-expect-error: only in the whole
  either.slug

  // A query made beforehand.
  const query: ListActionsQuery = { limit: 5 }
  query.status = 'active'
  const whole = narrow.actions.list(query)
  check<Same<typeof whole, PageCall<Action>>>()
  const short = { fields: ['name', 'slug'] } as const
  const { slug } = await narrow.actions.get('act_…', short)
  check<Same<typeof slug, string>>()
}

export const openAndClosed = (action: Action, token: Token) => {
  // A newer server may answer a state that this version does not know …
  if (action.status === 'draft') return 'a known one'
  if (action.status === 'retired') return 'an unknown one'
  const words: Record<string, string> = { active: 'on' }
  // … but nothing other than the known ones can be sent.
  narrow.actions.update(action.id, { status: 'paused' })
  // @ts-expect-error: a state that no action can be put in
  narrow.actions.update(action.id, { status: 'retired' })
  // @ts-expect-error: what is answered may be unknown, so it is no request
  narrow.actions.list({ status: action.status })
  return words[token.status]
}

export const ids = async (action: Action, token: Token, text: string) => {
  await narrow.actions.get(text)
  await narrow.actions.get(action.id)
  await narrow.tokens.create({ name: 'bot', action_ids: [action.id, text] })
  // @ts-expect-error: a token is not an action
  await narrow.actions.get(token.id)
  // @ts-expect-error: and an action not a token
  await narrow.executions.list({ token_id: action.id })
  // An action may be called by its slug as well.
  await narrow.execute(action.slug, { amount: 1 })
  await narrow.execute(action.id)
  const plain: string = action.id
  const byId = new Map<string, Action>([[action.id, action]])
  return byId.get(plain) ?? [text].includes(action.id)
}

export const bodies = async (name: string | undefined) => {
  await narrow.actions.create({ name: 'Refund', target_url: 'https://api.example.com', tags: ['billing'] })
  // @ts-expect-error: the target is missing
  await narrow.actions.create({ name: 'Refund' })
  // @ts-expect-error: there is no such field
  await narrow.secrets.create({ name: 'Key', value: 'text', colour: 'red' })
  // @ts-expect-error: a body comes before the options
  await narrow.secrets.create({ timeout: 1 })
  // Undefined counts as absent, also with `exactOptionalPropertyTypes`.
  await narrow.secrets.update('sec_…', { name }, { timeout: undefined, signal: undefined })
  const tags: readonly string[] = ['billing']
  await narrow.actions.update('act_…', { tags })
  // What was read can be sent again.
  const { annotations, constraints, input_schema, response } = await narrow.actions.get('act_…')
  await narrow.actions.update('act_…', { annotations, constraints, input_schema, response })
  // @ts-expect-error: constraints name their operator
  await narrow.actions.update('act_…', { constraints: [{ path: '/amount', op: 'most', value: 1 }] })
  // @ts-expect-error: the id is missing
  await narrow.workspaces.pause()
}

export const failures = (error: unknown): string | undefined => {
  if (isNarrowError(error, 'validation_failed')) return error.details[0]?.field
  if (isNarrowError(error, 'timeout')) {
    check<Same<typeof error.limit, 'timeout' | 'totalTimeout'>>()
    // @ts-expect-error: nothing was answered
    return error.status
  }
  // @ts-expect-error: there is no such code
  if (isNarrowError(error, 'out_of_luck')) return 'nowhere'
  if (!isNarrowError(error)) return undefined
  check<Same<typeof error.code, NarrowErrorCode>>()
  // Open, as states are.
  return error.code === 'a_code_of_a_newer_server' ? 'newer' : error.idempotencyKey
}
