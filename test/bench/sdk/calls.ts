import type { ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { forkProgram, startProgram } from '../processes.ts'
import { median } from '../report.ts'
import type { Work, Worked } from './caller.ts'
import type { Consumer } from './consumer.ts'
import { type Peer, rawFetch } from './peers.ts'

/** Of one peer; `×` are ratios to raw fetch, taken within each round, then their median. */
export type CallFigures = {
  /** One call after another. */
  cpuRatio: number
  latencyRatio: number
  latencyMicroseconds: number
  /** At 64 calls in flight. */
  throughputRatio: number
  cpuRatioInFlight: number
  callsPerSecond: number
  /** Time of a call with a `fetch` that answers at once, over that of raw fetch; undefined if it has none. */
  ownMicroseconds: number | undefined
  wrong: number
}

export type CallPlan = { rounds: number; secondsPerRun: number; warmUpSeconds: number }

/** A process for each peer; they take turns, so that a slow moment of the machine hits all of them alike. */
export const measureCalls = async (
  peers: readonly Peer[],
  { program }: Consumer,
  plan: CallPlan,
): Promise<Map<Peer, CallFigures>> => {
  const server = await startProgram('sdk/answering-server.ts')
  const callers: Caller[] = []
  try {
    for (const peer of peers) callers.push(await startCaller(peer, program(peer), server.url))
    for (const kind of kinds) await Promise.all(callers.map((caller) => warmUp(caller, kind, plan)))
    for (let round = 0; round < plan.rounds; round += 1) {
      // Whoever is first finds the machine as another kind of work has left it, so that is another one each time.
      const first = round % callers.length
      const inTurn = [...callers.slice(first), ...callers.slice(0, first)]
      for (const kind of kinds) for (const caller of inTurn) await runOnce(caller, kind, plan)
    }
    return new Map(callers.map((caller) => [caller.peer, toFigures(caller, baselineOf(callers))]))
  } finally {
    for (const { child } of callers) child.disconnect()
    server.child.disconnect()
  }
}

type Kind = 'sequential' | 'inFlight' | 'own'
const kinds: readonly Kind[] = ['sequential', 'inFlight', 'own']

const works: Record<Kind, Omit<Work, 'calls'>> = {
  sequential: { over: 'network', inFlight: 1 },
  inFlight: { over: 'network', inFlight: 64 },
  own: { over: 'fake fetch', inFlight: 1 },
}

type Caller = {
  peer: Peer
  child: ChildProcess
  /** Seconds a call takes. */
  pace: Record<Kind, number>
  /** Seconds a call took in each round, and seconds of CPU. */
  seconds: Record<Kind, number[]>
  cpuSeconds: Record<Kind, number[]>
  wrong: number
}

const startCaller = async (peer: Peer, program: string, url: string): Promise<Caller> => {
  const child = forkProgram('sdk/caller.ts', [program, url])
  await once(child, 'message')
  const none = (): Record<Kind, number[]> => ({ sequential: [], inFlight: [], own: [] })
  const pace = { sequential: 1e-3, inFlight: 1e-3, own: 1e-3 }
  return { peer, child, pace, seconds: none(), cpuSeconds: none(), wrong: 0 }
}

/** All peers at once, until the compiler of JavaScript has seen enough: its work would be counted as theirs. */
const warmUp = async (caller: Caller, kind: Kind, { warmUpSeconds }: CallPlan): Promise<void> => {
  const until = performance.now() + warmUpSeconds * 1000
  while (performance.now() < until) await send(caller, kind, warmUpSeconds / 8)
}

const runOnce = async (caller: Caller, kind: Kind, { secondsPerRun }: CallPlan): Promise<void> => {
  const { seconds, cpuSeconds } = await send(caller, kind, secondsPerRun)
  caller.seconds[kind].push(seconds)
  caller.cpuSeconds[kind].push(cpuSeconds)
}

/** About so many seconds of calls; answers what one of them took. */
const send = async (caller: Caller, kind: Kind, lasting: number): Promise<Worked> => {
  const { inFlight } = works[kind]
  const calls = Math.max(Math.ceil(lasting / caller.pace[kind]), inFlight, 4)
  caller.child.send({ ...works[kind], calls } satisfies Work)
  // A caller answers every work with one result, and ends when a call fails.
  const [worked] = (await once(caller.child, 'message')) as [Worked]
  caller.pace[kind] = worked.seconds / calls
  caller.wrong += worked.wrong
  return { ...worked, seconds: worked.seconds / calls, cpuSeconds: worked.cpuSeconds / calls }
}

const baselineOf = (callers: readonly Caller[]): Caller => {
  const found = callers.find(({ peer }) => peer === rawFetch)
  if (!found) throw new Error('Raw fetch must be among the peers: it is the baseline')
  return found
}

const toFigures = ({ peer, seconds, cpuSeconds, wrong }: Caller, baseline: Caller): CallFigures => {
  const own = pairs(seconds.own, baseline.seconds.own).map(([mine, raw]) => mine - raw)
  return {
    cpuRatio: ratio(cpuSeconds.sequential, baseline.cpuSeconds.sequential),
    latencyRatio: ratio(seconds.sequential, baseline.seconds.sequential),
    latencyMicroseconds: median(seconds.sequential) * 1e6,
    throughputRatio: ratio(baseline.seconds.inFlight, seconds.inFlight),
    cpuRatioInFlight: ratio(cpuSeconds.inFlight, baseline.cpuSeconds.inFlight),
    callsPerSecond: 1 / median(seconds.inFlight),
    ownMicroseconds: peer.hasFetch ? median(own) * 1e6 : undefined,
    wrong,
  }
}

const ratio = (mine: readonly number[], others: readonly number[]): number =>
  median(pairs(mine, others).map(([one, other]) => one / other))

const pairs = (mine: readonly number[], others: readonly number[]): [number, number][] =>
  mine.map((one, round) => [one, others[round] ?? Number.NaN])
