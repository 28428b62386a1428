import ky, { type KyInstance } from 'ky'

type Options = { timeout?: number; fetch?: typeof fetch }
type CallOptions = { signal?: AbortSignal }

interface Action {
  id: string
  name: string
  status: 'draft' | 'active'
}

interface Page {
  object: 'list'
  data: Action[]
  next_cursor: string | null
}

export const connect = (prefix: string, options: Options = {}): KyInstance =>
  ky.create({ prefix, headers: { authorization: 'Bearer sk_bench_0123456789' }, ...options })

export const list = (client: KyInstance, options: CallOptions = {}) =>
  client.get('api/v1/actions', options).json<Page>()
export const create = (client: KyInstance, options: CallOptions = {}) =>
  client.post('api/v1/actions', { json: { name: 'Refunds' }, ...options }).json<Action>()
export const get = (client: KyInstance, id: string) => client.get(`api/v1/actions/${id}`).json<Action>()
export const update = (client: KyInstance, id: string) =>
  client.patch(`api/v1/actions/${id}`, { json: { name: 'Returns' } }).json<Action>()
export const remove = (client: KyInstance, id: string) => client.delete(`api/v1/actions/${id}`)
