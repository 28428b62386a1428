import type { Action, ActionDefinition, CreateToken, Token } from '@narrowapi/contract'
import { ApiError, type ErrorDetail } from '../../errors.ts'
import { checkConstraints, checkFixedInput } from '../../proxy/policy.ts'

export type NewGrant = NonNullable<CreateToken['grants']>[number]
export type NewToken = Omit<CreateToken, 'action_ids' | 'grants'> & { grants: NewGrant[] }

/** Either form of naming actions as grants; exactly one must be given, each action once. */
export const grantsOf = ({ action_ids, grants }: Pick<CreateToken, 'action_ids' | 'grants'>): NewGrant[] => {
  if (action_ids && grants) refuse([{ field: 'action_ids', message: 'leave it out when grants are given' }])
  const all =
    grants ??
    action_ids?.map((action_id) => ({ action_id, constraints: [], fixed_input: null, max_uses: null }))
  if (!all) return refuse([{ field: 'action_ids', message: 'is required, or grants' }])
  const field = grants ? 'grants' : 'action_ids'
  const twice = all.findIndex(
    ({ action_id }, index) => all.findIndex((one) => one.action_id === action_id) < index,
  )
  if (twice >= 0) refuse([{ field: `${field}.${twice}`, message: 'names an action that is named before' }])
  return all
}

export const checkTerm = ({ not_before, expires_at }: Pick<NewToken, 'not_before' | 'expires_at'>): void => {
  if (not_before === null || expires_at === null || not_before < expires_at) return
  refuse([{ field: 'not_before', message: 'must be before expires_at' }])
}

type GrantedAction = Pick<Action, 'id' | 'status'> & { definition: ActionDefinition }

/**
 * Every grant names an action of the workspace, and its own rules fit that action's input. `given` is the field
 * by which the caller named them.
 */
export const checkGrants = (
  grants: readonly NewGrant[],
  actions: readonly GrantedAction[],
  given: 'grants' | 'action_ids',
): void => {
  const byId = new Map(actions.map((action) => [action.id, action]))
  const unknown = grants.flatMap(({ action_id }, index) =>
    byId.has(action_id)
      ? []
      : [
          {
            field: given === 'grants' ? `grants.${index}.action_id` : `action_ids.${index}`,
            message: 'is not an action of this workspace',
          },
        ],
  )
  if (unknown.length > 0) refuse(unknown)
  grants.forEach(({ action_id, constraints, fixed_input }, index) => {
    const definition = byId.get(action_id)?.definition
    if (!definition) return
    checkConstraints(constraints, definition.input_schema, `grants.${index}.constraints`)
    if (!fixed_input) return
    checkFixedInput(fixed_input, definition.input_schema, `grants.${index}.fixed_input`)
    const field = `grants.${index}.fixed_input`
    const taken = Object.keys(fixed_input).filter((name) => Object.hasOwn(definition.fixed_input ?? {}, name))
    if (taken.length > 0)
      refuse(taken.map((name) => ({ field: `${field}.${name}`, message: 'is fixed by the action already' })))
  })
}

/** Whether a call with this grant would get past its token. From where it comes only the call knows. */
export const isUsable = (
  { status, not_before }: Pick<Token, 'status' | 'not_before'>,
  { max_uses, uses }: Pick<Token['grants'][number], 'max_uses' | 'uses'>,
  now: Date,
): boolean =>
  status === 'active' &&
  (not_before === null || not_before <= now.toISOString()) &&
  (max_uses === null || uses < max_uses)

export const checkRotation = ({ status }: Pick<Token, 'status'>): void => {
  if (status === 'active') return
  throw new ApiError('invalid_state', `A token that is ${status} cannot be rotated: create a new one`)
}

/** The end of a grace period, which is never later than the expiry it shortens. */
export const graceEnd = (now: Date, hours: number, expiresAt: string | null): string => {
  const end = new Date(now.getTime() + hours * 3_600_000).toISOString()
  return expiresAt !== null && expiresAt < end ? expiresAt : end
}

const refuse = (details: ErrorDetail[]): never => {
  throw new ApiError('validation_failed', 'request body is invalid', { details })
}
