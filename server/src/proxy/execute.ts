import type { StoredReply } from '../db/idempotency.ts'
import { Call, type CallRequest } from './call.ts'
import { findCallable } from './callable.ts'
import type { LoadedAction } from './catalogue.ts'
import { type Claim, lookUpKey } from './keyed-call.ts'
import { countCall, slotOf } from './limits.ts'
import type { ProxyParts } from './parts.ts'

/** One call of an action, in the order of checks that the model gives. Throws what refuses it. */
export const execute = async (parts: ProxyParts, request: CallRequest): Promise<StoredReply> => {
  const { holder } = request
  const now = parts.clock.now()
  const found = findCallable(parts, holder, request.name, now)
  const { granted, refusal } = found instanceof Promise ? await found : found
  const slot = granted !== null && refusal === null ? slotOf(granted.action) : null
  // Counted before the first refusal is told, because that is work too and its answer carries the limits.
  const counted = countCall(parts.limiter, holder, granted?.action ?? null, slot, now.getTime(), request)
  const limited = counted instanceof Promise ? await counted : counted
  if (!granted) throw refusal
  const call = new Call(parts, holder, granted.action, request)
  // A flood of refusals must not become one of rows: beyond the limits they are told and not recorded.
  if (refusal) return limited ? Promise.reject(refusal) : call.reject(refusal)
  if (limited) throw limited
  try {
    let claim: Claim | null
    try {
      parts.loopGuard.check(request.cdnLoop)
      claim = claimOf(request, granted.action)
    } catch (refusal) {
      return await call.reject(refusal)
    }
    if (claim) {
      const earlier = await lookUpKey(parts, claim, request)
      if (earlier) return earlier
    }
    return await call.run(granted.grant, claim)
  } finally {
    if (slot !== null) parts.limiter.release(slot)
  }
}

const claimOf = (request: CallRequest, action: LoadedAction): Claim | null => {
  const key = request.idempotencyKey()
  if (key === null) return null
  const { workspaceId, id: credentialId } = request.holder
  return {
    scope: { workspaceId, credentialId, method: 'POST', path: `/x/${action.id}`, key },
    fingerprint: request.fingerprint(),
  }
}
