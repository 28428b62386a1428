import { getEventListeners } from 'node:events'
import type { RequestListener } from 'node:http'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Peer, PeerModule } from './peers.ts'
import { cut, item, page, refuse, type Seen, stall, startScriptedServer } from './scripted-server.ts'
import { isCreatedItem, isListPage } from './workload.ts'

/** What a client is to do about a server, with its default settings and over a real socket. */
export type Behaviour = {
  title: string
  /** Answers what happened instead; undefined when all was right. */
  run: (call: Call, peer: Peer) => Promise<string | undefined>
}

export type Verdict = { title: string; instead: string | undefined }

/** Side by side, since they mostly wait. */
export const behave = (peer: Peer, module: PeerModule): Promise<Verdict[]> =>
  Promise.all(
    behaviours.map(async ({ title, run }) => ({ title, instead: await run(callOf(peer, module), peer) })),
  )

export const behaviours: readonly Behaviour[] = [
  {
    title: 'GET 429, Retry-After: 1: waits 1 s and succeeds',
    run: async (call) => {
      const { seen, outcome } = await call('list', [refuse(429, { 'retry-after': '1' }), page])
      return notSucceeded(outcome) ?? notWaited(seen, 1000)
    },
  },
  {
    title: 'GET 429, Retry-After: a date 3 s ahead: waits until then',
    run: async (call) => {
      // A date has whole seconds.
      const until = Math.floor(Date.now() / 1000 + 3) * 1000
      const date = new Date(until).toUTCString()
      const { seen, outcome } = await call('list', [refuse(429, { 'retry-after': date }), page])
      return notSucceeded(outcome) ?? notWaited(seen, until - (seen[0]?.date ?? Number.NaN))
    },
  },
  {
    title: 'GET 429, Retry-After: 120: fails at once and tells the delay',
    run: async (call) => {
      const { seen, outcome } = await call('list', [refuse(429, { 'retry-after': '120' }), page])
      if (seen.length > 1) return `asks again after ${seconds(gap(seen))}`
      if (outcome.kind !== 'failed') return describe(outcome)
      return tells(outcome.error, 120) ? undefined : `${nameOf(outcome.error)} does not tell the delay`
    },
  },
  {
    title: 'GET 503: retries and succeeds',
    run: async (call) => notSucceeded((await call('list', [refuse(503), page])).outcome),
  },
  {
    title: 'POST 503: retries with the same key and succeeds',
    run: async (call) => {
      const { seen, outcome } = await call('create', [refuse(503), item])
      return notSucceeded(outcome) ?? notOneKey(seen)
    },
  },
  {
    title: 'POST 429, Retry-After: 1: waits 1 s, retries with the same key and succeeds',
    run: async (call) => {
      const { seen, outcome } = await call('create', [refuse(429, { 'retry-after': '1' }), item])
      return notSucceeded(outcome) ?? notWaited(seen, 1000) ?? notOneKey(seen)
    },
  },
  {
    title: 'POST, the connection is cut: retries with the same key and succeeds',
    run: async (call) => {
      const { seen, outcome } = await call('create', [cut, item])
      return notSucceeded(outcome) ?? notOneKey(seen)
    },
  },
  {
    title: 'GET, the body stalls, timeout 1 s: fails with a typed timeout',
    run: async (call) => {
      const { outcome } = await call('list', [stall], { timeout: 1000 })
      if (outcome.kind !== 'failed') return describe(outcome)
      return isTimeout(outcome.error) ? undefined : `${nameOf(outcome.error)} is no timeout`
    },
  },
  {
    title: 'GET, aborted in the back-off: rejects at once with the reason and leaves no listener',
    run: async (call, { hasSignal }) => {
      if (!hasSignal) return 'takes no signal'
      const controller = new AbortController()
      const reason = new Error('The user left')
      let abortedAt = Number.NaN
      const refuseThenAbort: RequestListener = (request, response) => {
        refuse(503, { 'retry-after': '4' })(request, response)
        // By then the answer has arrived, and no peer has asked again.
        setTimeout(() => {
          abortedAt = performance.now()
          controller.abort(reason)
        }, 150)
      }
      const { outcome } = await call('list', [refuseThenAbort], { signal: controller.signal })
      if (outcome.kind !== 'failed') return describe(outcome)
      const name = nameOf(outcome.error)
      if (Number.isNaN(abortedAt)) return `fails with ${name} before a back-off`
      const lateMs = outcome.endedAt - abortedAt
      if (lateMs > 500) return `${name} ${seconds(lateMs)} after the abort`
      if (!chainOf(outcome.error).includes(reason)) return `${name} does not hold the reason`
      const left = getEventListeners(controller.signal, 'abort').length
      return left === 0 ? undefined : `leaves ${left} listeners`
    },
  },
]

