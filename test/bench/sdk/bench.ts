/**
 * `npm run bench:sdk` measures our SDK and its peers, in one run on one machine; with `-- --quick` roughly, in
 * half a minute. Every peer talks to a server of ours through its own option for a base URL, with a list and a
 * create as its documentation writes them (folder `peers`). Ours is taken as it is published.
 *
 * How to read the tables. × are ratios to raw fetch, taken within each round, then their median: trust these.
 * Absolute figures are for orientation and cannot be compared with another run. Sizes, counts and behaviours do
 * not depend on the machine, and tests hold ours to their goals. A missed goal is shown and changes no exit code;
 * a wrong answer makes the figures void and the exit code 1.
 */
import { behave, type Verdict } from './behaviours.ts'
import { measureCalls } from './calls.ts'
import { type Consumer, makeConsumer } from './consumer.ts'
import { importTimes } from './imports.ts'
import { installed } from './install.ts'
import { loadPeer, narrowClass, narrowFunctions, type Peer, peers } from './peers.ts'
import { bundleSizes } from './sizes.ts'
import { behaviourTable, callTable, importAndTypeTable, sizeTable } from './tables.ts'
import { compilers, typeChecks } from './type-check.ts'

const isQuick = process.argv.includes('--quick')

const plan = isQuick
  ? {
      importRounds: 2,
      typeRounds: 1,
      // The compiler that is itself JavaScript takes seconds for each.
      typePeers: [narrowFunctions, narrowClass],
      calls: { rounds: 5, secondsPerRun: 0.03, warmUpSeconds: 1 },
    }
  : {
      importRounds: 15,
      typeRounds: 5,
      typePeers: peers,
      calls: { rounds: 40, secondsPerRun: 0.1, warmUpSeconds: 8 },
    }

const main = async (): Promise<void> => {
  const consumer = await makeConsumer()
  try {
    await compare(consumer)
  } finally {
    await consumer.remove()
  }
}

const compare = async (consumer: Consumer): Promise<void> => {
  const calls = await measureCalls(peers, consumer, plan.calls)
  print(callTable(calls))
  print(sizeTable(await bundleSizes(consumer), await installSizes(consumer)))
  const imports = await importTimes(peers, consumer, plan.importRounds)
  // The peers mostly wait for their servers, while the compilers run in processes of their own.
  const [verdicts, types] = await Promise.all([behaviours(consumer), checkTypes(consumer)])
  print(importAndTypeTable(imports, types))
  print(behaviourTable(verdicts))
  for (const [{ name }, { wrong }] of calls) {
    if (wrong === 0) continue
    print(`VOID: ${wrong} wrong answers of ${name}\n`)
    process.exitCode = 1
  }
}

const installSizes = async ({ folder }: Consumer) =>
  new Map(
    await Promise.all(peers.map(async (peer) => [peer, await installed(peer.packages, folder)] as const)),
  )

const behaviours = async ({ program }: Consumer): Promise<Map<Peer, Verdict[]>> =>
  new Map(
    await Promise.all(
      peers.map(async (peer) => [peer, await behave(peer, await loadPeer(program(peer)))] as const),
    ),
  )

const checkTypes = async (consumer: Consumer) => ({
  javascript: await typeChecks(compilers.javascript, plan.typePeers, consumer, plan.typeRounds),
  native: await typeChecks(compilers.native, peers, consumer, plan.typeRounds),
})

const print = (text: string): void => {
  process.stdout.write(text)
}

await main()
// A peer may still be waiting for a server that asked for two minutes.
process.exit()
