import { setupServer } from 'msw/node'
import { afterAll, afterEach, beforeAll, describe, expect, expectTypeOf, it } from 'vitest'
import { NarrowAPI } from '../client.ts'
import { isNarrowError } from '../errors.ts'
import { apiError, handlers, list, mock } from './index.ts'

const server = setupServer()
const narrow = new NarrowAPI({ apiKey: 'sk_test', baseUrl: 'http://narrow.test' })

beforeAll(() => server.listen({ onUnhandledFrame: 'error' }))
afterEach(() => server.resetHandlers())
afterAll(() => server.close())

// The examples leave out what does not matter to them; the types would rightly ask for all of it.
const action = (fields: object) => ({ object: 'action', ...fields }) as never

describe('mocked operations', () => {
  it('answer with data, by path parameter and body', async () => {
    server.use(
      ...handlers({
        'actions.get': ({ params }) => action({ id: params.id }),
        'actions.create': ({ body }) => {
          expectTypeOf(body.name).toEqualTypeOf<string>()
          return action({ id: 'act_new', name: body.name })
        },
        'actions.delete': undefined,
      }),
    )
    expect(await narrow.actions.get('act_7')).toMatchObject({ id: 'act_7' })
    expect(await narrow.actions.create(action({ name: 'a' }))).toMatchObject({ name: 'a' })
    expect(await narrow.actions.delete('act_7')).toBeUndefined()
  })

  it('answer with pages that the client goes through', async () => {
    server.use(
      mock('actions.list', ({ query }) =>
        query.cursor === 'second' ? list([action({ id: 'b' })]) : list([action({ id: 'a' })], 'second'),
      ),
    )
    expect((await narrow.actions.list().toArray({ max: 9 })).map(({ id }) => id)).toEqual(['a', 'b'])
  })

  it('answer with errors like the real ones, as often as wanted', async () => {
    server.use(mock('actions.get', apiError('rate_limited', { retry_after_seconds: 1, limit: 5 })))
    for (const attempt of [1, 2]) {
      const error = await narrow
        .with({ retries: 0 })
        .actions.get('act_1')
        .catch((thrown: unknown) => thrown)
      expect(isNarrowError(error, 'rate_limited'), `call ${attempt}`).toBe(true)
      expect(error).toMatchObject({
        status: 429,
        retryAfterMs: 1000,
        requestId: 'req_mock',
        body: { limit: 5 },
      })
    }
  })

  it('have the types of the operations they stand for', () => {
    mock('x.execute', ({ body, params }) => {
      expectTypeOf(body).toEqualTypeOf<object>()
      expectTypeOf(params).not.toBeAny()
      return {}
    })
    mock('actions.get', ({ body }) => {
      expectTypeOf(body).toEqualTypeOf<undefined>()
      return apiError('not_found')
    })
    mock('actions.rotateToken', ({ body }) => {
      expectTypeOf(body).not.toBeAny()
      expectTypeOf(body).not.toBeNever()
      return apiError('not_found')
    })
    // @ts-expect-error: a list answers with a page
    mock('actions.list', [])
    // @ts-expect-error: an action is more than its id
    mock('actions.get', { id: 'act_1' })
    // @ts-expect-error: there is no such code
    apiError('teapot', {})
  })

  it('refuse names of operations that do not exist', () => {
    // @ts-expect-error: there is no such operation
    expect(() => mock('actions.fly', undefined)).toThrow('actions.fly')
  })
})
