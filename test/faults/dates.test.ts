import { describe, expect, test } from 'vitest'
import { readConfig } from '../../server/src/config.ts'
import { call, callable, settableClock } from '../proxy/calls.ts'
import { ask } from '../support/send.ts'
import { serverAndUpstream } from '../support/server-and-upstream.ts'

const clock = settableClock('2028-02-29T23:59:59.000Z')
const { server, upstream } = await serverAndUpstream({ clock })

const moveTo = (moment: string) => clock.advance(Date.parse(moment) - clock.now().getTime())

describe('a moment that somebody sends', () => {
  const create = (expires_at: string) =>
    ask(server.url, 'POST /api/v1/api-keys', {
      credential: server.owner.key,
      body: { name: 'dated', expires_at },
    })

  test.each([
    ['2030-06-01T12:00:00+05:30', '2030-06-01T06:30:00.000Z'],
    ['2030-06-01T00:30:00-12:00', '2030-06-01T12:30:00.000Z'],
    ['2030-06-01T12:00:00.1Z', '2030-06-01T12:00:00.100Z'],
    ['2030-06-01T12:00:00.999999Z', '2030-06-01T12:00:00.999Z'],
    ['2032-02-29T00:00:00Z', '2032-02-29T00:00:00.000Z'],
    ['9999-12-31T23:59:59.999Z', '9999-12-31T23:59:59.999Z'],
    ['9999-12-31T23:59:59.9999Z', '9999-12-31T23:59:59.999Z'],
  ])('as %s is kept as %s exactly', async (sent, kept) => {
    const answer = await create(sent)
    expect(answer).toMatchObject({ status: 201, body: { expires_at: kept } })
    const id = Reflect.get(Object(answer.body), 'id')
    expect(await server.owner.narrow.apiKeys.get(String(id))).toMatchObject({ expires_at: kept })
  })

  test.each([
    ['a leap second', '2030-12-31T23:59:60Z'],
    ['24 o’clock', '2030-12-31T24:00:00Z'],
    ['a leap day of a common year', '2030-02-29T00:00:00Z'],
    ['the thirty-first of April', '2030-04-31T00:00:00Z'],
    ['the year 0', '0000-01-01T00:00:00Z'],
    ['the year 10000', '10000-01-01T00:00:00Z'],
    ['the year 10000 with a sign', '+010000-01-01T00:00:00Z'],
    ['an offset that leads to the year 10000', '9999-12-31T23:59:59-01:00'],
    ['a moment before 1970', '1969-12-31T23:59:59.999Z'],
    ['no offset', '2030-06-01T12:00:00'],
    ['a date alone', '2030-06-01'],
    ['an offset of a day', '2030-06-01T12:00:00+24:00'],
    ['a number', '1900000000'],
  ])('as %s is refused by name', async (_, sent) => {
    const answer = await create(sent)
    expect(answer).toMatchObject({ status: 422, body: { error: 'validation_failed' } })
    expect(answer.body).toMatchObject({ details: [{ field: 'expires_at' }] })
  })
})

describe('the month of a quota', () => {
  test.each([
    ['the leap day', '2028-02-29T23:59:59.999Z', '2028-02-01', '2028-03-01'],
    ['the end of a common February', '2030-02-28T23:59:59.999Z', '2030-02-01', '2030-03-01'],
    ['the end of a year', '2030-12-31T23:59:59.999Z', '2030-12-01', '2031-01-01'],
    ['a change to summer time', '2031-03-31T23:59:59.999Z', '2031-03-01', '2031-04-01'],
  ])('ends with %s in UTC, to the millisecond', async (_, last, month, next) => {
    const actor = await server.newWorkspace()
    await server.database.sql`update plans set monthly_executions = 1 where tier = 'pro'`
    await actor.narrow.workspaces.update(actor.workspaceId, { tier: 'pro' })
    const { action, token } = await callable(actor, { target_url: upstream.url })
    moveTo(last)
    expect((await call(server, token, action.id, {})).status).toBe(200)
    expect((await call(server, token, action.id, {})).error).toBe('execution_limit_reached')
    clock.advance(1)
    expect((await call(server, token, action.id, {})).status).toBe(200)
    const windows = await server.database.sql`
      select to_char(window_start at time zone 'utc', 'YYYY-MM-DD') as month, used from counters
      where workspace_id = ${actor.workspaceId} order by window_start`
    expect([...windows]).toEqual([
      { month, used: 1 },
      { month: next, used: 1 },
    ])
  })
})

describe('a time that is longer than a timer can wait', () => {
  test('is refused for an upstream and for a setting, because Node would let it pass at once', async () => {
    const answer = await ask(server.url, 'POST /api/v1/actions', {
      credential: server.owner.key,
      body: { name: 'a', target_url: upstream.url, timeout_ms: 2 ** 31 },
    })
    expect(answer).toMatchObject({ status: 422, body: { details: [{ field: 'timeout_ms' }] } })
    for (const name of ['NARROWAPI_DRAIN_MS', 'NARROWAPI_DATABASE_TIMEOUT_MS'])
      expect(() => readConfig({ [name]: String(2 ** 31) })).toThrow(name)
  })

  test('makes no difference to a credential: one that ends in the year 9999 works now', async () => {
    const { key } = await server.owner.narrow.apiKeys.create({
      name: 'for ever',
      expires_at: '9999-12-31T23:59:59.999Z',
    })
    expect((await ask(server.url, 'GET /api/v1/actions', { credential: key })).status).toBe(200)
  })
})
