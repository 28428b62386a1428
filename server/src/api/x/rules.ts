import type { Callable, Execution } from '@narrowapi/contract'
import type { HeldGrant, Holder } from '../../proxy/authority.ts'
import type { LoadedAction } from '../../proxy/catalogue.ts'
import { fixedFor } from '../../proxy/judge.ts'
import { namesInput } from '../../proxy/policy.ts'
import { shapeOutputSchema } from '../../proxy/redact-output.ts'
import { shownSchema } from '../../proxy/schema.ts'
import { isRecord } from '../../proxy/template-schema.ts'
import type { Uses } from './queries.ts'

/** An action as one token sees it: without what is fixed, with the rules and limits of both. */
export const callableOf = (action: LoadedAction, grant: HeldGrant, holder: Holder, uses: Uses): Callable => {
  const { definition } = action
  const fixed = fixedFor(definition, grant)
  const { examples, ...input_schema } = shownSchema(definition.input_schema, fixed)
  return {
    object: 'callable',
    id: action.id,
    slug: action.slug,
    name: action.name,
    description: definition.description,
    version: action.version,
    input_schema: examples === undefined ? input_schema : { ...input_schema, examples },
    output_schema: definition.output_schema && {
      ...shapeOutputSchema(definition.output_schema, definition.response),
    },
    constraints: [...definition.constraints, ...grant.constraints].filter(
      (constraint) => !namesInput(constraint, fixed),
    ),
    annotations: definition.annotations,
    examples: Array.isArray(examples) ? examples : [],
    limits: {
      rate_limit_rpm:
        holder.rateLimitRpm === null
          ? action.rate_limit_rpm
          : Math.min(holder.rateLimitRpm, action.rate_limit_rpm),
      rate_limit_rph: action.rate_limit_rph,
      concurrency_limit: action.concurrency_limit,
      uses_left: usesLeftOf(grant, holder, uses),
    },
  }
}

/** An execution as its holder sees it: the input that was sent, without what was fixed when it ran. */
export const ownExecution = (
  execution: Execution,
  grant: HeldGrant | undefined,
  fixedByAction: Fixed | undefined,
): Execution => {
  const { input } = execution
  if (!isRecord(input)) return execution
  // Without its action nobody knows what was fixed.
  if (!grant || fixedByAction === undefined) return { ...execution, input: null }
  const fixed = fixedFor({ fixed_input: fixedByAction }, grant)
  const sent = Object.entries(input).filter(([name]) => !Object.hasOwn(fixed, name))
  return { ...execution, input: Object.fromEntries(sent) }
}

type Fixed = Readonly<Record<string, unknown>> | null

/** What is left of a limit; null when there is none. */
export const usesLeft = (limit: number | null, used: number): number | null =>
  limit === null ? null : Math.max(0, limit - used)

/** A call takes a use of the token and one of the grant: the smaller rest counts. */
export const usesLeftOf = (grant: HeldGrant, holder: Pick<Holder, 'maxUses'>, uses: Uses): number | null => {
  const left = [
    usesLeft(holder.maxUses, uses.token),
    usesLeft(grant.max_uses, uses.grants.get(grant.action_id) ?? 0),
  ].filter((one) => one !== null)
  return left.length === 0 ? null : Math.min(...left)
}
