import { apiError, MockApiError } from './api-error.ts'
import { type Incoming, readBody, readIdempotencyKey } from './incoming.ts'
import { countRequest, holding, type Limit, type Slot, workspaceLimit } from './limits.ts'
import type { Override } from './override.ts'
import { once } from './replies.ts'
import { contextOf, recordRefusal } from './rules/audit.ts'
import { checkAgainst } from './rules/judge.ts'
import { findCallable, Run } from './rules/x.ts'
import { exampleOf, isObject } from './schema.ts'
import type { State, StoredToken } from './state.ts'

interface ExecuteRequest {
  /** Id or slug of the action. */
  readonly name: string
  readonly incoming: Incoming
  readonly headers: Headers
  /** What answers in place of the upstream. */
  readonly takeUpstream: () => Override | undefined
}

/** `POST /x/{action_id}` with the checks and the record of the real one; only the upstream is made up. */
export const execute = async (
  state: State,
  token: StoredToken,
  request: ExecuteRequest,
): Promise<Response> => {
  const { incoming, headers } = request
  const { granted, refusal } = findCallable(state, token, request.name)
  const slot = granted && !refusal ? slotOf(granted.action) : null
  const limited = countRequest(state, limitsOf(state, token, granted?.action), headers, { slot })
  if (!granted) {
    const who = { kind: 'token', id: token.id, name: token.name } as const
    if (refusal.code === 'not_found')
      recordRefusal(state, who, 'action not granted', contextOf(incoming.headers, headers))
    throw refusal
  }
  if (refusal && limited) throw refusal
  if (limited) throw limited
  const run = new Run(state, token, granted)
  const reject = (error: unknown): never => {
    if (error instanceof MockApiError) {
      headers.set('x-execution-id', run.id)
      throw run.reject(error)
    }
    throw error
  }
  if (refusal) return reject(refusal)
  const work = async (): Promise<Response> => {
    try {
      run.start(readBody('x.execute', incoming))
    } catch (error) {
      return reject(error)
    }
    headers.set('x-execution-id', run.id)
    return passOn(run, await callUpstream(run, request), headers)
  }
  return holding(state, slot, async () => {
    const key = readIdempotencyKey(incoming)
    if (key === null) return work()
    const name = [token.id, `/x/${granted.action.id}`, key].join('\n')
    // What was sent keeps its key, whatever came back; what was refused before frees it.
    return once(state, { name, body: incoming.text }, headers, work, () => run.wasSent)
  })
}

const slotOf = ({ id, concurrency_limit }: { id: string; concurrency_limit: number | null }): Slot | null =>
  concurrency_limit === null ? null : { name: `concurrency:${id}`, limit: concurrency_limit }

const limitsOf = (
  state: State,
  token: StoredToken,
  action: { id: string; rate_limit_rpm: number; rate_limit_rph: number | null } | undefined,
): Limit[] => {
  const limits: Limit[] = []
  const add = (name: string, limit: number | null, windowMs: number) => {
    if (limit !== null) limits.push({ name, limit, windowMs })
  }
  if (action) {
    add(`action:${action.id}`, action.rate_limit_rpm, 60_000)
    add(`action_hour:${action.id}`, action.rate_limit_rph, 3_600_000)
  }
  add(`token:${token.id}`, token.rate_limit_rpm, 60_000)
  return [...limits, workspaceLimit(state)]
}

/** By default what the action's output schema gives as an example, or the plainest thing that fits it. */
const callUpstream = async (
  run: Run,
  { takeUpstream, incoming, name }: ExecuteRequest,
): Promise<Response | MockApiError> => {
  const { output_schema } = run.action
  const original = async () => (output_schema ? exampleOf(output_schema) : { ok: true })
  const upstream = takeUpstream()
  if (!upstream) return asUpstream(await original())
  const body = readBody('x.execute', incoming)
  const call = { operation: 'x.execute', params: { action_id: name }, query: {}, body, original }
  try {
    return asUpstream(await upstream({ ...call, headers: incoming.headers }))
  } catch (error) {
    if (error instanceof MockApiError) return error
    throw error
  }
}

const asUpstream = (answer: unknown): Response | MockApiError => {
  if (answer instanceof Response || answer instanceof MockApiError) return answer
  return answer === undefined ? new Response(null, { status: 204 }) : Response.json(answer)
}