type Outcome =
  | { kind: 'succeeded'; isRight: boolean }
  | { kind: 'failed'; error: unknown; endedAt: number }
  | { kind: 'waiting' }

/** One call of a fresh client to a fresh server that takes the given steps. */
type Call = (
  method: 'list' | 'create',
  steps: readonly RequestListener[],
  options?: { timeout?: number; signal?: AbortSignal },
) => Promise<{ seen: readonly Seen[]; outcome: Outcome }>

const callOf =
  (peer: Peer, module: PeerModule): Call =>
  async (method, steps, { timeout, signal } = {}) => {
    const server = await startScriptedServer(steps)
    const client = module.connect(server.url, timeout && peer.hasTimeout ? { timeout } : {})
    const ownSignal = timeout && !peer.hasTimeout ? AbortSignal.timeout(timeout) : signal
    const call = module[method](client, ownSignal ? { signal: ownSignal } : {})
    const isRight = method === 'list' ? isListPage : isCreatedItem
    const outcome = await Promise.race([
      call.then(
        (value): Outcome => ({ kind: 'succeeded', isRight: isRight(value) }),
        (error: unknown): Outcome => ({ kind: 'failed', error, endedAt: performance.now() }),
      ),
      sleep(PATIENCE_MS, { kind: 'waiting' } as const, { ref: false }),
    ])
    const seen = [...server.seen]
    server.stop()
    return { seen, outcome }
  }

/** Longer than any wait that is asked for and obeyed, and than three timeouts with back-offs between them. */
const PATIENCE_MS = 9000

const describe = (outcome: Outcome): string => {
  if (outcome.kind === 'waiting') return `still waits after ${seconds(PATIENCE_MS)}`
  if (outcome.kind === 'failed') return `fails with ${nameOf(outcome.error)}`
  return outcome.isRight ? 'succeeds' : 'succeeds with another answer'
}

const notSucceeded = (outcome: Outcome): string | undefined =>
  outcome.kind === 'succeeded' && outcome.isRight ? undefined : describe(outcome)

/** Neither sooner, but for the grain of timers, nor two seconds later, which would be a wait of its own. */
const notWaited = (seen: readonly Seen[], ms: number): string | undefined => {
  const waitedMs = gap(seen)
  return waitedMs > ms - 20 && waitedMs < ms + 2000 ? undefined : `asks again after ${seconds(waitedMs)}`
}

const notOneKey = (seen: readonly Seen[]): string | undefined => {
  const keys = new Set(seen.map(({ idempotencyKey }) => idempotencyKey))
  if (keys.has(undefined)) return 'repeats without a key'
  return keys.size === 1 ? undefined : 'repeats with another key'
}

const gap = ([first, second]: readonly Seen[]): number =>
  (second?.at ?? Number.NaN) - (first?.at ?? Number.NaN)

/** An error and those it holds, under `cause` or any other name. */
const chainOf = (error: unknown): unknown[] =>
  error instanceof Error ? [error, ...Object.values({ ...error, cause: error.cause }).flatMap(chainOf)] : []

/** By what a program can test: the text of a message may change with any version. */
const isTimeout = (error: unknown): boolean =>
  chainOf(error).some((each) => {
    const { name, code } = each as { name?: unknown; code?: unknown }
    return [className(each), name, code].some((word) => /timed?_?out/i.test(String(word)))
  })

/** Whether a number of seconds can be read from an error: in a field of its own, or in the headers it carries. */
const tells = (value: unknown, wanted: number, depth = 0): boolean => {
  if (value === wanted || value === wanted * 1000 || value === String(wanted)) return true
  if (typeof value !== 'object' || value === null || depth > 3) return false
  if (value instanceof Headers) return value.get('retry-after') === String(wanted)
  if (value instanceof Response) return tells(value.headers, wanted)
  return Object.getOwnPropertyNames(value).some((name) =>
    tells((value as Record<string, unknown>)[name], wanted, depth + 1),
  )
}

/** For example `RateLimitError 429`. */
const nameOf = (error: unknown): string => {
  const { name, status } = error as { name?: unknown; status?: unknown }
  const own = className(error)
  const title = own === 'Error' || own === 'Object' ? String(name ?? own) : own
  return typeof status === 'number' ? `${title} ${status}` : title
}

const className = (value: unknown): string => Object(value).constructor.name

const seconds = (ms: number): string => `${(ms / 1000).toFixed(1)} s`
