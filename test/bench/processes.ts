import { type ChildProcess, fork } from 'node:child_process'
import { readdir, readFile } from 'node:fs/promises'

import type { AddressInfo, Server } from 'node:net'
import { fileURLToPath } from 'node:url'

/** Every part of a comparison is a process of its own, so that the system can say what each has cost. */
export type Program = { pid: number; url: string; child: ChildProcess }

/** Starts a program of this folder and waits until it listens. */
export const startProgram = (file: string, args: readonly string[] = []): Promise<Program> =>
  new Promise((resolve, reject) => {
    const child = forkProgram(file, args)
    child.once('exit', (code) => reject(new Error(`${file} ended with ${code}`)))
    child.once('message', (url) => resolve({ pid: pidOf(child), url: String(url), child }))
  })

export const forkProgram = (file: string, args: readonly string[] = []): ChildProcess =>
  fork(fileURLToPath(new URL(file, import.meta.url)), args, {
    env: { ...process.env, NODE_ENV: 'production' },
  })

export const pidOf = ({ pid }: ChildProcess): number => {
  if (pid === undefined) throw new Error('A program could not be started')
  return pid
}

/** In a program: listen, tell the parent where, and end when the parent does. */
export const announce = (server: Server): void => {
  server.listen(0, '127.0.0.1', () => {
    // A server that listens on a port has an AddressInfo.
    process.send?.(`http://127.0.0.1:${(server.address() as AddressInfo).port}`)
  })
  process.on('disconnect', () => process.exit(0))
}

/** Seconds of CPU a process has used, in user and system mode, by the accounts of Linux (proc(5)). */
export const cpuSeconds = async (pid: number): Promise<number> => {
  const stat = await statOf(pid)
  return stat ? (stat.own * microsecondsPerTick) / 1e6 : 0
}

/** The same of a process and everything it started, also what has ended since. */
export const cpuSecondsOfFamily = async (pid: number): Promise<number> => {
  const ticks = (await allStats()).reduce((sum, stat) => {
    if (stat.pid === pid) return sum + stat.own + stat.ended
    return stat.parent === pid ? sum + stat.own : sum
  }, 0)
  return (ticks * microsecondsPerTick) / 1e6
}

/** A process and its children. */
export const familyOf = async (pid: number): Promise<number[]> =>
  (await allStats()).filter((stat) => stat.pid === pid || stat.parent === pid).map((stat) => stat.pid)

const allStats = async (): Promise<Stat[]> => {
  const pids = (await readdir('/proc')).map(Number).filter(Number.isInteger)
  return (await Promise.all(pids.map(statOf))).filter((stat) => stat !== null)
}

/** The kernel reports in hundredths of a second on every platform Node runs on. */
const microsecondsPerTick = 10_000

type Stat = { pid: number; parent: number; own: number; ended: number }

const statOf = async (pid: number): Promise<Stat | null> => {
  const text = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => null)
  if (text === null) return null
  // The second field, a name in parentheses, may hold spaces.
  const fields = text.slice(text.lastIndexOf(')') + 2).split(' ')
  const field = (number: number) => Number(fields[number - 3])
  return { pid, parent: field(4), own: field(14) + field(15), ended: field(16) + field(17) }
}
