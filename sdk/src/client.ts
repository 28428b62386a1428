import { merge } from './config.ts'
import { type Client, call, list } from './core.ts'
import { execute } from './execute.ts'
import { createFullClient } from './full.ts'
import type { Operations } from './generated/client.ts'
import { routes } from './generated/routes.ts'
import type { Call, ClientOptions, RequestOptions, Route, Routes } from './types.ts'

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

class EveryOperation {
  readonly #options: ClientOptions
  readonly #client: Client

  constructor(options: string | ClientOptions = {}) {
    this.#options = typeof options === 'string' ? { apiKey: options } : options
    this.#client = createFullClient(this.#options)
  }

  execute<Output>(actionId: string, input?: object, options?: RequestOptions): Call<Output> {
    return execute(this.#client, actionId, input, options)
  }

  with(options: ClientOptions): EveryOperation {
    return new EveryOperation(merge(this.#options, options))
  }

  static {
    // A noun's methods are made when it is first used and then kept on the client as an ordinary property.
    for (const [noun, verbs] of Object.entries<Routes[string]>(routes)) {
      Object.defineProperty(EveryOperation.prototype, noun, {
        get(this: EveryOperation) {
          const value = toNoun(this.#client, noun, verbs)
          Object.defineProperty(this, noun, { value, writable: true, configurable: true })
          return value
        },
      })
    }
  }
}

const toNoun = (client: Client, noun: string, verbs: Routes[string]) =>
  Object.fromEntries(
    Object.entries(verbs).map(([verb, route]) => [verb, toMethod(client, `${noun}.${verb}`, route)]),
  )

/** Sorts the arguments: path parameters, then a body or a query if the route takes one, then options. */
const toMethod = (client: Client, name: string, { method, path, paged, query, body }: Route) => {
  const count = path.split('{').length - 1
  return (...args: unknown[]) => {
    const params = args.slice(0, count)
    // The generated interfaces type the arguments; these are the positions they promise.
    const rest = args.slice(count) as [object?, RequestOptions?]
    const input = query || body ? rest.shift() : undefined
    const options = rest[0] as RequestOptions | undefined
    if (name === 'x.execute') return execute(client, params[0] as string, input, options)
    return paged
      ? list(client, name, path, params, input, options)
      : call(client, name, method, path, params, body ? (input ?? {}) : input, options)
  }
}

/**
 * The client. `new NarrowAPI()` reads `NARROWAPI_API_KEY` and `NARROWAPI_BASE_URL`,
 * `new NarrowAPI('sk_…')` takes the key, `new NarrowAPI({ … })` everything there is to choose.
 */
// True because the static block gives the class one property for each noun of the generated table, and
// `Operations` is generated from the same table.
export const NarrowAPI = EveryOperation as unknown as new (options?: string | ClientOptions) => NarrowAPI
