import type { Decision } from '@narrowapi/contract'
import { ApiError } from '../errors.ts'
import type { HeldGrant, Holder } from './authority.ts'
import type { LoadedAction } from './catalogue.ts'
import { decide, mergeFixed } from './policy.ts'

/** `message` is the text for the caller whom the decision refuses. */
export type Judgement = { input: Record<string, unknown>; decision: Decision; message: string }

/**
 * What a call may send: fixed inputs merged in, the whole checked against the schema, then judged by every
 * level's constraints. Pure: the real call, the dry run and the operator's test all ask here.
 * The operator's test has no token and no grant.
 */
export const judge = (
  holder: Pick<Holder, 'revision'> | null,
  action: Pick<LoadedAction, 'version' | 'definition' | 'compiled'>,
  grant: HeldGrant | null,
  sent: unknown,
  now: Date,
): Judgement => {
  const { definition, compiled, version } = action
  // Should an action fix later what a token fixed before, the action decides: a grant can only narrow.
  const fixed = { ...grant?.fixed_input, ...definition.fixed_input }
  const input = mergeFixed(sent, fixed)
  const wrong = compiled.validateInput(input)
  if (wrong)
    throw new ApiError('validation_failed', 'The input does not fit the schema of this action', {
      details: wrong,
    })
  const decided = decide(
    [
      { name: 'action', constraints: definition.constraints },
      { name: 'token', constraints: grant?.constraints ?? [] },
    ],
    input,
    now,
  )
  const revision = holder ? `action:${version} token:${holder.revision}` : `action:${version}`
  return {
    // The schema's root is an object, so what fits it is one.
    input: input as Record<string, unknown>,
    decision: decided.allowed
      ? {
          allowed: true,
          policy_revision: revision,
          matched: decided.matched,
          rule: null,
          path: null,
          accepted: null,
        }
      : {
          allowed: false,
          policy_revision: revision,
          matched: [],
          rule: decided.rule,
          path: decided.path,
          accepted: decided.accepted,
        },
    message: decided.allowed ? '' : decided.message,
  }
}
