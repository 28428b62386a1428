import Anthropic from '@anthropic-ai/sdk'

type Options = { timeout?: number; fetch?: typeof fetch }
type CallOptions = { signal?: AbortSignal }

export const connect = (baseURL: string, options: Options = {}): Anthropic =>
  new Anthropic({ apiKey: 'sk-ant-bench-0123456789', baseURL, ...options })

export const list = (client: Anthropic, options?: CallOptions) => client.messages.batches.list({}, options)
export const create = (client: Anthropic, options?: CallOptions) =>
  client.messages.batches.create({ requests: [] }, options)
export const get = (client: Anthropic, id: string) => client.messages.batches.retrieve(id)
export const cancel = (client: Anthropic, id: string) => client.messages.batches.cancel(id)
export const remove = (client: Anthropic, id: string) => client.messages.batches.delete(id)
