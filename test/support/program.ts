import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { setTimeout as sleep } from 'node:timers/promises'

export type Program = {
  /** What the announcement told: the first group of its pattern. */
  announced: string
  pid: number
  /** Everything written so far, on both streams. */
  output(): string
  /** Asks it to end, and insists after ten seconds. */
  stop(): Promise<void>
}

/**
 * Runs a Node program beside this one and waits until it announces that it is ready. It gets no environment but
 * the given one, so that nothing set on a machine changes what happens, and a process group of its own, so that
 * Ctrl-C reaches it once: from `stop`, and not from the terminal as well.
 */
export const startProgram = async (
  args: readonly string[],
  { announces, environment = {} }: { announces: RegExp; environment?: Record<string, string> },
): Promise<Program> => {
  const child = spawn(process.execPath, args, {
    env: environment,
    detached: true,
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  let output = ''
  const announced = new Promise<string>((resolve, reject) => {
    const onData = (chunk: string): void => {
      output += chunk
      const found = announces.exec(output)?.[1]
      if (found !== undefined) resolve(found)
    }
    for (const stream of [child.stdout, child.stderr]) stream.setEncoding('utf8').on('data', onData)
    child.once('error', reject)
    child.once('close', () => reject(new Error(`${args[0]} ended before it was ready:\n${output}`)))
    setTimeout(() => reject(new Error(`${args[0]} was not ready in time:\n${output}`)), readyMs).unref()
  })
  try {
    const told = await announced
    // A program that has announced itself has a process id.
    return { announced: told, pid: Number(child.pid), output: () => output, stop: () => stop(child) }
  } catch (error) {
    await stop(child)
    throw error
  }
}

const readyMs = 30_000
const stopMs = 10_000

const stop = async (child: ChildProcess): Promise<void> => {
  if (child.pid === undefined || child.exitCode !== null || child.signalCode !== null) return
  const closed = once(child, 'close')
  child.kill('SIGTERM')
  const patience = new AbortController()
  const insist = sleep(stopMs, null, { signal: patience.signal }).then(
    () => child.kill('SIGKILL'),
    () => false,
  )
  await closed
  patience.abort()
  await insist
}
