import { blanks } from '../generated/operations.ts'
import { rowOf } from '../operations.ts'
import { actions } from './actions.ts'
import { apiKeys } from './api-keys.ts'
import { audit } from './audit.ts'
import type { Rule } from './call.ts'
import { executions } from './executions.ts'
import { generic } from './generic.ts'
import { secrets } from './secrets.ts'
import { tokens } from './tokens.ts'
import { workspaces } from './workspaces.ts'
import { x } from './x.ts'

const rules: { readonly [noun: string]: { readonly [verb: string]: Rule } } = {
  actions,
  apiKeys,
  audit,
  executions,
  secrets,
  tokens,
  workspaces,
  x,
}

/** What an operation does: the rule of its noun, or else what its verb says anywhere. */
export const ruleFor = (name: string): Rule => {
  const [noun = '', verb = ''] = name.split('.')
  return rules[noun]?.[verb] ?? fallback(name)
}

const fallback = (name: string): Rule => {
  const row = rowOf(name)
  const example = blanks[row.answer ?? ''] ?? {}
  return (call) => generic(name, row, example, call)
}
