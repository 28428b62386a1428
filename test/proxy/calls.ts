import type { Actor, TestServer } from '../support/server.ts'

export type Answered = {
  status: number
  headers: Headers
  text: string
  /** The body as JSON; undefined when it is none. */
  body: Record<string, unknown> | undefined
  /** The code of a refusal of ours; null for what the upstream said. */
  error: string | null
  executionId: string | null
}

export type CallOptions = { headers?: Record<string, string>; raw?: string | Buffer; method?: string }

/** A call as curl would make it: the SDK hides headers, status and bytes. */
export const call = async (
  { url }: Pick<TestServer, 'url'>,
  token: string,
  path: string,
  input?: unknown,
  { headers = {}, raw, method = 'POST' }: CallOptions = {},
): Promise<Answered> => {
  const text = raw ?? (input === undefined ? undefined : JSON.stringify(input))
  const response = await fetch(`${url}/x/${path}`, {
    method,
    headers: {
      authorization: `Bearer ${token}`,
      ...(text === undefined ? {} : { 'content-type': 'application/json' }),
      ...headers,
    },
    ...(text === undefined ? {} : { body: typeof text === 'string' ? text : new Uint8Array(text) }),
  })
  return answered(response, await response.text())
}

const answered = ({ status, headers }: Response, text: string): Answered => ({
  status,
  headers,
  text,
  body: parsed(text),
  error: headers.get('x-narrowapi-error'),
  executionId: headers.get('x-execution-id'),
})

const parsed = (text: string): Record<string, unknown> | undefined => {
  try {
    const value: unknown = JSON.parse(text)
    // Tests look members up by name; a scalar has none.
    return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : undefined
  } catch {
    return undefined
  }
}

type CreateAction = Parameters<Actor['narrow']['actions']['create']>[0]
type CreateToken = Parameters<Actor['narrow']['tokens']['create']>[0]

/** An action and a token for it. Limits are out of the way unless the test is about them. */
export const callable = async (
  { narrow }: Pick<Actor, 'narrow'>,
  action: Omit<CreateAction, 'name'> & { name?: string },
  token: Omit<CreateToken, 'name' | 'action_ids' | 'grants'> = {},
  grant: Omit<NonNullable<CreateToken['grants']>[number], 'action_id'> = {},
) => {
  const created = await narrow.actions.create({ name: 'An action', rate_limit_rpm: 1_000_000, ...action })
  const { token: text, id } = await narrow.tokens.create({
    name: 'bot',
    grants: [{ action_id: created.id, ...grant }],
    ...token,
  })
  return { action: created, token: text, tokenId: id }
}

/** Does the same so many times at once. */
export const together = <T>(count: number, work: (index: number) => Promise<T>): Promise<T[]> =>
  Promise.all(Array.from({ length: count }, (_, index) => work(index)))

/** How many of each there are. */
export const tally = (values: readonly (string | number | null)[]): Record<string, number> => {
  const counts: Record<string, number> = {}
  for (const value of values) counts[String(value)] = (counts[String(value)] ?? 0) + 1
  return counts
}

/** A clock that stands still until it is moved; durations go on. */
export const settableClock = (start: string) => {
  let offset = 0
  const begin = Date.parse(start)
  return {
    now: () => new Date(begin + offset),
    monotonic: () => performance.now() + offset,
    advance(ms: number) {
      offset += ms
    },
  }
}
