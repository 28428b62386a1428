export type Asked = { status: number; headers: Headers; text: string; body: unknown }

/** One request without the SDK, where a test needs what the SDK would not send or would not show. */
export const ask = async (
  url: string,
  line: string,
  options: { credential?: string; body?: unknown; headers?: Record<string, string> } = {},
): Promise<Asked> => {
  const [method = 'GET', path = '/'] = line.split(' ')
  const { credential, body, headers } = options
  const response = await fetch(url + path, {
    method,
    headers: {
      ...(credential === undefined ? {} : { authorization: `Bearer ${credential}` }),
      ...(body === undefined ? {} : { 'content-type': 'application/json' }),
      ...headers,
    },
    ...(body === undefined ? {} : { body: typeof body === 'string' ? body : JSON.stringify(body) }),
  })
  const text = await response.text()
  const isJson = response.headers.get('content-type')?.startsWith('application/json') ?? false
  return {
    status: response.status,
    headers: response.headers,
    text,
    body: isJson && text !== '' ? JSON.parse(text) : null,
  }
}
