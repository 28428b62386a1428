import type { Decision, Execution } from '@narrowapi/contract'
import type { KeyScope, StoredReply } from '../db/idempotency.ts'
import { startOfMonth } from '../db/months.ts'
import type { LimitState } from '../db/rate-limit.ts'
import { ApiError } from '../errors.ts'
import { childTraceparent, type Trace } from '../trace.ts'
import type { HeldGrant, Holder } from './authority.ts'
import type { OpenBreaker } from './breaker.ts'
import type { LoadedAction, OpenSecret } from './catalogue.ts'
import { UpstreamFailure } from './egress.ts'
import { judge } from './judge.ts'
import { type Claim, keyTaken, lookUpKey } from './keyed-call.ts'
import { executionLimitReached, tokenExhausted } from './limits.ts'
import { failureOf, notSent, type Outcome, outcomeOf } from './outcome.ts'
import type { ProxyParts } from './parts.ts'
import { type Ready, readyOf, secretOf } from './ready.ts'
import type { ExecutionRow } from './record-queries.ts'
import type { Reservation } from './reserve.ts'
import type { BuiltRequest } from './template.ts'

export type CallRequest = {
  readonly holder: Holder
  readonly trace: Trace
  /** Id or slug of the action. */
  readonly name: string
  /** Which installations the request has passed (RFC 8586). */
  readonly cdnLoop: string | undefined
  // What the request says is read when its turn comes, so that each refusal stands at its place in the order.
  idempotencyKey(): string | null
  /** SHA-256 of the body's bytes, asked only when there is a key. */
  fingerprint(): string
  /** The strictly parsed body; throws when it is malformed. */
  parseInput(): unknown
  /** Told when the limits are counted, so that refusals carry their headers too. */
  tellLimits(state: LimitState): void
  /** Told when the call has an execution that can be read, for the header of answers and refusals alike. */
  tellExecution(id: string): void
  /** Told when what comes is what an earlier call with the same key got. */
  tellReplay(): void
}

/** Longer than any upstream call can take by the time its own deadline has passed. */
const leaseGraceMs = 15_000

/** One call from its checks to its answer, and the execution that records it. */
export class Call {
  readonly #parts: ProxyParts
  readonly #holder: Holder
  readonly #action: LoadedAction
  readonly #request: CallRequest
  readonly #id: string
  readonly #createdAt: string
  readonly #startedAt: number
  #input: unknown = null
  #decision: Decision | null = null

  constructor(parts: ProxyParts, holder: Holder, action: LoadedAction, request: CallRequest) {
    this.#parts = parts
    this.#holder = holder
    this.#action = action
    this.#request = request
    this.#id = parts.ids.next('exec')
    this.#createdAt = parts.clock.now().toISOString()
    this.#startedAt = parts.clock.monotonic()
  }

  async run(grant: HeldGrant, claim: Claim | null): Promise<StoredReply> {
    const { recordsOnce: mayRecordOnce } = this.#action.compiled
    let built: BuiltRequest
    try {
      built = this.#build(grant)
    } catch (refusal) {
      return this.reject(refusal)
    }
    const open = this.#parts.breakers.admit(this.#holder.workspaceId, built.origin)
    if (open) return this.#refuseOpen(open)
    // Read before anything is taken, so that a database that is away takes nothing; judged after.
    const prepared = this.#prepare(built)
    const ready = prepared instanceof Promise ? await prepared : prepared
    const reservation = this.#reservation(grant, claim)
    const recordsOnce = mayRecordOnce && reservation === null
    if (reservation) {
      const earlier = await this.#startReserved(reservation, claim)
      if (earlier) return earlier
    } else if (!recordsOnce) await this.#parts.recorder.write(this.#begun())
    this.#request.tellExecution(this.#id)
    this.#parts.usage.use(this.#holder, this.#action.id)
    const outcome = ready instanceof ApiError ? notSent(ready) : await this.#send(ready)
    try {
      await this.#finish(outcome, claim, !recordsOnce)
    } catch (error) {
      throw outcome.wasSent && !recordsOnce ? this.#unrecorded(error) : error
    }
    if (outcome.error) throw outcome.error
    return outcome.reply
  }

