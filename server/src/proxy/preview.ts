import type { DryRun } from '@narrowapi/contract'
import type { HeldGrant, Holder } from './authority.ts'
import type { LoadedAction } from './catalogue.ts'
import { inject } from './inject.ts'
import { fixedFor, judge } from './judge.ts'
import { redacted } from './redact.ts'
import { masked, maskedLike } from './redact-input.ts'
import { ownValue } from './template-schema.ts'

type Previewed = Pick<LoadedAction, 'id' | 'version' | 'definition' | 'compiled'>

/**
 * What a call would do: judged by the code that judges calls and built by the code that builds them, with
 * `[redacted]` where the secret and sensitive inputs go, and fixed inputs where the holder of a token looks. The
 * secret itself is not opened.
 */
export const preview = (
  holder: Pick<Holder, 'revision'> | null,
  action: Previewed,
  grant: HeldGrant | null,
  sent: unknown,
  now: Date,
  { hidesFixed = false }: { hidesFixed?: boolean } = {},
): DryRun => {
  const { input, decision } = judge(holder, action, grant, sent, now)
  const head = { object: 'dry_run', action_id: action.id, version: action.version, decision } as const
  if (!decision.allowed) return { ...head, allowed: false, request: null }
  const { compiled, definition } = action
  // Built from the real input first, so that what cannot be placed is refused here as it would be by a call.
  compiled.template.build(input)
  const fixed = hidesFixed ? fixedFor(definition, grant) : {}
  const redactedInput = compiled.redactInput(input)
  const shown = Object.entries(input).map(([name, value]) => [
    name,
    Object.hasOwn(fixed, name)
      ? masked(value)
      : maskedLike(value, redactedInput === redacted ? redacted : ownValue(redactedInput, name)),
  ])
  const request = inject(
    compiled.template.build(Object.fromEntries(shown)),
    compiled.auth,
    maskedSecret(compiled.auth),
  )
  return {
    ...head,
    allowed: true,
    request: {
      method: request.method,
      url: request.origin + request.path,
      headers: pairs(withKey(request.headers, compiled.keyHeader)),
      body: request.body === null ? null : JSON.parse(request.body),
    },
  }
}

/** Basic credentials are masked as a pair, because they must be one. */
const maskedSecret = (auth: LoadedAction['compiled']['auth']): string =>
  auth.type === 'basic' && auth.name === null ? `${redacted}:${redacted}` : redacted

/** The key of a real call is the id of its execution, which a dry run has none of. */
const withKey = (headers: readonly string[], keyHeader: string | null): readonly string[] =>
  keyHeader === null ? headers : [...headers, keyHeader, '[execution id]']

const pairs = (flat: readonly string[]): { name: string; value: string }[] =>
  flat.flatMap((name, index) => {
    if (index % 2 === 1) return []
    const value = flat[index + 1] ?? ''
    // Base64 would hide that it is masked.
    return [{ name, value: /^Basic /.test(value) ? `Basic ${redacted}` : value }]
  })