/** Judges an upstream answer as the response policy of the action says, records it and passes it on. */
const passOn = async (run: Run, answer: Response | MockApiError, headers: Headers): Promise<Response> => {
  const { action } = run
  const fail = (error: MockApiError, status: number | null, bytes = 0, output: unknown = null): never => {
    run.end({ status, bytes, output, error: { code: error.code, message: error.message } })
    throw error
  }
  if (answer instanceof MockApiError) return fail(answer, null)
  const { status } = answer
  const text = await answer.text()
  const bytes = new TextEncoder().encode(text).length
  const parsed = parse(text)
  const output = parsed === undefined ? text || null : shaped(action.response, parsed)
  if (status === 401 || status === 403) {
    const message = 'The upstream refused the credential of this action; its operator must renew it'
    return fail(apiError('upstream_auth_failed', { message, upstream_status: status }), status, bytes, output)
  }
  if (!action.passthrough_errors && !answer.ok) {
    const excerpt = typeof output === 'string' ? output : JSON.stringify(output)
    const fields = { upstream_status: status, excerpt: excerpt.slice(0, 500), ...askedToWait(answer) }
    const message = `The upstream answered ${status}`
    return fail(apiError('upstream_error', { message, ...fields }), status, bytes, output)
  }
  const { fields, redact } = action.response
  const isShaped = fields !== null || (redact ?? []).length > 0
  if (status < 400 && action.output_schema) {
    const { details } = checkAgainst(action.output_schema, parsed)
    const message = 'The upstream answer does not fit the output schema of this action'
    if (details.length > 0)
      return fail(apiError('invalid_upstream_response', { message, upstream_status: status }), status, bytes)
  }
  if (isShaped && parsed === undefined && text !== '') {
    const message = 'The upstream answer is not JSON, so the response policy cannot be applied to it'
    return fail(apiError('invalid_upstream_response', { message, upstream_status: status }), status, bytes)
  }
  const message = `The upstream answered ${status}`
  const error = status >= 400 ? { code: 'upstream_error', message } : null
  run.end({ status, bytes, output, error })
  for (const name of ['content-type', 'content-language', 'etag', 'last-modified', 'retry-after']) {
    const value = answer.headers.get(name)
    if (value !== null) headers.set(name, value)
  }
  headers.set('x-upstream-status', String(status))
  headers.set('content-security-policy', "sandbox; default-src 'none'")
  const isChanged = isShaped && parsed !== undefined
  const body = status === 204 || status === 304 ? null : isChanged ? JSON.stringify(output) : text
  return new Response(body, { status, headers })
}

/** The upstream's own Retry-After in seconds, where its answer is not passed on. */
const askedToWait = ({ status, headers }: Response): { retry_after_seconds?: number } => {
  const seconds = headers.get('retry-after') ?? ''
  return (status === 429 || status === 503) && /^\d{1,9}$/.test(seconds)
    ? { retry_after_seconds: Number(seconds) }
    : {}
}

const parse = (text: string): unknown => {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

/** Keeps the named paths, through lists, and hides others. */
const shaped = (
  { fields, redact }: { fields: readonly string[] | null; redact: readonly string[] | null },
  value: unknown,
): unknown => {
  const hidden = (redact ?? []).reduce(
    (safe, path) => along(safe, path.split('.'), () => '[redacted]'),
    structuredClone(value),
  )
  return fields === null
    ? hidden
    : (select(
        hidden,
        fields.map((path) => path.split('.')),
      ) ?? null)
}

const along = (value: unknown, [key, ...rest]: readonly string[], change: () => unknown): unknown => {
  if (key === undefined) return change()
  if (Array.isArray(value)) return value.map((item) => along(item, [key, ...rest], change))
  if (!isObject(value) || !Object.hasOwn(value, key)) return value
  return { ...value, [key]: along(value[key], rest, change) }
}

const select = (value: unknown, paths: readonly (readonly string[])[]): unknown => {
  if (paths.some((path) => path.length === 0)) return value
  if (Array.isArray(value))
    return value.map((item) => select(item, paths)).filter((item) => item !== undefined)
  if (!isObject(value)) return undefined
  return Object.fromEntries(
    Object.entries(value).flatMap(([name, inner]) => {
      const below = paths.filter(([key]) => key === name).map(([, ...rest]) => rest)
      const kept = below.length === 0 ? undefined : select(inner, below)
      return kept === undefined ? [] : [[name, kept]]
    }),
  )
}
