import type { Decision, Execution } from '@narrowapi/contract'
import type { KeyScope, StoredReply } from '../db/idempotency.ts'
import type { LimitState } from '../db/rate-limit.ts'
import { ApiError } from '../errors.ts'
import type { HeldGrant, Holder } from './authority.ts'
import { type LoadedAction, missingSecret, type OpenSecret } from './catalogue.ts'
import { isAllowedHost } from './compile.ts'
import { type UpstreamAnswer, UpstreamFailure } from './egress.ts'
import { inject } from './inject.ts'
import { judge } from './judge.ts'
import { type Claim, keyTaken, lookUpKey } from './keyed-call.ts'
import { countCall } from './limits.ts'
import { failureOf, type Outcome, outcomeOf } from './outcome.ts'
import type { ProxyParts } from './parts.ts'
import type { EndedRow, StartedRow } from './record-queries.ts'
import type { Reservation } from './reserve.ts'
import type { BuiltRequest } from './template.ts'

export type CallRequest = {
  holder: Holder
  /** Id or slug of the action. */
  name: string
  idempotencyKey: string | null
  /** SHA-256 of the body's bytes, asked only when there is a key. */
  fingerprint: () => string
  /** The strictly parsed body; throws when it is malformed. */
  parseInput: () => unknown
  /** Told once the limits are counted, so that refusals carry their headers too. */
  tellLimits: (state: LimitState) => void
  /** Told once the call has an execution, for the header of answers and refusals alike. */
  tellExecution: (id: string) => void
}

/** Longer than any upstream call can take by the time its own deadline has passed. */
const leaseGraceMs = 15_000

/** One call of an action, in the order of checks that the model gives. Throws what refuses it. */
export const execute = async (parts: ProxyParts, request: CallRequest): Promise<StoredReply> => {
  const { holder } = request
  const { action, grant } = await findCallable(parts, holder, request.name)
  const call = new Call(parts, holder, action, request)
  if (holder.workspace.status === 'paused') return call.reject(paused('workspace'))
  if (action.status === 'paused') return call.reject(paused('action'))
  if (isSunset(action, parts.clock.now())) return call.reject(sunset())
  countCall(parts.limiter, holder, action, parts.clock.now().getTime(), request.tellLimits)
  const claim = request.idempotencyKey === null ? null : claimOf(request, action, request.idempotencyKey)
  if (claim) {
    const earlier = await lookUpKey(parts, claim, request.tellExecution)
    if (earlier) return earlier
  }
  return call.run(grant, claim)
}

/** What the token may run under this name; anything else does not exist for it. */
export const findCallable = async (
  parts: Pick<ProxyParts, 'catalogue'>,
  holder: Holder,
  name: string,
): Promise<{ action: LoadedAction; grant: HeldGrant }> => {
  const action = await parts.catalogue.action(holder.workspaceId, name)
  const grant = action && holder.grants.get(action.id)
  if (!action || !grant || (action.status !== 'active' && action.status !== 'paused')) {
    throw new ApiError('not_found', 'This token may run no action of this name')
  }
  return { action, grant }
}

export const isSunset = (action: LoadedAction, now: Date): boolean =>
  action.sunset_at !== null && action.sunset_at <= now.toISOString()

export const sunset = () => new ApiError('sunset', 'This action is no longer served')
export const paused = (what: 'workspace' | 'action') => new ApiError('paused', `The ${what} is paused`)

const claimOf = (request: CallRequest, action: LoadedAction, key: string): Claim => ({
  scope: {
    workspaceId: request.holder.workspaceId,
    credentialId: request.holder.id,
    method: 'POST',
    path: `/x/${action.id}`,
    key,
  },
  fingerprint: request.fingerprint(),
})

class Call {
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
    request.tellExecution(this.#id)
  }

  async run(grant: HeldGrant, claim: Claim | null): Promise<StoredReply> {
    const { compiled } = this.#action
    let built: BuiltRequest
    let secret: OpenSecret | null
    try {
      const { input, decision } = judge(
        this.#holder,
        this.#action,
        grant,
        this.#request.parseInput(),
        this.#parts.clock.now(),
      )
      this.#input = compiled.redactInput(input)
      this.#decision = decision
      if (!decision.allowed) throw policyDenied(decision)
      this.#checkHost()
      const request = compiled.template.build(input)
      secret = await this.#secret()
      built = secret ? inject(request, compiled.auth, secret.reveal()) : request
    } catch (refusal) {
      if (refusal instanceof ApiError) return this.reject(refusal)
      throw refusal
    }
    const reservation = this.#reservation(grant, claim)
    const recordsOnce = compiled.recordsOnce && reservation === null
    if (reservation) {
      const refusal = await this.#startReserved(reservation)
      if (refusal) return refusal
    } else if (!recordsOnce) await this.#parts.recorder.add(this.#row('running'))
    this.#parts.usage.use(this.#holder, this.#action.id)
    const outcome = await this.#send(built, secret)
    await this.#finish(outcome, claim, recordsOnce)
    if (outcome.error) throw outcome.error
    return { status: outcome.reply.status, headers: outcome.reply.headers, body: outcome.reply.body }
  }

