import { type Config, toConfig } from './config.ts'
import type { Operations } from './generated/client.ts'
import { routes } from './generated/routes.ts'
import { iterateItems, iteratePages, takeItems, toPage } from './page.ts'
import { type Operation, send, toOperation } from './request.ts'
import type { Call, ClientOptions, Page, PageCall, RequestOptions, Route, Routes } from './types.ts'

/** Every operation of the API, plus what belongs to the client itself. */
export interface NarrowAPI extends Operations {
  /**
   * Runs an action with an execution token (`sxt_…`) and gives what the upstream answered. The input is
   * checked against the action's schema and constraints first. An upstream answer outside 2xx is thrown as
   * `UpstreamResponseError` and never retried.
   */
  execute<Output = unknown>(actionId: string, input?: object, options?: RequestOptions): Call<Output>
  /** A client that differs from this one in the given options only. */
  with(options: ClientOptions): NarrowAPI
}

class Client {
  readonly #options: ClientOptions
  readonly #config: Config

  constructor(options: string | ClientOptions = {}) {
    this.#options = typeof options === 'string' ? { apiKey: options } : options
    this.#config = toConfig(this.#options)
  }

  execute(...args: unknown[]): Call<unknown> {
    // Looked up in the table like every other operation; the interface above says what it takes.
    return (this as unknown as { x: Noun }).x.execute?.(...args) as Call<unknown>
  }

  with(options: ClientOptions): Client {
    return new Client({ ...this.#options, ...options })
  }

  static {
    // A noun's methods are made when it is first used and then kept on the client as an ordinary property.
    for (const [noun, verbs] of Object.entries<Routes[string]>(routes)) {
      Object.defineProperty(Client.prototype, noun, {
        get(this: Client) {
          const value = toNoun(this.#config, noun, verbs)
          Object.defineProperty(this, noun, { value, writable: true, configurable: true })
          return value
        },
      })
    }
  }
}

/**
 * The client. `new NarrowAPI()` reads `NARROWAPI_API_KEY` and `NARROWAPI_BASE_URL`,
 * `new NarrowAPI('sk_…')` takes the key, `new NarrowAPI({ … })` everything there is to choose.
 */
// True because the static block gives the class one property for each noun of the generated table, and
// `Operations` is generated from the same table.
export const NarrowAPI = Client as unknown as new (options?: string | ClientOptions) => NarrowAPI

type Noun = Record<string, (...args: unknown[]) => Call<unknown>>

const toNoun = (config: Config, noun: string, verbs: Routes[string]): Noun =>
  Object.fromEntries(
    Object.entries(verbs).map(([verb, route]) => [verb, toMethod(config, `${noun}.${verb}`, route)]),
  )

const toMethod = (config: Config, name: string, route: Route) => {
  const start = route.paged ? startList : startCall
  return (...args: unknown[]): Call<unknown> => start(config, toOperation(name, route, args))
}

/** The call, and the answer it brought, are one promise: `await` and `withResponse` see the same attempt. */
const startCall = (config: Config, operation: Operation): Call<unknown> => {
  const answer = send(config, operation)
  const call = answer.then(({ data }) => data)
  return Object.assign(call, { withResponse: () => call.then(() => answer) })
}

const startList = (config: Config, operation: Operation): PageCall<unknown> => {
  const load = (cursor: string): Promise<Page<unknown>> =>
    startList(config, { ...operation, input: { ...operation.input, cursor } })
  const answer = send(config, operation).then(({ data, response }) => ({
    // A paged route answers with a list; anything else was refused as not JSON.
    data: toPage(data as object, load),
    response,
  }))
  const call = answer.then(({ data }) => data)
  // Whoever keeps a list to go over it later has not yet had a chance to handle its failure.
  call.catch(() => undefined)
  let isFirst = true
  /** The page that is already on its way; asked for anew when it failed and is wanted again. */
  const first = (): Promise<Page<unknown>> => {
    const page = isFirst ? call : startList(config, operation)
    page.catch(() => {
      isFirst = false
    })
    return page
  }
  return Object.assign(call, {
    withResponse: () => call.then(() => answer),
    [Symbol.asyncIterator]: () => iterateItems(first),
    pages: () => iteratePages(first),
    toArray: ({ max }: { max: number }) => takeItems(iterateItems(first), max),
  })
}
