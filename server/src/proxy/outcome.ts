import type { ActionDefinition, Execution } from '@narrowapi/contract'
import type { StoredReply } from '../db/idempotency.ts'
import { ApiError } from '../errors.ts'
import { type AnswerText, exactly, type ParsedAnswer, parseAnswer, readText } from './answer-text.ts'
import type { CompiledAction } from './compile.ts'
import type { UpstreamAnswer } from './egress-call.ts'
import type { UpstreamFailure } from './egress-failure.ts'
import type { Header, Scrubber } from './redact.ts'
import { retryAfterMs } from './retry-schedule.ts'

/** How a call went: what the caller is told (a reply, or an error of ours) and what the record keeps. */
export type Outcome = {
  status: 'completed' | 'failed'
  error: ApiError | null
  reply: StoredReply
  /** Why an answer that is passed on still counts as a failure. */
  problem: Execution['error']
  /** JSON text, or null for none. */
  output: string | null
  upstream: Execution['upstream']
  /** Whether the upstream may have acted. */
  wasSent: boolean
}

/** Larger outputs are not kept in the record: the answer has them, and a record is read many at a time. */
const maxRecordedCharacters = 262_144

/** Judges an answer: scrub, cap, parse, check, select, redact. Everything after the scrub is clean. */
export const outcomeOf = (
  definition: ActionDefinition,
  compiled: CompiledAction,
  scrubber: Scrubber | null,
  answer: UpstreamAnswer,
): Outcome => {
  const { status } = answer
  const upstream = { status, duration_ms: answer.durationMs, attempts: answer.attempts, bytes: answer.bytes }
  const failed = (error: ApiError, output: string | null = null): Outcome => ({
    ...none,
    status: 'failed',
    error,
    output,
    upstream,
    wasSent: true,
  })
  if (answer.truncated) {
    return failed(unusable(`The upstream answered more than ${definition.response.max_bytes} bytes`, status))
  }
  const body = readText(answer.body)
  if (scrubber) body.text = scrubber.body(body.text)
  const isFailure = status >= 400
  const parsed = parseAnswer(body.text)
  const shown = shownOf(compiled, parsed, body)
  if (status === 401 || status === 403) {
    return failed(
      new ApiError(
        'upstream_auth_failed',
        'The upstream refused the credential of this action; its operator must renew it',
        {
          upstream_status: status,
        },
      ),
      recorded(shown),
    )
  }
  if (!definition.passthrough_errors && (status < 200 || status > 299)) {
    return failed(
      new ApiError('upstream_error', `The upstream answered ${status}`, {
        upstream_status: status,
        ...(shown.text !== null && { excerpt: shown.text.slice(0, 500) }),
        ...askedToWait(answer),
      }),
      recorded(shown),
    )
  }
  if (!isFailure && compiled.validateOutput) {
    const wrong = parsed.isJson ? compiled.validateOutput(parsed.value) : notJson
    if (wrong)
      return failed(unusable('The upstream answer does not fit the output schema of this action', status))
  }
  if (shown.text === null) {
    return failed(
      unusable('The upstream answer is not JSON, so the response policy cannot be applied to it', status),
    )
  }
  const picked = compiled.pickHeaders(answer.headers)
  const scrubbed = scrubber ? scrubber.headers(picked) : picked
  const headers = compiled.shapesOutput ? ofShaped(scrubbed) : scrubbed
  return {
    status: isFailure ? 'failed' : 'completed',
    error: null,
    reply: {
      status,
      headers: [...headers, ['x-upstream-status', String(status)]],
      body: shown.text,
      ...(shown.isBinary && { isBinary: true }),
    },
    problem: isFailure
      ? { code: 'upstream_error', message: `The upstream answered ${status}`, rule: null }
      : null,
    output: recorded(shown),
    upstream,
    wasSent: true,
  }
}

/** Accepted, and then not sent, for a reason that lies with the operator. */
export const notSent = (error: ApiError): Outcome => ({
  ...none,
  status: 'failed',
  error,
  upstream: null,
  wasSent: false,
})

/** No answer: what the caller is told depends on whether the upstream may have acted. */
export const failureOf = ({ reason, sent, attempts }: UpstreamFailure, durationMs: number): Outcome => ({
  ...none,
  status: 'failed',
  error: errorOf(reason, sent),
  upstream: reason === 'blocked' ? null : { status: null, duration_ms: durationMs, attempts, bytes: 0 },
  wasSent: sent,
})

const errorOf = (reason: UpstreamFailure['reason'], sent: boolean): ApiError => {
  switch (reason) {
    case 'blocked':
      return new ApiError('upstream_blocked', 'The address of the upstream is not allowed')
    case 'timeout':
      return new ApiError(
        'upstream_timeout',
        sent
          ? 'The upstream did not answer in time; it may have acted'
          : 'The upstream could not be reached in time',
      )
    case 'invalid':
      return unusable('The upstream answered something that is not HTTP')
    case 'unreachable':
    case 'aborted':
      return sent
        ? new ApiError(
            'upstream_outcome_unknown',
            'The connection broke after the request was sent; the upstream may have acted',
          )
        : new ApiError('upstream_error', 'The upstream could not be reached; nothing was sent')
    default:
      return reason satisfies never
  }
}

const none = {
  problem: null,
  output: null,
  reply: { status: 0, headers: [], body: null },
} satisfies Partial<Outcome>

const unusable = (message: string, status?: number) =>
  new ApiError('invalid_upstream_response', message, status === undefined ? {} : { upstream_status: status })

/** The upstream's own Retry-After, where its answer is not passed on. */
const askedToWait = ({ status, headers }: UpstreamAnswer): { retry_after_seconds?: number } => {
  const waitMs = status === 429 || status === 503 ? retryAfterMs(headers) : null
  return waitMs === null ? {} : { retry_after_seconds: Math.ceil(waitMs / 1000) }
}

const notJson = [{ field: '', message: 'is not JSON' }]

/**
 * What callers and records may see of an answer: all of it, or what its response policy leaves, which is null where
 * the answer is no JSON and nobody can say.
 */
type Shown = { text: string | null; isBinary: boolean; isJson: boolean }

const shownOf = (compiled: CompiledAction, parsed: ParsedAnswer, body: AnswerText): Shown => {
  const { isJson } = parsed
  if (!compiled.shapesOutput || body.text === '') return { ...body, isJson }
  const text = parsed.isJson
    ? (JSON.stringify(compiled.shapeOutput(exactly(body.text, parsed.value))) ?? '')
    : null
  return { text, isBinary: false, isJson }
}

/** What a response policy leaves is written in UTF-8, and is not what the upstream gave this tag to. */
const ofShaped = (headers: readonly Header[]): Header[] =>
  headers.flatMap(([name, value]): Header[] => {
    if (name === 'etag') return []
    return [[name, name === 'content-type' ? value.replace(/;\s*charset=[^;]*/i, '; charset=utf-8') : value]]
  })

const recorded = ({ text, isJson }: Shown): string | null => {
  if (text === null || text === '') return null
  if (text.length > maxRecordedCharacters) {
    return JSON.stringify({ truncated: true, bytes: Buffer.byteLength(text) })
  }
  return isJson ? text : JSON.stringify(text)
}
