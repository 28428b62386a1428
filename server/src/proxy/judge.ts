import type { ActionDefinition, Decision } from '@narrowapi/contract'
import { ApiError } from '../errors.ts'
import type { HeldGrant, Holder } from './authority.ts'
import type { LoadedAction } from './catalogue.ts'
import { checkConstraints, checkFixedInput, decide, mergeFixed, namesInput } from './policy.ts'
import { type JsonSchema, pointer } from './schema-keywords.ts'

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
  const revision = holder ? `action:${version} token:${holder.revision}` : `action:${version}`
  const lapsed = grant && lapsedPart(grant, definition.input_schema)
  if (lapsed) {
    const decision = { ...refused, policy_revision: revision, rule: lapsed.rule, path: lapsed.path }
    return {
      input: {},
      decision,
      message: 'The action has changed since this token was made; ask for a new one',
    }
  }
  const fixed = fixedFor(definition, grant)
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
  // The schema's root is an object, so what fits it is one.
  const valid = input as Record<string, unknown>
  if (decided.allowed) {
    const { matched } = decided
    const decision = { ...allowed, policy_revision: revision, matched }
    return { input: valid, decision, message: '' }
  }
  const { constraint, rule, path, accepted, message } = decided
  const decision = { ...refused, policy_revision: revision, rule, path, accepted }
  return namesInput(constraint, fixed)
    ? {
        input: valid,
        decision: { ...decision, accepted: null },
        message: 'A constraint on what is fixed refuses this input',
      }
    : { input: valid, decision, message }
}

/** Should an action fix later what a token fixed before, the action decides: a grant can only narrow. */
export const fixedFor = (
  { fixed_input }: Pick<ActionDefinition, 'fixed_input'>,
  grant: Pick<HeldGrant, 'fixed_input'> | null,
): Readonly<Record<string, unknown>> => ({ ...grant?.fixed_input, ...fixed_input })

const allowed = { allowed: true, rule: null, path: null, accepted: null } as const

const refused: Pick<Decision, 'allowed' | 'matched' | 'accepted'> = {
  allowed: false,
  matched: [],
  accepted: null,
}

type Lapsed = { rule: string; path: string }

/**
 * The first part of a grant that no longer means anything, because the action's schema was changed after it was
 * written. An absent value satisfies a constraint, so one on a field that is gone would let everything through.
 */
const lapsedPart = (grant: HeldGrant, schema: JsonSchema): Lapsed | null => {
  const known = judged.get(grant)
  if (known?.schema === schema) return known.lapsed
  const lapsed = findLapsed(grant, schema)
  judged.set(grant, { schema, lapsed })
  return lapsed
}

// A grant and a schema are never changed in place.
const judged = new WeakMap<HeldGrant, { schema: JsonSchema; lapsed: Lapsed | null }>()

const findLapsed = ({ constraints, fixed_input }: HeldGrant, schema: JsonSchema): Lapsed | null => {
  for (const [index, constraint] of constraints.entries()) {
    const rule = `token.constraints.${index}`
    const path = 'path' in constraint ? constraint.path : ''
    if (isRefused(() => checkConstraints([constraint], schema, rule))) return { rule, path }
  }
  for (const [name, value] of Object.entries(fixed_input ?? {})) {
    const rule = 'token.fixed_input'
    if (isRefused(() => checkFixedInput({ [name]: value }, schema, rule)))
      return { rule, path: pointer([name]) }
  }
  return null
}

const isRefused = (check: () => void): boolean => {
  try {
    check()
    return false
  } catch (refusal) {
    if (!(refusal instanceof ApiError)) throw refusal
    return true
  }
}
