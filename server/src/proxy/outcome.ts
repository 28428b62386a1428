import type { ActionDefinition, Execution } from '@narrowapi/contract'
import type { StoredReply } from '../db/idempotency.ts'
import { ApiError } from '../errors.ts'
import { type AnswerText, type ParsedAnswer, parseAnswer, readText } from './answer-text.ts'
import type { CompiledAction } from './compile.ts'
import type { UpstreamAnswer } from './egress-call.ts'
import type { UpstreamFailure } from './egress-failure.ts'
import type { Scrubber } from './redact.ts'
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
  if (status === 401 || status === 403) {
    return failed(
      new ApiError(
        'upstream_auth_failed',
        'The upstream refused the credential of this action; its operator must renew it',
        {
          upstream_status: status,
        },
      ),
      recorded(compiled, parsed, body),
    )
  }
  if (!definition.passthrough_errors && (status < 200 || status > 299)) {
    return failed(
      new ApiError('upstream_error', `The upstream answered ${status}`, {
        upstream_status: status,
        excerpt: excerptOf(compiled, parsed, body),
        ...askedToWait(answer),
      }),
      recorded(compiled, parsed, body),
    )
  }
  if (!isFailure && compiled.validateOutput) {
    const wrong = parsed.isJson ? compiled.validateOutput(parsed.value) : notJson
    if (wrong)
      return failed(unusable('The upstream answer does not fit the output schema of this action', status))
  }
  if (compiled.readsOutput && !parsed.isJson && body.text !== '') {
    return failed(
      unusable('The upstream answer is not JSON, so the response policy cannot be applied to it', status),
    )
  }
  const shaped = compiled.readsOutput && parsed.isJson ? compiled.shapeOutput(parsed.value) : undefined
  const picked = compiled.pickHeaders(answer.headers)
  const headers = scrubber ? scrubber.headers(picked) : picked
  return {
    status: isFailure ? 'failed' : 'completed',
    error: null,
    reply: {
      status,
      headers: [...headers, ['x-upstream-status', String(status)]],
      ...bodyOf(shaped, body),
    },
    problem: isFailure
      ? { code: 'upstream_error', message: `The upstream answered ${status}`, rule: null }
      : null,
    output: recorded(compiled, parsed, body),
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

/** A reply's body is text; bytes that are not UTF-8 are kept as they are, by the Latin-1 of `isBinary`. */
const bodyOf = (shaped: unknown, { text, isBinary }: AnswerText): { body: string; isBinary?: true } => {
  if (shaped !== undefined) return { body: JSON.stringify(shaped) }
  return isBinary ? { body: text, isBinary: true } : { body: text }
}

const recorded = (compiled: CompiledAction, parsed: ParsedAnswer, { text }: AnswerText): string | null => {
  if (text === '') return null
  if (text.length > maxRecordedCharacters) {
    return JSON.stringify({ truncated: true, bytes: Buffer.byteLength(text) })
  }
  return parsed.isJson ? shapedText(compiled, parsed.value, text) : JSON.stringify(text)
}

/** What the response policy leaves, as JSON; where it leaves everything, the text as it came. */
const shapedText = ({ shapeOutput, shapesOutput }: CompiledAction, value: unknown, text: string): string =>
  shapesOutput ? (JSON.stringify(shapeOutput(value)) ?? '') : text

const excerptOf = (compiled: CompiledAction, parsed: ParsedAnswer, { text }: AnswerText): string =>
  (parsed.isJson ? shapedText(compiled, parsed.value, text) : text).slice(0, 500)
