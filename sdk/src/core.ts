import { fail, type Read, readAnswer } from './answer.ts'
import { defaults, type Hooks, merge } from './config.ts'
import { iterate, take } from './page.ts'
import { type Operation, send } from './request.ts'
import type { Call, CoreOptions, Page, PageCall, RequestOptions, WithResponse } from './types.ts'

/** What the functions of `@narrowapi/sdk/functions` are given first. Shows nothing of its options. */
export interface Client {
  /** @internal */
  readonly send: (operation: Operation) => Promise<WithResponse<unknown>>
}

/** With hooks, for the client that is made of the small one. */
export const createHookedClient = (options: Omit<CoreOptions, 'fetch'> & Hooks): Client => {
  const config = merge(defaults, options)
  return { send: (operation) => send(config, operation) }
}

/**
 * A small client for the functions. `createFullClient` makes one that reads the environment, checks its options,
 * logs, and knows middleware.
 */
export const createClient: (options: CoreOptions) => Client = createHookedClient

export const call = <T>(
  client: Client,
  name: string,
  method: string,
  path: string,
  params: readonly unknown[],
  input?: object,
  options?: RequestOptions,
): Call<T> => toCall(client.send({ name, method, path, params, input, options, read: readAnswer }))

/** The call, and the answer it brought, are one promise: `await` and `withResponse` see the same attempt. */
export const toCall = <T>(answer: Promise<WithResponse<unknown>>): Call<T> => {
  // What an operation answers is what the contract promises.
  const data = answer.then(({ data }) => data as T)
  return Object.assign(data, { withResponse: () => data.then(() => answer as Promise<WithResponse<T>>) })
}

export const list = <T>(
  client: Client,
  name: string,
  path: string,
  params: readonly unknown[],
  query?: object,
  options?: RequestOptions,
): PageCall<T> => {
  const load = (cursor?: string): Promise<Page<T>> =>
    list(client, name, path, params, cursor ? { ...query, cursor } : query, options)
  /** Adds `nextPage`, out of sight of `JSON.stringify` and of comparisons, to what must be a list. */
  const read: Read = (...answer) => {
    const data = readAnswer(...answer) as Page<T> | undefined
    if (!Array.isArray(data?.data)) return fail(...answer)
    const { has_more, next_cursor } = data
    const value = async () => (has_more && next_cursor ? load(next_cursor) : null)
    return Object.defineProperty(data, 'nextPage', { value })
  }
  const page: Call<Page<T>> = toCall(
    client.send({ name, method: 'GET', path, params, input: query, options, read }),
  )
  // Whoever keeps a list to go over it later has not yet had a chance to handle its failure.
  page.catch(() => {})
  const iterator = <Item>(pick: (page: Page<T>) => readonly Item[]) =>
    iterate(page, load, pick, options?.prefetch)
  const items = () => iterator(({ data }) => data)
  return Object.assign(page, {
    [Symbol.asyncIterator]: items,
    pages: () => iterator((each) => [each]),
    // A forgotten one is for `take` to refuse.
    toArray: (options?: { max: number }) => take(items(), options?.max),
  })
}