  /** Refused before anything was sent: recorded as such, then told. */
  async reject(error: ApiError): Promise<never> {
    const completedAt = this.#parts.clock.now().toISOString()
    await this.#parts.recorder.add({
      ...this.#row('rejected'),
      error: { code: error.code, message: error.message, rule: error.extras.rule ?? null },
      completed_at: completedAt,
      duration_ms: this.#elapsed(),
      lease_expires_at: null,
    })
    throw error
  }

  /** A host may be forbidden after the action was saved. */
  #checkHost(): void {
    const { hostname } = new URL(this.#action.compiled.template.origin)
    if (isAllowedHost(hostname, this.#holder.workspace.settings.allowed_hosts)) return
    throw new ApiError('upstream_blocked', 'The workspace does not allow the host of this action')
  }

  async #secret(): Promise<OpenSecret | null> {
    const { definition, compiled } = this.#action
    if (compiled.auth.type === 'none') return null
    const secret =
      definition.secret_id === null
        ? null
        : await this.#parts.catalogue.secret(this.#holder.workspaceId, definition.secret_id)
    const isExpired = secret?.expiresAt != null && secret.expiresAt <= this.#createdAt
    if (secret === null || isExpired) throw missingSecret()
    return secret
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
          : { workspaceId, windowStart: monthOf(now), limit: workspace.monthlyExecutions },
      key: claim && { ...claim, leaseExpiresAt: this.#leaseEnd(), now },
    }
  }

  async #startReserved(reservation: Reservation): Promise<StoredReply | null> {
    const reserved = await this.#parts.recorder.start(this.#row('running'), reservation)
    switch (reserved) {
      case 'started':
        return null
      case 'token_exhausted':
        return this.reject(new ApiError('token_exhausted', 'This token has no uses left; ask for a new one'))
      case 'execution_limit_reached':
        return this.reject(this.#limitReached(reservation))
      case 'key_taken':
        throw keyTaken()
      default:
        return reserved satisfies never
    }
  }

  #limitReached({ quota }: Reservation): ApiError {
    const limit = quota?.limit ?? 0
    return new ApiError('execution_limit_reached', `The ${limit} executions of this month are used up`, {
      feature: 'monthly_executions',
      limit,
      current_usage: limit,
    })
  }

  async #send(built: BuiltRequest, secret: OpenSecret | null): Promise<Outcome> {
    const { definition, compiled } = this.#action
    const sentAt = this.#parts.clock.monotonic()
    try {
      const answer: UpstreamAnswer = await this.#parts.egress.send({
        origin: built.origin,
        method: built.method,
        path: built.path,
        headers: [...built.headers, ...ownHeaders(built.headers)],
        body: built.body,
        timeoutMs: definition.timeout_ms,
        maxBytes: definition.response.max_bytes,
      })
      return outcomeOf(definition, compiled, secret?.scrubberFor(compiled) ?? null, answer)
    } catch (failure) {
      if (failure instanceof UpstreamFailure)
        return failureOf(failure, this.#parts.clock.monotonic() - sentAt)
      throw failure
    }
  }

  async #finish(outcome: Outcome, claim: Claim | null, recordsOnce: boolean): Promise<void> {
    const { error, output, upstream, status } = outcome
    const ended = {
      status,
      output: this.#captures(status) ? output : null,
      error: error ? { code: error.code, message: error.message, rule: null } : outcome.problem,
      upstream,
      completed_at: this.#parts.clock.now().toISOString(),
      duration_ms: this.#elapsed(),
    }
    if (recordsOnce) {
      await this.#parts.recorder.add({ ...this.#row('running'), ...ended, lease_expires_at: null })
      return
    }
    const row: EndedRow = { workspace_id: this.#holder.workspaceId, id: this.#id, ...ended, key: null }
    if (claim) row.key = { scope: claim.scope, sealedReply: this.#replyToKeep(outcome, claim.scope) }
    await this.#parts.recorder.end(row)
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

  #row(status: 'running' | 'rejected'): StartedRow {
    return {
      workspace_id: this.#holder.workspaceId,
      id: this.#id,
      action_id: this.#action.id,
      version: this.#action.version,
      token_id: this.#holder.id,
      status,
      source: 'proxy',
      input: this.#captures(status) ? this.#input : null,
      output: null,
      error: null,
      upstream: null,
      decision: this.#decision,
      started_at: status === 'running' ? this.#createdAt : null,
      completed_at: null,
      duration_ms: null,
      lease_expires_at: this.#leaseEnd(),
      created_at: this.#createdAt,
    }
  }

  #captures(status: Execution['status']): boolean {
    const { payload_capture } = this.#holder.workspace.settings
    return (
      payload_capture === 'all' ||
      (payload_capture === 'errors' && (status === 'failed' || status === 'rejected'))
    )
  }

  #leaseEnd(): string {
    return new Date(
      Date.parse(this.#createdAt) + this.#action.definition.timeout_ms + leaseGraceMs,
    ).toISOString()
  }

  #elapsed(): number {
    return Math.round((this.#parts.clock.monotonic() - this.#startedAt) * 100) / 100
  }
}

const policyDenied = ({ rule, path, accepted, message }: Decision & { message?: string }): ApiError =>
  new ApiError('policy_denied', message ?? 'A constraint refuses this input', {
    ...(rule === null ? {} : { rule }),
    ...(path === null ? {} : { path }),
    accepted,
  })

/** Said of every call, unless the operator's template says otherwise. */
const ownHeaders = (headers: readonly string[]): string[] => {
  const names = new Set(headers.filter((_, index) => index % 2 === 0).map((name) => name.toLowerCase()))
  return [
    ...(names.has('user-agent') ? [] : ['user-agent', 'NarrowAPI']),
    ...(names.has('accept') ? [] : ['accept', 'application/json, */*;q=0.5']),
  ]
}

const monthOf = (now: Date): string =>
  new Date(Date.UTC(now.getUTCFullYear(), now.getUTCMonth(), 1)).toISOString()
