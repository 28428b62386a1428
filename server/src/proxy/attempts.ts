import { setTimeout as sleep } from 'node:timers/promises'
import type { Breakers } from './breaker.ts'
import { type Egress, type UpstreamAnswer, UpstreamFailure, type UpstreamRequest } from './egress.ts'
import type { Retry } from './retry.ts'
import { RetryBudget } from './retry-budget.ts'
import { causeOfFailure, causeOfStatus, retryAfterMs, tryMs, waitMs } from './retry-schedule.ts'

type AttemptsOptions = {
  egress: Pick<Egress, 'send'>
  breakers: Breakers
  /** Milliseconds that never go back. */
  now: () => number
  random: () => number
}

/**
 * The tries of one call. `timeoutMs` of its request is the deadline over all of them and the waits between, so the
 * lease of its execution covers them without knowing of them. What is told is how the last try ended.
 */
export class Attempts {
  readonly #options: AttemptsOptions
  readonly #budget: RetryBudget
  readonly #closing = new AbortController()

  constructor(options: AttemptsOptions) {
    this.#options = options
    this.#budget = new RetryBudget(options.now)
  }

  /** Not async: a call that is never tried again costs one promise, that of the door. */
  send(workspaceId: string, retry: Retry | null, request: UpstreamRequest): Promise<UpstreamAnswer> {
    const { breakers, egress } = this.#options
    breakers.sending(workspaceId, request.origin, request.timeoutMs)
    return retry === null ? egress.send(request) : this.#repeat(workspaceId, retry, request)
  }

  /** Ends the waits between tries: the failures they waited after are told. */
  close(): void {
    this.#closing.abort()
  }

  async #repeat(workspaceId: string, retry: Retry, request: UpstreamRequest): Promise<UpstreamAnswer> {
    const { egress, now } = this.#options
    const startedAt = now()
    const leftMs = () => startedAt + request.timeoutMs - now()
    this.#budget.count(`${workspaceId} ${request.origin}`)
    let wasSent = false
    for (let tries = 1; ; tries += 1) {
      const timeoutMs = Math.max(1, tryMs(retry, tries, leftMs()))
      const result = await egress.send({ ...request, timeoutMs }).catch(asFailure)
      const isFailure = result instanceof UpstreamFailure
      wasSent ||= !isFailure || result.sent
      const wait = tries > retry.max ? null : this.#waitAfter(result, retry, tries, leftMs())
      if (wait !== null && (await this.#pause(workspaceId, request.origin, result, startedAt, wait))) continue
      // An earlier try may have acted, also where the last one was never sent.
      if (isFailure) throw new UpstreamFailure(result.reason, wasSent, result.code, tries)
      return { ...result, attempts: tries, durationMs: now() - startedAt }
    }
  }

  #waitAfter(result: Result, retry: Retry, tries: number, leftMs: number): number | null {
    const { random } = this.#options
    if (result instanceof UpstreamFailure) {
      return causeOfFailure(result, retry) && waitMs({ tries, askedMs: 0, leftMs }, random)
    }
    if (causeOfStatus(result.status, retry) === null) return null
    const askedMs = retryAfterMs(result.headers) ?? 0
    return waitMs({ tries, askedMs, leftMs }, random)
  }

  /**
   * Waits for the next try, or says that there is none: the budget is spent, or the target is given up, by this
   * failure or meanwhile. A failure that is followed by a try is noted here, the last one by the call.
   */
  async #pause(
    workspaceId: string,
    origin: string,
    result: Result,
    startedAt: number,
    wait: number,
  ): Promise<boolean> {
    const { breakers } = this.#options
    if (breakers.isOpen(workspaceId, origin) || !this.#budget.take(`${workspaceId} ${origin}`)) return false
    breakers.note(workspaceId, origin, result, startedAt)
    const { signal } = this.#closing
    if (!breakers.isOpen(workspaceId, origin)) await sleep(wait, undefined, { signal }).catch(() => {})
    return !signal.aborted && !breakers.isOpen(workspaceId, origin)
  }
}

type Result = UpstreamAnswer | UpstreamFailure

const asFailure = (thrown: unknown): UpstreamFailure => {
  if (thrown instanceof UpstreamFailure) return thrown
  throw thrown
}
