import type { Answer } from '../support/send.ts'

/** What became of one request: its answer, or how the connection failed. */
export type Seen = { outcome: number | string; tookMs: number; answer: Answer | null }

/** Callers that ask again and again, each as soon as it has its answer, and keep what became of every request. */
export class Callers {
  readonly seen: Seen[] = []
  readonly #asked: Promise<unknown>
  #isOver = false

  constructor(count: number, ask: (turn: number) => Promise<Answer>) {
    let turn = 0
    const caller = async (): Promise<void> => {
      while (!this.#isOver) {
        turn += 1
        this.seen.push(await observed(ask(turn)))
      }
    }
    this.#asked = Promise.all(Array.from({ length: count }, caller))
  }

  /** What is seen from now on. */
  from(): () => Seen[] {
    const start = this.seen.length
    return () => this.seen.slice(start)
  }

  async stop(): Promise<void> {
    this.#isOver = true
    await this.#asked
  }
}

export const observed = async (asked: Promise<Answer>): Promise<Seen> => {
  const startedAt = performance.now()
  const seen = await asked.then(
    (answer) => ({ outcome: answer.status, answer }),
    (error: unknown) => ({ outcome: reasonOf(error), answer: null }),
  )
  return { ...seen, tookMs: performance.now() - startedAt }
}

/** `fetch` hides why a connection failed in the cause of its error. */
const reasonOf = (error: unknown): string => {
  const cause = error instanceof Error ? (error.cause ?? error) : error
  return cause instanceof Error && 'code' in cause ? String(cause.code) : String(cause)
}

export const outcomes = (seen: readonly Seen[]): Set<number | string> =>
  new Set(seen.map(({ outcome }) => outcome))

/** Waits until something is so, and says what was awaited when it does not become so. */
export const until = async (
  what: string,
  isSo: () => boolean | Promise<boolean>,
  withinMs = 20_000,
): Promise<void> => {
  for (const deadline = performance.now() + withinMs; performance.now() < deadline; ) {
    if (await isSo()) return
    await new Promise((resolve) => setTimeout(resolve, 25))
  }
  throw new Error(`It did not come about within ${withinMs} ms that ${what}`)
}
