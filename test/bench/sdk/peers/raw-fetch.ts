/** What everything here is compared with: the code anybody would write with no SDK at all. */
type Client = { baseUrl: string; fetch: typeof fetch }
type Options = { fetch?: typeof fetch }
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

export const connect = (baseUrl: string, { fetch = globalThis.fetch }: Options = {}): Client => ({
  baseUrl,
  fetch,
})

export const list = (client: Client, options?: CallOptions) =>
  call<Page>(client, 'GET', '/api/v1/actions', undefined, options)
export const create = (client: Client, options?: CallOptions) =>
  call<Action>(client, 'POST', '/api/v1/actions', { name: 'Refunds' }, options)
export const get = (client: Client, id: string) => call<Action>(client, 'GET', `/api/v1/actions/${id}`)
export const update = (client: Client, id: string) =>
  call<Action>(client, 'PATCH', `/api/v1/actions/${id}`, { name: 'Returns' })
export const remove = (client: Client, id: string) => call<void>(client, 'DELETE', `/api/v1/actions/${id}`)

const call = async <T>(
  { baseUrl, fetch }: Client,
  method: string,
  path: string,
  body?: object,
  options?: CallOptions,
): Promise<T> => {
  const response = await fetch(`${baseUrl}${path}`, {
    method,
    headers: { authorization: 'Bearer sk_bench_0123456789', 'content-type': 'application/json' },
    ...(body ? { body: JSON.stringify(body) } : {}),
    ...options,
  })
  if (!response.ok)
    throw new Error(`${method} ${path} was answered with ${response.status}`, { cause: response })
  // What the server promises.
  return (await response.json()) as T
}
