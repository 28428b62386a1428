import { type KeyScope, keyReused, type StoredReply } from '../db/idempotency.ts'
import { answered } from '../db/renewing-pool.ts'
import { ApiError } from '../errors.ts'
import type { ProxyParts } from './parts.ts'
import { findBoundKey } from './record-queries.ts'

/** A call's hold on an idempotency key. */
export type Claim = { scope: KeyScope; fingerprint: string }

/**
 * What an earlier call under the key means for this one: nothing (null), a replay, or a refusal. A call whose
 * server died may have been sent, so its key never sends again.
 */
export const lookUpKey = async (
  { system, clock, replies }: ProxyParts,
  { scope, fingerprint }: Claim,
  call: { tellExecution(id: string): void; tellReplay(): void },
): Promise<StoredReply | null> => {
  const now = clock.now().toISOString()
  const bound = await answered(system, findBoundKey(system, scope, now))
  if (!bound) return null
  if (bound.fingerprint !== fingerprint) throw keyReused()
  if (bound.execution_id) call.tellExecution(bound.execution_id)
  if (bound.reply) {
    call.tellReplay()
    return toldAgain(replies.open(scope, bound.reply))
  }
  if (bound.lease_expires_at !== null && bound.lease_expires_at > now) throw keyTaken()
  throw new ApiError(
    'upstream_outcome_unknown',
    'The server stopped during the first call with this key; look at the upstream before you send it with another key',
  )
}

export const keyTaken = () =>
  new ApiError('idempotency_in_progress', 'The first call with this key is still running', {
    retry_after_seconds: 1,
  })

const toldAgain = ({ error, ...reply }: StoredReply): StoredReply => {
  if (error) throw new ApiError(error.code, error.message, error.extras)
  return reply
}
