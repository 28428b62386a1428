import type {
  CreateAction,
  CreateApiKey,
  CreateSecret,
  CreateToken,
  UpdateWorkspace,
} from '../generated/client.ts'
import { MockApiError } from './api-error.ts'
import { completeBody } from './incoming.ts'
import { createAction } from './rules/actions.ts'
import { createKey } from './rules/api-keys.ts'
import { createSecret } from './rules/secrets.ts'
import { createToken } from './rules/tokens.ts'
import type { State } from './state.ts'

/** Things to begin with, as they would be created. An `id` may be chosen, and the text of a credential. */
export interface MockSeed {
  /** Settings of the workspace. */
  readonly workspace?: UpdateWorkspace
  /** Made first, because actions name them. */
  readonly secrets?: readonly (CreateSecret & SeedId)[]
  /** Made before the tokens that name them. */
  readonly actions?: readonly (CreateAction & SeedId)[]
  /** Actions may be named by slug too. */
  readonly tokens?: readonly (CreateToken & SeedId & SeedToken)[]
  /** Beside the key of the owner. */
  readonly apiKeys?: readonly (CreateApiKey & SeedId & SeedKey)[]
}

interface SeedId {
  /** Default: one of its own. */
  readonly id?: string
}

interface SeedToken {
  /** Its text. Default: one that the mock makes up. */
  readonly token?: `sxt_${string}`
}

interface SeedKey {
  /** Its text. Default: one that the mock makes up. */
  readonly key?: `sk_${string}`
}

/** Puts a seed into a workspace, checked as the API would check it; what does not fit is an `Error`. */
export const plant = (state: State, { workspace, secrets, actions, tokens, apiKeys }: MockSeed): void => {
  if (workspace) {
    const { settings, ...rest } = bodyOf('workspaces.update', 'workspace', workspace)
    Object.assign(state.workspace, rest, { settings: { ...state.workspace.settings, ...settings } })
  }
  for (const [index, { id, ...secret }] of (secrets ?? []).entries()) {
    const body = bodyOf<CreateSecret>('secrets.create', `secrets[${index}]`, secret)
    const { id: made } = createSecret(state, body)
    rename(state.secrets, made, id)
  }
  for (const [index, { id, ...action }] of (actions ?? []).entries()) {
    const body = bodyOf<CreateAction>('actions.create', `actions[${index}]`, action)
    const { id: made } = told(`actions[${index}]`, () => createAction(state, body, null))
    rename(state.actions, made, id)
    for (const version of state.versions) if (id && version.action_id === made) version.action_id = id
  }
  for (const [index, { id, token: text, ...token }] of (tokens ?? []).entries()) {
    const idOf = (name: string) => state.actions.find(({ slug }) => slug === name)?.id ?? name
    const { action_ids, grants, ...rest } = token
    const named = {
      ...rest,
      ...(action_ids && { action_ids: action_ids.map(idOf) }),
      ...(grants && { grants: grants.map((grant) => ({ ...grant, action_id: idOf(grant.action_id) })) }),
    }
    const body = bodyOf<CreateToken>('tokens.create', `tokens[${index}]`, named)
    const { id: made } = told(`tokens[${index}]`, () => createToken(state, body, null, text))
    rename(state.tokens, made, id)
  }
  for (const [index, { id, key: text, ...key }] of (apiKeys ?? []).entries()) {
    const body = bodyOf<CreateApiKey>('apiKeys.create', `apiKeys[${index}]`, key)
    const { id: made } = told(`apiKeys[${index}]`, () => createKey(state, body, null, text))
    rename(state.apiKeys, made, id)
  }
}

/** The body with its defaults. */
const bodyOf = <Body extends object>(operation: string, place: string, given: Body): Body => {
  const { body, problem } = completeBody(operation, given)
  if (problem !== '') throw new Error(`seed.${place}: ${problem}`)
  // It fits the schema that the interface was generated from.
  return body as unknown as Body
}

const told = <T>(place: string, work: () => T): T => {
  try {
    return work()
  } catch (error) {
    if (!(error instanceof MockApiError)) throw error
    const details = error.fields.details?.map(({ field, message }) => `${field} ${message}`).join(', ')
    throw new Error(`seed.${place}: ${details ?? error.message}`, { cause: error })
  }
}

const rename = (rows: { id: string }[], from: string, to: string | undefined): void => {
  const row = rows.find(({ id }) => id === from)
  if (row && to !== undefined) row.id = to
}
