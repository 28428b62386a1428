import { NarrowAPI } from '../client.ts'
import type { ClientOptions } from '../types.ts'
import { findActor } from './actor.ts'
import { MockApiError } from './api-error.ts'
import { ANY, Behaviours } from './behaviours.ts'
import { ConnectionCut, type Fault, type StatusFault, stalled, toFaultError, wait } from './fault.ts'
import type { Incoming } from './incoming.ts'
import {
  type BodyOf,
  type DataOf,
  findOperation,
  type MockAnswer,
  type OperationName,
  type ParamsOf,
  type QueryOf,
  rowOf,
} from './operations.ts'
import type { Override, OverrideCall } from './override.ts'
import { type RecordedRequest, Recorder } from './requests.ts'
import { createKey } from './rules/api-keys.ts'
import { type MockSeed, plant } from './seed.ts'
import { serve } from './serve.ts'
import { State } from './state.ts'

/** Options of `createMockNarrowAPI`. */
export interface MockOptions {
  /** What the workspace holds from the beginning, and again after `reset()`. */
  readonly seed?: MockSeed
  /** Default: the real time. */
  readonly now?: () => Date
  /**
   * Makes retries instant: refusals ask for no wait (`Retry-After-Ms: 0`, which comes before `Retry-After`), and
   * clients made by `client()` do not back off. Default: they wait as they would in production.
   */
  readonly instantRetries?: boolean
}

/** What an override is asked with. */
export interface MockCall<Name extends OperationName> {
  /** For example `actions.create`. */
  readonly operation: Name
  /** The path parameters by name. */
  readonly params: ParamsOf<Name>
  /** The parsed query. */
  readonly query: QueryOf<Name>
  /** The parsed body with its defaults. */
  readonly body: BodyOf<Name>
  /** As they were sent. */
  readonly headers: Headers
  /** What the mock itself would answer; nothing is done or recorded unless it is called. */
  readonly original: () => Promise<DataOf<Name>>
}

/** Makes the answer to one request. */
export type MockResolver<Name extends OperationName> = (
  call: MockCall<Name>,
) => MockAnswer<Name> | Promise<MockAnswer<Name>>

/** How long an override or a fault lasts. */
export interface Times {
  /** After so many requests it is used up. Default: never. */
  readonly times?: number
}

/**
 * A fake of the whole API in memory. It keeps what is created, checks what is sent as the server does, and
 * answers with the same shapes, codes and headers. No network, no dependency.
 */
export class MockNarrowAPI {
  /** Pass it to the client under test: `new NarrowAPI({ apiKey: 'sk_test', fetch: mock.fetch })`. */
  readonly fetch: typeof fetch
  readonly #options: MockOptions
  readonly #behaviours = new Behaviours()
  readonly #recorder = new Recorder()
  #state: State
  #apiKey = ''

  constructor(options: MockOptions = {}) {
    this.#options = options
    this.#state = this.#begin()
    this.fetch = (input, init) => this.#fetch(input, init)
  }

  /** The key of the workspace's owner. Any other `sk_…` that this mock did not give out opens the same. */
  get apiKey(): string {
    return this.#apiKey
  }

  /** The id of the one workspace. */
  get workspaceId(): string {
    return this.#state.workspace.id
  }

  /** Every request so far, retries too, in order. */
  get requests(): readonly RecordedRequest[] {
    return this.#recorder.requests
  }

  /** A client of this mock; with the owner's key unless the options say otherwise. */
  client(options: ClientOptions = {}): NarrowAPI {
    return new NarrowAPI({
      apiKey: this.#apiKey,
      baseUrl: 'http://narrowapi.mock',
      ...(this.#options.instantRetries && { maxRetryDelay: 0 }),
      ...options,
      fetch: this.fetch,
    })
  }

  /**
   * Answers an operation in place of the mock, with data or with what a function makes of each call. What is
   * sent is checked first all the same. Of `x.execute` it is the upstream's answer: a `Response` where its
   * status matters.
   */
  on<Name extends OperationName>(
    operation: Name,
    answer: MockAnswer<Name> | MockResolver<Name>,
    { times = Number.POSITIVE_INFINITY }: Times = {},
  ): this {
    rowOf(operation)
    this.#behaviours.add(operation, { kind: 'answer', answer }, times)
    return this
  }

  /** One answer after another; after the last, what there was before. */
  sequence<Name extends OperationName>(
    operation: Name,
    answers: readonly (MockAnswer<Name> | MockResolver<Name>)[],
  ): this {
    for (const answer of answers) this.on(operation, answer, { times: 1 })
    return this
  }

  /** Makes an operation fail, or be slow; `*` stands for all. */
  fail(
    operation: OperationName | typeof ANY,
    fault: Fault,
    { times = Number.POSITIVE_INFINITY }: Times = {},
  ): this {
    if (operation !== ANY) rowOf(operation)
    this.#behaviours.add(operation, { kind: 'fault', fault }, times)
    return this
  }

  /** Takes overrides and faults away, of one operation or of all. What was created stays. */
  restore(operation?: OperationName | typeof ANY): void {
    this.#behaviours.clear(operation)
  }

  /** As it was when it was made: the seed, no overrides, no faults, no requests. */
  reset(): void {
    this.restore()
    this.#recorder.clear()
    this.#state = this.#begin()
  }

  #begin(): State {
    const { seed = {}, now = () => new Date() } = this.#options
    const state = new State(now)
    this.#apiKey = createKey(state, { name: 'Owner' }, null).key
    plant(state, seed)
    return state
  }

