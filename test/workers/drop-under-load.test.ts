import { beforeAll, expect, test } from 'vitest'
import { dropMonths, makeMonths, startOfMonth } from '../../server/src/db/months.ts'
import { call, callable, tally } from '../proxy/calls.ts'
import { serverAndUpstream } from '../support/server-and-upstream.ts'
import { json } from '../support/upstream.ts'
import { beginMonthsAt, partitions, record } from './history.ts'

const olderMonths = 8
const callers = 16

const { server, upstream } = await serverAndUpstream()

beforeAll(async () => {
  upstream.answer = json(200, { ok: true })
})

test('calls and lists go on while months are dropped and made: none fails and each is recorded', async () => {
  const { deps, owner, database } = server
  const thisMonth = startOfMonth(new Date())
  const older = Array.from({ length: olderMonths }, (_, index) =>
    startOfMonth(thisMonth, index - olderMonths),
  )
  await beginMonthsAt(server, startOfMonth(thisMonth, -olderMonths))
  await makeMonths(deps.owner, deps.log, startOfMonth(thisMonth, -2))
  for (const month of older) await record(server, owner.workspaceId, month)
  // One that is recorded once, one that is recorded before and after, and one that takes a use and a key.
  const actions = [
    await callable(owner, { target_url: upstream.url, annotations: { read_only: true, idempotent: true } }),
    await callable(owner, { target_url: upstream.url }),
    await callable(owner, { target_url: upstream.url }, { max_uses: 1_000_000 }),
  ]
  let isDone = false
  const answers: (string | number)[] = []
  const callOn = async (caller: number): Promise<void> => {
    for (let count = 0; !isDone; count += 1) {
      const one = actions[count % actions.length]
      if (!one) throw new Error('There is no such action')
      const headers = count % 2 === 0 ? { 'idempotency-key': `${caller}-${count}` } : {}
      answers.push((await call(server, one.token, one.action.id, {}, { headers })).status)
    }
  }
  const listOn = async (): Promise<void> => {
    while (!isDone) {
      const page = await owner.narrow.executions.list({ limit: 20 })
      answers.push(`list ${page.object}`)
    }
  }
  const going = Promise.all([...Array.from({ length: callers }, (_, caller) => callOn(caller)), listOn()])
  const dropped: string[] = []
  for (const month of older) {
    const seen = answers.length
    dropped.push(...(await dropMonths(deps.owner, startOfMonth(month, 1), async () => false)))
    await expect.poll(() => answers.length, { interval: 10, timeout: 20_000 }).toBeGreaterThan(seen + callers)
  }
  const made = await makeMonths(deps.owner, deps.log, startOfMonth(thisMonth, 1))
  isDone = true
  await going
  expect(dropped).toHaveLength(olderMonths)
  expect(made.length).toBeGreaterThan(0)
  expect((await partitions(server)).map(({ name }) => name)).toContain(made.at(-1))
  const counts = tally(answers)
  expect(Object.keys(counts).toSorted()).toEqual(['200', 'list list'])
  const [stored] = await database.sql<{ rows: number }[]>`
    select count(*)::int as rows from executions where status = 'completed' and action_id like 'act_0%'`
  expect(stored?.rows).toBe(counts['200'])
})
