import type { ContractRoute } from '@narrowapi/contract'
import { honoursIdempotencyKey, limits } from '@narrowapi/contract'
import type { Header, Parameter, Reference } from './openapi.ts'

/** The request headers that belong to kinds of routes rather than to one. */
export const parameters = {
  IdempotencyKey: {
    name: 'Idempotency-Key',
    in: 'header',
    description:
      `Any text of 1 to ${limits.idempotencyKeyLength} characters, new for each change you mean. Sent again with the same ` +
      `request within ${limits.idempotencyHours} hours, the first answer is repeated and nothing is done twice.`,
    schema: { type: 'string', minLength: 1, maxLength: limits.idempotencyKeyLength },
  },
  IfMatch: {
    name: 'If-Match',
    in: 'header',
    description: 'The `ETag` you read. If the object was changed since, the answer is `version_conflict`.',
    schema: { type: 'string', examples: ['"3"'] },
  },
  RequestId: {
    name: 'X-Request-ID',
    in: 'header',
    description: 'Your own name for this request in logs and answers. One is made when it is absent.',
    schema: { type: 'string', pattern: '^[A-Za-z0-9_-]{1,64}$' },
  },
  WorkspaceId: {
    name: 'X-Workspace-ID',
    in: 'header',
    description: 'Which workspace is meant. A workspace key implies its own and refuses another.',
    schema: { type: 'string', examples: ['ws_06Wz1Xb4mJq0YcT7eKs2hU'] },
  },
} as const satisfies Record<string, Parameter>

const integer = (description: string, example: number): Header => ({
  description,
  schema: { type: 'integer' },
  example,
})
const text = (description: string, example: string): Header => ({
  description,
  schema: { type: 'string' },
  example,
})

/** Every response header of the API. */
export const headers = {
  'X-Request-ID': text('Names this request in logs and to support', 'req_06Wz1Xb4mJq0YcT7eKs2hU'),
  'X-RateLimit-Limit': integer('How many requests the present window allows', 60),
  'X-RateLimit-Remaining': integer('How many of them are left', 59),
  'X-RateLimit-Reset': integer('When the window ends, in Unix seconds', 1_800_000_000),
  'RateLimit-Policy': text(
    'The policies in the form of the IETF draft: quota and window; `RateLimit` tells of the first',
    '"default";q=60;w=60, "workspace";q=60;w=60',
  ),
  RateLimit: text(
    'What is left of the tightest policy, in the form of the IETF draft',
    '"default";r=59;t=30',
  ),
  'Retry-After': integer('Seconds to wait before trying again', 1),
  ETag: text('The version of the object; send it as `If-Match` to change only this version', '"3"'),
  Location: text('Where the new object is', '/api/v1/actions/act_06Wz1Xb4mJq0YcT7eKs2hU'),
  'Idempotent-Replayed': text(
    '`true` when this is the kept answer to an earlier request with the same key',
    'true',
  ),
  'WWW-Authenticate': text('Which kind of credential is missing', 'Bearer realm="NarrowAPI"'),
  'X-NarrowAPI-Error': text(
    'The code of a refusal of ours. Absent from upstream answers, so the two cannot be mistaken.',
    'policy_denied',
  ),
  'X-Execution-ID': text('The record of this run, when one was made', 'exec_06Wz1Xb4mJq0YcT7eKs2hU'),
  'X-Upstream-Status': integer('The status the upstream answered', 200),
} as const satisfies Record<string, Header>

type HeaderName = keyof typeof headers

export const headerRefs = (names: readonly HeaderName[]): Record<string, Reference> =>
  Object.fromEntries(names.map((name) => [name, { $ref: `#/components/headers/${name}` }]))

export const requestHeadersOf = (route: ContractRoute): Reference[] => {
  const { auth = 'key', versioned } = route.metadata
  const names: (keyof typeof parameters)[] = ['RequestId']
  if (auth === 'key') names.push('WorkspaceId')
  if (honoursIdempotencyKey(route)) names.push('IdempotencyKey')
  if (route.method !== 'GET' && versioned && route.pathParams) names.push('IfMatch')
  return names.map((name) => ({ $ref: `#/components/parameters/${name}` }))
}

const rateLimit = [
  'X-RateLimit-Limit',
  'X-RateLimit-Remaining',
  'X-RateLimit-Reset',
  'RateLimit-Policy',
  'RateLimit',
] as const

/** The headers of every answer of a route, whatever its status. */
const always = ({ metadata }: ContractRoute): HeaderName[] => [
  'X-Request-ID',
  ...(metadata.auth === 'none' ? [] : rateLimit),
]

export const successHeadersOf = (route: ContractRoute, status: number): Record<string, Reference> => {
  const { versioned, edge } = route.metadata
  const names = always(route)
  if (versioned && status !== 204) names.push('ETag')
  if (status === 201) names.push('Location')
  if (honoursIdempotencyKey(route)) names.push('Idempotent-Replayed')
  if (edge) names.push('X-Execution-ID', 'X-Upstream-Status')
  return headerRefs(names)
}

export const errorHeadersOf = (route: ContractRoute, status: number): Record<string, Reference> => {
  const names = always(route)
  if (status === 401) names.push('WWW-Authenticate')
  if (status === 429 || status === 503) names.push('Retry-After')
  if (route.metadata.auth === 'token') names.push('X-NarrowAPI-Error', 'X-Execution-ID')
  return headerRefs(names)
}
