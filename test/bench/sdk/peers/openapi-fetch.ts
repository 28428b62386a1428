import type { paths } from '@narrowapi/openapi/types'
import createClient, { type Client } from 'openapi-fetch'

type Options = { fetch?: typeof fetch }
type CallOptions = { signal?: AbortSignal }

export const connect = (baseUrl: string, { fetch }: Options = {}): Client<paths> =>
  createClient<paths>({
    baseUrl,
    headers: { authorization: 'Bearer sk_bench_0123456789' },
    ...(fetch ? { fetch } : {}),
  })

export const list = async (client: Client<paths>, options: CallOptions = {}) => {
  const { data, response } = await client.GET('/api/v1/actions', options)
  if (!data) throw new Error(`The list was answered with ${response.status}`, { cause: response })
  return data
}
export const create = async (client: Client<paths>, options: CallOptions = {}) => {
  const body = { name: 'Refunds', target_url: 'https://api.example.com/refunds' } as const
  const { data, response } = await client.POST('/api/v1/actions', { body, ...options })
  if (!data) throw new Error(`The create was answered with ${response.status}`, { cause: response })
  return data
}
export const get = (client: Client<paths>, id: string) =>
  client.GET('/api/v1/actions/{id}', { params: { path: { id } } })
export const update = (client: Client<paths>, id: string) =>
  client.PATCH('/api/v1/actions/{id}', { params: { path: { id } }, body: { name: 'Returns' } })
export const remove = (client: Client<paths>, id: string) =>
  client.DELETE('/api/v1/actions/{id}', { params: { path: { id } } })
