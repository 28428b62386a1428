import type { paths } from '@narrowapi/openapi/types'
import createClient from 'openapi-fetch'
import { expect, test } from 'vitest'
import { examples } from '../support/examples.ts'
import { serverAndUpstream } from '../support/server-and-upstream.ts'

// A client of other people's making, which knows nothing of this API but the types of its document.

const { server, upstream } = await serverAndUpstream()

const clientOf = (credential: string) =>
  createClient<paths>({
    baseUrl: server.url,
    headers: { authorization: `Bearer ${credential}` },
    // It has no eyes for the style of a parameter, so it is told: lists are one text with commas.
    querySerializer: { array: { style: 'form', explode: false } },
  })

test('a client made from the types creates, lists and runs an action', async () => {
  const operator = clientOf(server.owner.key)
  const { data: action } = await operator.POST('/api/v1/actions', {
    body: examples.action(upstream.url),
    headers: { 'Idempotency-Key': 'create-the-action' },
  })
  if (!action) throw new Error('The action was not created')
  expect(action.status satisfies 'draft' | 'active' | 'paused' | 'archived').toBe('active')

  const { data: page } = await operator.GET('/api/v1/actions', {
    params: { query: { status: 'active', limit: 10, sort: ['-created_at', 'name'], metadata: {} } },
  })
  const slugs = page?.data.map(({ slug }) => slug) satisfies string[] | undefined
  expect(slugs).toEqual([action.slug])

  const { data: token } = await operator.POST('/api/v1/tokens', { body: examples.token(action.id) })
  const holder = clientOf(token?.token ?? '')
  const run = await holder.POST('/x/{action_id}', {
    params: { path: { action_id: action.id } },
    body: examples.input(),
  })
  expect(run.response.headers.get('x-upstream-status')).toBe('200')
  expect(run.data).toMatchObject({ method: 'POST', url: '/charges/ch_1/refund' })

  const { data: executions } = await operator.GET('/api/v1/actions/{id}/executions', {
    params: { path: { id: action.id } },
  })
  expect(executions?.data).toMatchObject([{ status: 'completed', token_id: token?.id }])
})

test('the types leave out `fields`, with which an answer would lack members that they promise', async () => {
  const operator = clientOf(server.owner.key)
  const { data: page } = await operator.GET('/api/v1/tokens', {
    // @ts-expect-error: the server knows it and the types do not
    params: { query: { fields: ['name'] } },
  })
  expect(page?.data.flatMap((token) => Object.keys(token))).not.toContain('status')
})

test('refusals have a type that knows their codes and their details', async () => {
  const operator = clientOf(server.owner.key)
  const invalid = await operator.POST('/api/v1/actions', {
    // @ts-expect-error: a method that no action has
    body: { ...examples.action(upstream.url), method: 'TRACE' },
  })
  expect(invalid.response.status).toBe(422)
  expect(invalid.error?.details?.map(({ field }) => field)).toEqual(['method'])

  const missing = await operator.GET('/api/v1/actions/{id}', {
    params: { path: { id: 'act_0000000000000000000000' } },
  })
  expect(missing.data).toBeUndefined()
  expect(missing.error?.error).toBe('not_found')
  // @ts-expect-error: a code that this route never answers
  expect(missing.error?.error === 'upstream_timeout').toBe(false)

  // @ts-expect-error: the name of the action is missing
  await operator.POST('/api/v1/actions', { body: { target_url: upstream.url } })
  // @ts-expect-error: a path that the document does not have
  await operator.GET('/api/v1/nothing')
})
