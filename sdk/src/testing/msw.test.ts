import { getResponse } from 'msw'
import { setupServer } from 'msw/node'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { NarrowAPI } from '../client.ts'
import { createMockNarrowAPI } from './index.ts'
import { handlers } from './msw.ts'

const mock = createMockNarrowAPI({
  instantRetries: true,
  seed: {
    actions: [{ name: 'Refund', slug: 'executions-of-others', target_url: 'https://api.example.com' }],
    tokens: [{ name: 'bot', token: 'sxt_test', action_ids: ['executions-of-others'] }],
  },
})

afterEach(() => mock.reset())

describe('with setupServer, the code under test makes its own client', () => {
  const server = setupServer(...handlers(mock))
  const narrow = new NarrowAPI({ apiKey: 'sk_test', baseUrl: 'http://narrow.test', maxRetryDelay: 0 })

  beforeAll(() => server.listen({ onUnhandledFrame: 'error' }))
  afterAll(() => server.close())

  it('creates, reads and lists', async () => {
    const { id } = await narrow.actions.create({ name: 'A', target_url: 'https://api.example.com/a' })
    expect(await narrow.actions.get(id)).toMatchObject({ name: 'A' })
    expect(await narrow.actions.list({ limit: 1 }).toArray({ max: 5 })).toHaveLength(2)
    await narrow.actions.delete(id)
    await expect(narrow.actions.get(id)).rejects.toMatchObject({ code: 'not_found' })
    expect(mock.requests.map(({ operation }) => operation)).toContain('actions.delete')
  })

  it('tells an execution from an action of the holder', async () => {
    const agent = narrow.with({ apiKey: 'sxt_test' })
    expect(await agent.execute('executions-of-others')).toEqual({ ok: true })
    const [execution] = (await narrow.executions.list()).data
    expect(await agent.x.getExecution(execution?.id ?? '')).toMatchObject({ status: 'completed' })
  })

  it('retries over faults, a cut connection among them', async () => {
    mock.fail('actions.list', { status: 429, retryAfter: 20 }, { times: 1 })
    mock.fail('actions.list', { cut: 'before' }, { times: 1 })
    expect((await narrow.actions.list()).data).toHaveLength(1)
    expect(mock.requests.map(({ attempt }) => attempt)).toEqual([1, 2, 3])
  })

  it('times out on a body that stalls', async () => {
    mock.fail('actions.list', { stall: true })
    const hasty = narrow.with({ timeout: 50, retries: 0 })
    await expect(hasty.actions.list()).rejects.toMatchObject({ code: 'timeout' })
  })
})

describe('with getResponse, nothing is intercepted', () => {
  it('answers what is its own and nothing else', async () => {
    const own = handlers(mock, { baseUrl: 'http://narrow.test/' })
    const ask = (url: string) =>
      getResponse(own, new Request(url, { headers: { authorization: 'Bearer sk_test' } }))
    expect(await (await ask('http://narrow.test/api/v1/actions?limit=1'))?.json()).toMatchObject({
      object: 'list',
    })
    expect(await ask('http://other.test/api/v1/actions')).toBeUndefined()
    expect(await ask('http://narrow.test/elsewhere')).toBeUndefined()
  })
})
