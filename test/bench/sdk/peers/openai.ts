import OpenAI from 'openai'

type Options = { timeout?: number; fetch?: typeof fetch }
type CallOptions = { signal?: AbortSignal }

export const connect = (baseURL: string, options: Options = {}): OpenAI =>
  new OpenAI({ apiKey: 'sk-bench-0123456789', baseURL, ...options })

export const list = (client: OpenAI, options?: CallOptions) => client.vectorStores.list({}, options)
export const create = (client: OpenAI, options?: CallOptions) =>
  client.vectorStores.create({ name: 'Refunds' }, options)
export const get = (client: OpenAI, id: string) => client.vectorStores.retrieve(id)
export const update = (client: OpenAI, id: string) => client.vectorStores.update(id, { name: 'Returns' })
export const remove = (client: OpenAI, id: string) => client.vectorStores.delete(id)
