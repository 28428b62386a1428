import { until } from '../faults/callers.ts'
import { Fleet, makeCallable } from '../faults/fleet.ts'
import { Ledger, remains } from '../faults/ledger.ts'
import { createCluster } from '../support/cluster.ts'
import { startUpstream } from '../support/upstream.ts'
import { demand, type Figures } from './figures.ts'

const kills = 20
const stops = 5

/** Twenty SIGKILLs of servers and five crashes of the database under load: the books must balance. */
export const soakKills = async (): Promise<Figures> => {
  const cluster = await createCluster()
  const upstream = await startUpstream()
  const fleet = await Fleet.start(2, cluster)
  try {
    const [first] = fleet.running
    if (!first) throw new Error('No server runs')
    const callable = await makeCallable(first, upstream)
    const ledger = new Ledger({ upstream, servers: () => fleet.running, callable, callers: 16 })
    const goOn = async () => {
      const before = ledger.settled
      await until('calls are answered', () => ledger.settled > before + 200, 60_000)
    }
    await goOn()
    for (let round = 1; round <= kills; round += 1) {
      await fleet.kill(0)
      if (round % (kills / stops) === 0) {
        await cluster.stop('immediate')
        await cluster.start()
      }
      await goOn()
    }
    await ledger.stop()
    const balance = await ledger.balance(cluster.sql)
    await until('nothing runs on', async () => (await remains(cluster.sql))?.running === 0, 60_000)
    const left = await remains(cluster.sql)
    demand(
      balance.lost === 0 && balance.doubled === 0 && balance.unrecorded === 0,
      'The ledger does not balance',
    )
    demand(balance.strange.length === 0, `Strange answers: ${balance.strange.join('; ')}`)
    demand(
      Object.values(left ?? {}).every((count) => count === 0),
      'Something is left behind',
    )
    return { 'SIGKILLs of servers': kills, 'crashes of PostgreSQL': stops, ...balance, strange: 0, ...left }
  } finally {
    await fleet.stop()
    await upstream.stop()
    await cluster.remove()
  }
}
