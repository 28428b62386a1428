import type { ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import type { Load, LoadResult } from './load.ts'

/** One thing under test: what to send to it, and what it has cost so far. */
export type Peer = {
  name: string
  load: Omit<Load, 'connections' | 'amount'>
  /** CPU seconds used until now, by the part that is measured and by its database. */
  cpu: () => Promise<{ node: number; postgres: number }>
}

export type Figures = {
  requestsPerSecond: number
  p50: number
  p99: number
  /** Microseconds of CPU per request. */
  node: number
  postgres: number
}

export type Measured = { peer: string; connections: number; rounds: Figures[]; sent: number; wrong: number }

export type Plan = {
  connections: readonly number[]
  rounds: number
  secondsPerRun: number
  warmUpSeconds: number
}

/**
 * Runs the peers in turn, every round at every number of connections, so that whatever else the machine does
 * hits all of them alike. A run is a fixed number of requests and not a time, so that none is cut off: what was
 * sent, answered and recorded can then be compared to the last one.
 */
export const measure = async (
  generator: ChildProcess,
  peers: readonly Peer[],
  plan: Plan,
): Promise<Measured[]> => {
  const measured: Measured[] = peers.flatMap(({ name }) =>
    plan.connections.map((connections) => ({ peer: name, connections, rounds: [], sent: 0, wrong: 0 })),
  )
  for (const peer of peers) await warmUp(generator, peer, plan, measured)
  const pace = new Map<Measured, number>()
  for (let round = 0; round < plan.rounds; round += 1) {
    for (const connections of plan.connections) {
      for (const peer of peers) {
        const row = rowOf(measured, peer, connections)
        const perSecond = pace.get(row) ?? (await estimate(generator, peer, row))
        const figures = await runOnce(generator, peer, row, Math.ceil(perSecond * plan.secondsPerRun))
        pace.set(row, figures.requestsPerSecond)
        row.rounds.push(figures)
      }
    }
  }
  return measured
}

const runOnce = async (
  generator: ChildProcess,
  peer: Peer,
  row: Measured,
  wanted: number,
): Promise<Figures> => {
  const { connections } = row
  const amount = Math.max(wanted, connections)
  const before = await peer.cpu()
  const result = await send(generator, { ...peer.load, connections, amount })
  const after = await peer.cpu()
  row.sent += amount
  row.wrong += result.wrong
  return {
    requestsPerSecond: amount / result.seconds,
    p50: result.p50,
    p99: result.p99,
    node: ((after.node - before.node) * 1e6) / amount,
    postgres: ((after.postgres - before.postgres) * 1e6) / amount,
  }
}

/** Until the compiler of JavaScript has seen enough: its work would be counted as the peer's otherwise. */
const warmUp = async (
  generator: ChildProcess,
  peer: Peer,
  plan: Plan,
  measured: Measured[],
): Promise<void> => {
  const connections = plan.connections.at(-1) ?? 1
  const row = rowOf(measured, peer, connections)
  const until = performance.now() + plan.warmUpSeconds * 1000
  while (performance.now() < until) await runOnce(generator, peer, row, 1000)
}

const estimate = async (generator: ChildProcess, peer: Peer, row: Measured): Promise<number> => {
  const { requestsPerSecond } = await runOnce(generator, peer, row, row.connections * 20)
  return requestsPerSecond
}

const rowOf = (measured: Measured[], { name }: Peer, connections: number): Measured => {
  const row = measured.find((one) => one.peer === name && one.connections === connections)
  if (!row) throw new Error(`${name} has no row for ${connections} connections`)
  return row
}

const send = async (generator: ChildProcess, load: Load): Promise<LoadResult> => {
  generator.send(load)
  // The generator answers every load with one result.
  const [result] = (await once(generator, 'message')) as [LoadResult]
  return result
}
