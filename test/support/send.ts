/** A request as any program would send it, for what the SDK would not let a test do. */
export type Request = {
  credential?: string | undefined
  /** Sent as JSON; a string is sent as it is. */
  body?: unknown
  headers?: Record<string, string>
}

export type Answer = { status: number; headers: Headers; text: string; body: unknown }

export const send = async (
  baseUrl: string,
  method: string,
  path: string,
  { credential, body, headers = {} }: Request = {},
): Promise<Answer> => {
  const response = await fetch(baseUrl + path, {
    method,
    redirect: 'manual',
    headers: {
      ...(credential === undefined ? {} : { authorization: `Bearer ${credential}` }),
      ...(body === undefined ? {} : { 'content-type': 'application/json' }),
      ...headers,
    },
    ...(body === undefined ? {} : { body: typeof body === 'string' ? body : JSON.stringify(body) }),
  })
  const text = await response.text()
  return { status: response.status, headers: response.headers, text, body: parsed(text) }
}

/** The same with the request line in one text: `ask(url, 'POST /api/v1/actions', { body })`. */
export const ask = (baseUrl: string, line: string, request?: Request): Promise<Answer> => {
  const [method = 'GET', path = '/'] = line.split(' ')
  return send(baseUrl, method, path, request)
}

/** What must be the same of two answers that may not differ: all but the id of their requests. */
export const withoutRequestId = ({ status, text, headers }: Answer) => ({
  status,
  text: text.replaceAll(headers.get('x-request-id') ?? '', ''),
})

const parsed = (text: string): unknown => {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}
