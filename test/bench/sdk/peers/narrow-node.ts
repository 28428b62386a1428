import { NarrowAPI } from '@narrowapi/sdk'
import { createNodeFetch } from '@narrowapi/sdk/node'

type Options = { timeout?: number; fetch?: typeof fetch }
type CallOptions = { signal?: AbortSignal }

export const connect = (baseUrl: string, options: Options = {}): NarrowAPI =>
  new NarrowAPI({ apiKey: 'sk_bench_0123456789', baseUrl, fetch: createNodeFetch(), ...options })

export const list = (narrow: NarrowAPI, options?: CallOptions) => narrow.actions.list({}, options)
export const create = (narrow: NarrowAPI, options?: CallOptions) =>
  narrow.actions.create({ name: 'Refunds', target_url: 'https://api.example.com/refunds' }, options)
export const get = (narrow: NarrowAPI, id: string) => narrow.actions.get(id)
export const update = (narrow: NarrowAPI, id: string) => narrow.actions.update(id, { name: 'Returns' })
export const remove = (narrow: NarrowAPI, id: string) => narrow.actions.delete(id)