  /** Refused by a check before anything was sent: recorded as such, then told. What is no refusal is only thrown. */
  async reject(error: unknown): Promise<never> {
    if (!(error instanceof ApiError)) throw error
    this.#parts.metrics.calls.rejected()
    const completedAt = this.#parts.clock.now().toISOString()
    await this.#parts.recorder.write({
      ...this.#identity('rejected'),
      ...this.#asked('rejected'),
      error: { code: error.code, message: error.message, rule: error.extras.rule ?? null },
      completed_at: completedAt,
      duration_ms: this.#elapsed(),
    })
    this.#request.tellExecution(this.#id)
    throw error
  }

  /** Nothing is sent to a target that is given up for now. What floods is told and not recorded. */
  #refuseOpen({ retryAfterMs, isRecorded }: OpenBreaker): Promise<never> {
    const refusal = new ApiError(
      'unavailable',
      'The upstream has failed too often and is given a rest; nothing was sent',
      { retry_after_seconds: Math.ceil(retryAfterMs / 1000) },
    )
    return isRecorded ? this.reject(refusal) : Promise.reject(refusal)
  }

  /** The request for an input that is valid and that every constraint allows, still without its secret. */
  #build(grant: HeldGrant): BuiltRequest {
    const { compiled } = this.#action
    const sent = this.#request.parseInput()
    const { input, decision, message } = judge(
      this.#holder,
      this.#action,
      grant,
      sent,
      this.#parts.clock.now(),
    )
    this.#input = compiled.redactInput(input)
    this.#decision = decision
    if (!decision.allowed) throw policyDenied(decision, message)
    return compiled.template.build(input)
  }

  /** What lies with the operator, not with the caller: it fails a call that was accepted. */
  #prepare(request: BuiltRequest): Ready | ApiError | Promise<Ready | ApiError> {
    const secret = secretOf(this.#parts.catalogue, this.#holder.workspaceId, this.#action)
    if (!(secret instanceof Promise)) return this.#complete(request, secret)
    return secret.then(
      (opened) => this.#complete(request, opened),
      (refusal: unknown) => this.#unready(refusal),
    )
  }

  #complete(request: BuiltRequest, secret: OpenSecret | null): Ready | ApiError {
    try {
      return readyOf(this.#holder.workspace, this.#action.compiled, request, secret, this.#createdAt)
    } catch (refusal) {
      return this.#unready(refusal)
    }
  }

  #unready(refusal: unknown): ApiError {
    if (!(refusal instanceof ApiError)) throw refusal
    if (refusal.cause !== undefined) {
      const names = { execution_id: this.#id, trace_id: this.#request.trace.traceId }
      this.#parts.log.error({ error: refusal.cause, ...names }, 'a secret did not open')
    }
    return refusal
  }

  #reservation(grant: HeldGrant, claim: Claim | null): Reservation | null {
    const { workspaceId, id: tokenId, maxUses, workspace } = this.#holder
    const needsNothing =
      maxUses === null && grant.max_uses === null && workspace.monthlyExecutions === null && claim === null
    if (needsNothing) return null
    const now = this.#parts.clock.now()
    return {
      token: maxUses === null ? null : { workspaceId, tokenId },
      grant: grant.max_uses === null ? null : { workspaceId, tokenId, actionId: this.#action.id },
      quota:
        workspace.monthlyExecutions === null
          ? null
          : { workspaceId, windowStart: startOfMonth(now).toISOString(), limit: workspace.monthlyExecutions },
      key: claim && { ...claim, leaseExpiresAt: this.#leaseEnd(), now },
    }
  }

  /** What another call with the same key got, when that one began meanwhile; null when this one has begun. */
  async #startReserved(reservation: Reservation, claim: Claim | null): Promise<StoredReply | null> {
    const reserved = await this.#parts.recorder.start(this.#begun(), reservation)
    switch (reserved) {
      case 'started':
        return null
      case 'token_exhausted':
        return this.reject(tokenExhausted())
      case 'execution_limit_reached':
        return this.reject(executionLimitReached(reservation.quota?.limit ?? 0, this.#parts.clock.now()))
      case 'key_taken': {
        const earlier = claim && (await lookUpKey(this.#parts, claim, this.#request))
        if (earlier) return earlier
        // It has let go of the key already.
        throw keyTaken()
      }
      default:
        return reserved satisfies never
    }
  }

  async #send({ built, secret }: Ready): Promise<Outcome> {
    const { definition, compiled } = this.#action
    const { attempts, breakers } = this.#parts
    const { workspaceId } = this.#holder
    const sentAt = this.#parts.clock.monotonic()
    const { trace } = this.#request
    const { method, origin } = built
    const span = trace.span?.upstream({ method, origin, actionId: this.#action.id })
    try {
      const answer = await attempts.send(workspaceId, compiled.retry, {
        origin,
        method,
        path: built.path,
        headers: this.#withOwnHeaders(
          built.headers,
          span?.traceparent ?? childTraceparent(this.#parts.ids, trace),
        ),
        body: built.body,
        timeoutMs: definition.timeout_ms,
        maxBytes: definition.response.max_bytes,
      })
      span?.end(answer.status, null)
      breakers.note(workspaceId, origin, answer, sentAt)
      return outcomeOf(definition, compiled, secret?.scrubberFor(compiled) ?? null, answer)
    } catch (failure) {
      if (!(failure instanceof UpstreamFailure)) throw failure
      span?.end(null, failure.reason)
      breakers.note(workspaceId, origin, failure, sentAt)
      return failureOf(failure, this.#parts.clock.monotonic() - sentAt)
    }
  }

  /** Said of every call, unless the operator's template says otherwise. */
  #withOwnHeaders(headers: readonly string[], traceparent: string): string[] {
    const { keyHeader } = this.#action.compiled
    const all = [...headers, 'cdn-loop', this.#parts.loopGuard.passOn(this.#request.cdnLoop)]
    if (keyHeader !== null) all.push(keyHeader, this.#id)
    if (!hasName(all, 'user-agent')) all.push('user-agent', 'NarrowAPI')
    if (!hasName(all, 'accept')) all.push('accept', 'application/json, */*;q=0.5')
    if (!hasName(all, 'traceparent')) all.push('traceparent', traceparent)
    return all
  }

  #finish(outcome: Outcome, claim: Claim | null, wasBegun: boolean): Promise<void> {
    const { error, output, upstream, status } = outcome
    this.#parts.metrics.calls.ended(this.#action.id, status, upstream)
    const row: ExecutionRow = {
      ...this.#identity(status),
      ...(wasBegun ? {} : { ...this.#asked(status), started_at: this.#createdAt }),
      output: this.#captures(status) ? output : null,
      error: error ? { code: error.code, message: error.message, rule: null } : outcome.problem,
      upstream,
      completed_at: this.#parts.clock.now().toISOString(),
      duration_ms: this.#elapsed(),
    }
    // A running call is not a failed one yet: where only failures are kept, its input is kept now.
    if (wasBegun && !this.#captures('running') && this.#captures(status)) row.input = this.#input
    const { recorder } = this.#parts
    if (!claim) return recorder.write(row)
    const { scope } = claim
    return recorder.end(row, { scope, sealedReply: this.#replyToKeep(outcome, scope) })
  }

  /**
   * An answer that no record holds is not given, and nobody may be asked to try again what the upstream may have done:
   * told as what its lease will make of it.
   */
  #unrecorded(error: unknown): ApiError {
    const names = { execution_id: this.#id, trace_id: this.#request.trace.traceId }
    this.#parts.log.error({ error, ...names }, 'an outcome could not be recorded')
    return new ApiError(
      'upstream_outcome_unknown',
      'The request was sent and its outcome could not be recorded; the upstream may have acted',
      { cause: error },
    )
  }

  /** What a repeated key will be told. A call that was never sent leaves its key free. */
  #replyToKeep({ wasSent, error, reply }: Outcome, scope: KeyScope): Buffer | null {
    if (!wasSent) return null
    const kept: StoredReply = error
      ? {
          status: error.status,
          headers: [],
          body: null,
          error: { code: error.code, message: error.message, extras: error.extras },
        }
      : reply
    return this.#parts.replies.seal(scope, kept)
  }

  /** The row of a call about to be sent. */
  #begun(): ExecutionRow {
    return {
      ...this.#identity('running'),
      ...this.#asked('running'),
      started_at: this.#createdAt,
      lease_expires_at: this.#leaseEnd(),
    }
  }

  #leaseEnd(): string {
    const longest = this.#action.definition.timeout_ms + leaseGraceMs
    return new Date(Date.parse(this.#createdAt) + longest).toISOString()
  }

  /** What every row of this execution has. */
  #identity(status: Execution['status']): ExecutionRow {
    return {
      workspace_id: this.#holder.workspaceId,
      id: this.#id,
      action_id: this.#action.id,
      version: this.#action.version,
      status,
      source: 'proxy',
      created_at: this.#createdAt,
    }
  }

  /** What was asked, by whom, and what was decided. */
  #asked(status: Execution['status']): Pick<ExecutionRow, 'token_id' | 'input' | 'decision'> {
    return {
      token_id: this.#holder.id,
      input: this.#captures(status) ? this.#input : null,
      decision: this.#decision,
    }
  }

  #captures(status: Execution['status']): boolean {
    const { payload_capture } = this.#holder.workspace.settings
    return (
      payload_capture === 'all' ||
      (payload_capture === 'errors' && (status === 'failed' || status === 'rejected'))
    )
  }

  #elapsed(): number {
    return Math.round((this.#parts.clock.monotonic() - this.#startedAt) * 100) / 100
  }
}

const policyDenied = ({ rule, path, accepted }: Decision, message: string): ApiError =>
  new ApiError('policy_denied', message, {
    ...(rule === null ? {} : { rule }),
    ...(path === null ? {} : { path }),
    accepted,
  })

/** Names are in lower case: the template and the injection make them so. */
const hasName = (headers: readonly string[], name: string): boolean => {
  for (let at = 0; at < headers.length; at += 2) if (headers[at] === name) return true
  return false
}
