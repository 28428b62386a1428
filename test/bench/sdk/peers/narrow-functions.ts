import {
  actionsCreate,
  actionsDelete,
  actionsGet,
  actionsList,
  actionsUpdate,
  type Client,
  createClient,
} from '@narrowapi/sdk/functions'

type Options = { timeout?: number; fetch?: typeof fetch }
type CallOptions = { signal?: AbortSignal }

export const connect = (baseUrl: string, options: Options = {}): Client =>
  createClient({ apiKey: 'sk_bench_0123456789', baseUrl, ...options })

export const list = (narrow: Client, options?: CallOptions) => actionsList(narrow, {}, options)
export const create = (narrow: Client, options?: CallOptions) =>
  actionsCreate(narrow, { name: 'Refunds', target_url: 'https://api.example.com/refunds' }, options)
export const get = (narrow: Client, id: string) => actionsGet(narrow, id)
export const update = (narrow: Client, id: string) => actionsUpdate(narrow, id, { name: 'Returns' })
export const remove = (narrow: Client, id: string) => actionsDelete(narrow, id)