  async #fetch(input: RequestInfo | URL, init?: RequestInit): Promise<Response> {
    const signal = init?.signal ?? (input instanceof Request ? input.signal : undefined)
    // Without the signal, which the request would go on listening to.
    const request = new Request(input, { ...init, signal: null })
    signal?.throwIfAborted()
    const { pathname, search } = new URL(request.url)
    const incoming: Incoming = {
      method: request.method,
      path: pathname,
      search: search.slice(1),
      headers: request.headers,
      // Read at once where it is text already, so that nothing waits but what a fault makes wait.
      text: typeof init?.body === 'string' ? init.body : request.body === null ? '' : await request.text(),
    }
    const found = findOperation(incoming.method, incoming.path)
    const { name, params } = Array.isArray(found) ? { name: undefined, params: {} } : found
    const settle = this.#recorder.record(
      name,
      params,
      request.url,
      incoming,
      this.#credentialId(name, incoming),
    )
    try {
      const whole = await this.#meet(name, incoming, signal)
      const response = incoming.method === 'HEAD' ? new Response(null, whole) : whole
      settle(!response.ok)
      if (!response.ok && this.#options.instantRetries) response.headers.set('retry-after-ms', '0')
      return response
    } catch (error) {
      settle(true)
      throw error
    }
  }

  #credentialId(name: OperationName | undefined, { headers }: Incoming): string | undefined {
    const actor = name && findActor(this.#state, rowOf(name).auth, headers)
    return actor?.kind === 'key' ? actor.key.id : actor?.kind === 'token' ? actor.token.id : undefined
  }

  /** Lets the next fault happen around the answer. */
  async #meet(
    name: OperationName | undefined,
    incoming: Incoming,
    signal: AbortSignal | undefined,
  ): Promise<Response> {
    const fault = name && this.#behaviours.takeFault(name)
    if (!fault) return this.#serve(incoming, signal, null)
    if ('delayMs' in fault) {
      await wait(fault.delayMs, signal)
      return this.#serve(incoming, signal, null)
    }
    if ('stall' in fault) return stalled(await this.#serve(incoming, signal, null), signal)
    if ('status' in fault) return this.#refuse(name, incoming, signal, fault)
    if (fault.cut === 'after') await this.#serve(incoming, signal, null)
    throw new ConnectionCut()
  }

  async #refuse(
    name: OperationName,
    incoming: Incoming,
    signal: AbortSignal | undefined,
    fault: StatusFault,
  ): Promise<Response> {
    const { status, retryAfter, headers = {} } = fault
    const error = toFaultError(fault, rowOf(name))
    const body = `<html><body>${status}</body></html>`
    const response = error
      ? await this.#serve(incoming, signal, error)
      : new Response(body, { status, headers: { 'content-type': 'text/html' } })
    if (retryAfter !== undefined) {
      const wish = retryAfter instanceof Date ? retryAfter.toUTCString() : String(retryAfter)
      response.headers.set('retry-after', wish)
    }
    for (const [header, value] of Object.entries(headers)) response.headers.set(header, value)
    return response
  }

  /** An abort is heeded at once, also while an override takes its time. */
  #serve(
    incoming: Incoming,
    signal: AbortSignal | undefined,
    refusal: MockApiError | null,
  ): Promise<Response> {
    const answer = serve(this.#state, incoming, { refusal, takeOverride: (name) => this.#takeOverride(name) })
    if (!signal) return answer
    return new Promise((resolve, reject) => {
      const onAbort = () => reject(signal.reason)
      signal.addEventListener('abort', onAbort, { once: true })
      answer.finally(() => signal.removeEventListener('abort', onAbort)).then(resolve, reject)
    })
  }

  #takeOverride(name: OperationName): Override | undefined {
    const taken = this.#behaviours.takeAnswer(name)
    if (!taken) return undefined
    const { answer } = taken
    // No operation's data is a function, so a function is a resolver; `on` held it to its operation's types.
    if (typeof answer === 'function') return async (call: OverrideCall) => answer(call)
    // A response is read once, and an answer for good may be given often.
    return async () => (answer instanceof Response ? answer.clone() : copyOf(answer))
  }
}

/** The answer itself stays as it was given, whatever becomes of the one that is sent. */
const copyOf = (answer: unknown): unknown =>
  answer instanceof MockApiError ? answer : structuredClone(answer)

/** A fake of the whole API for a test: `createMockNarrowAPI().client()`. */
export const createMockNarrowAPI = (options?: MockOptions): MockNarrowAPI => new MockNarrowAPI(options)
