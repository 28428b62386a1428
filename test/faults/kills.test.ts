import { afterAll, beforeAll, expect, test } from 'vitest'
import { createCluster, type TestCluster } from '../support/cluster.ts'
import { startUpstream, type Upstream } from '../support/upstream.ts'
import { until } from './callers.ts'
import { Fleet, makeCallable } from './fleet.ts'
import { Ledger, remains } from './ledger.ts'

let cluster: TestCluster
let upstream: Upstream
let fleet: Fleet

beforeAll(async () => {
  cluster = await createCluster()
  upstream = await startUpstream()
  fleet = await Fleet.start(2, cluster)
})

afterAll(async () => {
  await fleet.stop()
  await upstream.stop()
  await cluster.remove()
})

// The long one, twenty kills and five stops, is in `npm run test:soak`.
test('three kills of servers and a crash of the database under load: nothing is lost, nothing sent twice', async () => {
  const [first] = fleet.running
  if (!first) throw new Error('No server runs')
  const callable = await makeCallable(first, upstream)
  const ledger = new Ledger({ upstream, servers: () => fleet.running, callable, callers: 12 })
  const goOn = async () => {
    const before = ledger.settled
    await until('calls are answered', () => ledger.settled > before + 40, 40_000)
  }
  await goOn()
  for (const round of ['kill', 'kill', 'stop', 'kill']) {
    if (round === 'kill') await fleet.kill(0)
    else {
      await cluster.stop('immediate')
      await cluster.start()
    }
    await goOn()
  }
  await ledger.stop()

  const balance = await ledger.balance(cluster.sql)
  expect(balance).toMatchObject({ lost: 0, doubled: 0, unrecorded: 0, strange: [] })
  expect(balance.answered200).toBeGreaterThan(150)
  // A lease is the action's second and fifteen more, which need not be waited for; a sweep comes every five.
  await cluster.sql`update narrowapi.executions set lease_expires_at = lease_expires_at - interval '15 seconds'`
  await until('nothing runs on', async () => (await remains(cluster.sql))?.running === 0, 60_000)
  expect(await remains(cluster.sql)).toEqual({ running: 0, leased: 0, locks: 0, open: 0 })
})
