import type {
  Action,
  ActionDefinition,
  ActionSchema,
  ActionVersion,
  CreateAction,
  Grant,
  RotateActionToken,
  TestAction,
  UpdateAction,
} from '../../generated/client.ts'
import { apiError, invalidBody, notFound } from '../api-error.ts'
import { blanks } from '../generated/operations.ts'
import { type Filters, pageOf } from '../list.ts'
import { type Fields, isObject, type Schema } from '../schema.ts'
import { blank, getById, remove, type State, type StoredToken } from '../state.ts'
import { changesBetween, checkVersion, keyOf, type Rule, type RuleCall } from './call.ts'
import { checkDefinition } from './definition.ts'
import { executionFilters } from './executions.ts'
import { judge } from './judge.ts'
import { previewOf } from './preview.ts'
import { createSecret } from './secrets.ts'
import { createToken, replaceTokensOf, shown } from './tokens.ts'

export const actions: Record<string, Rule> = {
  list: ({ state, query, listName }) => pageOf(state.actions, query, listName, filters),

  create: (call) => {
    const body = call.body as unknown as CreateAction
    const action = createAction(call.state, body, keyOf(call).id)
    if (body.auth_value !== undefined) call.touch([{ type: 'secret', id: String(action.secret_id) }])
    return action
  },

  get: ({ state, params }) => getById('action', state.actions, params.id),

  update: (call) => {
    const { state, params, body, ifVersion } = call
    const { auth_value, version, input_schema, ...changes } = body as UpdateAction
    const action = getById('action', state.actions, params.id)
    checkVersion(action, ifVersion, version)
    checkTransition(action.status, changes.status ?? action.status)
    checkSlug(state, changes.slug, action)
    const secretId =
      auth_value === undefined ? (changes.secret_id ?? action.secret_id) : (changes.secret_id ?? null)
    const authType = changes.auth_type ?? action.auth_type
    checkSecret(authType, auth_value, changes.secret_id === null ? null : secretId)
    const wanted = {
      ...merged(action, changes),
      ...(input_schema && { input_schema: toJsonSchema(input_schema) }),
    }
    checkDefinition({ ...action, ...wanted } as Action)
    checkIsThere(state, changes.secret_id ?? null)
    if (auth_value === undefined) return change(call, action, wanted)
    const secret_id = secretOf(state, changes.name ?? action.name, authType, auth_value)
    call.touch([{ type: 'secret', id: secret_id }])
    return change(call, action, { ...wanted, secret_id })
  },

  delete: ({ state, params, ifVersion }) => {
    const action = getById('action', state.actions, params.id)
    checkVersion(action, ifVersion)
    remove(state.actions, action)
    for (const version of state.versions.filter(({ action_id }) => action_id === action.id))
      remove(state.versions, version)
  },

  listVersions: ({ state, params, query, listName }) => {
    const { id } = getById('action', state.actions, params.id)
    const versions = state.versions.filter(({ action_id }) => action_id === id)
    return pageOf(versions, query, listName)
  },

  restoreVersion: (call) => {
    const { state, params, ifVersion } = call
    const action = getById('action', state.actions, params.id)
    checkVersion(action, ifVersion)
    const found = state.versions.find(
      ({ action_id, version }) => action_id === action.id && String(version) === params.version,
    )
    if (!found) throw notFound('The action has no such version')
    checkIsThere(state, found.definition.secret_id)
    return change(call, action, structuredClone(found.definition))
  },

  getSchema: ({ state, params }): ActionSchema => {
    const { id, version, input_schema, output_schema, fixed_input } = getById(
      'action',
      state.actions,
      params.id,
    )
    return {
      object: 'action_schema',
      action_id: id,
      version,
      input_schema: shownSchema(input_schema, fixed_input ?? {}),
      output_schema,
    }
  },

  test: ({ state, params, body }) => {
    const { input = {}, token_id = null } = body as TestAction
    const action = getById('action', state.actions, params.id)
    if (token_id === null) return previewOf(action, judge(action, null, null, { ...input }, state.now()))
    const token = state.tokens.find(({ id }) => id === token_id)
    const grant = token?.grants.find(({ action_id }) => action_id === action.id)
    if (!token || !grant) throw notFound()
    const preview = previewOf(action, judge(action, grant, token, { ...input }, state.now()))
    return isUsable(state, token, grant) ? preview : { ...preview, allowed: false, request: null }
  },

  rotateToken: (call) => {
    const { state, params, body } = call
    const { grace_period_hours = 0, name, expires_at = null } = body as RotateActionToken
    const action = getById('action', state.actions, params.id)
    const replaced = replaceTokensOf(state, action.id, grace_period_hours)
    call.touch(replaced.revoked_token_ids.map((id) => ({ type: 'token', id })))
    const wanted = { name: name ?? action.name, expires_at, action_ids: [action.id] }
    return { ...createToken(state, wanted, keyOf(call).id), ...replaced }
  },

  listExecutions: ({ state, params, query, listName }) => {
    const found = state.executions.filter(({ action_id }) => action_id === params.id)
    // Those of an action that was deleted stay readable.
    if (found.length === 0) getById('action', state.actions, params.id)
    return pageOf(found, query, listName, executionFilters)
  },

  getExecution: ({ state, params }) =>
    getById(
      'execution',
      state.executions.filter(({ action_id }) => action_id === params.id),
      params.execution_id,
    ),
}

const isUsable = (state: State, token: StoredToken, { max_uses, uses }: Grant): boolean =>
  shown(state, token).status === 'active' &&
  (token.not_before === null || token.not_before <= state.timestamp()) &&
  (max_uses === null || uses < max_uses)

const filters: Filters<Action> = {
  tag: ({ tags }, wanted) => tags.some((tag) => tag === wanted),
}

/** An `auth_value` becomes a secret of its own. A seed may choose the id. */
export const createAction = (
  state: State,
  { auth_value, slug, input_schema = [], ...rest }: CreateAction & { id?: string },
  createdBy: string | null,
): Action => {
  const authType = rest.auth_type ?? 'none'
  checkSecret(authType, auth_value, rest.secret_id ?? null)
  checkSlug(state, slug, null)
  const action = {
    ...blank<Action>('Action'),
    ...state.head('act'),
    ...rest,
    slug: slug ?? freeSlug(state, rest.name),
    input_schema: toJsonSchema(input_schema),
    version: 1,
  } as Action
  checkDefinition(action)
  checkIsThere(state, action.secret_id)
  if (auth_value !== undefined) action.secret_id = secretOf(state, rest.name, authType, auth_value)
  state.actions.push(action)
  keepVersion(state, action, createdBy)
  return action
}

/** What is merged member by member, and what it begins from where there is none. */
const parts: { readonly [name: string]: object } = {
  query: {},
  headers: {},
  response: {},
  annotations: {},
  retry: { on: ['connection'] },
  idempotency: { header: null, safe: false },
}

const merged = (action: Action, changes: object): Fields => {
  const wanted = Object.entries(changes).map(([name, value]) => {
    if (value === null || !parts[name]) return [name, value]
    const whole = Object.entries({ ...(Reflect.get(action, name) ?? parts[name]), ...value })
    const isTexts = name === 'query' || name === 'headers'
    return [name, Object.fromEntries(whole.filter(([, member]) => !isTexts || member !== null))]
  })
  const fields: Fields = Object.fromEntries(wanted)
  if (isObject(fields.retry) && fields.retry.max === undefined)
    throw invalidBody([{ field: 'retry.max', message: 'is required' }])
  return fields
}

/** Every change that a reader could miss is a new version. */
const change = (call: RuleCall, action: Action, changes: object): Action => {
  const before = { ...action }
  if (changesBetween(before, { ...before, ...changes }).length === 0) return action
  const { state, note } = call
  Object.assign(action, changes, { version: action.version + 1, updated_at: state.timestamp() })
  note(changesBetween(before, action))
  keepVersion(state, action, keyOf(call).id)
  return action
}

const keepVersion = (state: State, action: Action, createdBy: string | null): void => {
  const version: ActionVersion = {
    object: 'action_version',
    action_id: action.id,
    version: action.version,
    definition: structuredClone(definitionOf(action)),
    created_at: action.updated_at,
    created_by: createdBy,
  }
  state.versions.push(version)
}

/** The part of an action that decides what it does. */
const definitionOf = (action: Action): ActionDefinition => {
  // The generated blank has the members that the contract gives a definition.
  const { definition } = blanks.ActionVersion as { definition: object }
  return Object.fromEntries(
    Object.keys(definition).map((name) => [name, Reflect.get(action, name)]),
  ) as unknown as ActionDefinition
}

const secretOf = (state: State, name: string, authType: string, value: string): string =>
  createSecret(state, {
    name: `Secret of ${name}`.slice(0, 255),
    type: authType === 'bearer' || authType === 'basic' ? authType : 'api_key',
    value,
  }).id

const checkSecret = (authType: string, value: string | undefined, secretId: string | null): void => {
  const details: { field: string; message: string }[] = []
  const complain = (field: string, message: string) => details.push({ field, message })
  if (value !== undefined && secretId !== null) complain('auth_value', 'leave it out when secret_id is given')
  if (authType === 'none' && value !== undefined) complain('auth_value', 'needs an auth_type that sends it')
  if (authType === 'none' && secretId !== null) complain('secret_id', 'needs an auth_type that sends it')
  if (authType !== 'none' && value === undefined && secretId === null)
    complain('auth_value', `is required with auth_type ${authType}, or a secret_id`)
  if (details.length > 0) throw invalidBody(details)
}

const checkIsThere = (state: State, secretId: string | null): void => {
  if (secretId === null || state.secrets.some(({ id }) => id === secretId)) return
  throw invalidBody([{ field: 'secret_id', message: 'is not a secret of this workspace' }])
}

const checkTransition = (from: string, to: string): void => {
  const next: { readonly [status: string]: readonly string[] } = {
    draft: ['active', 'archived'],
    active: ['paused', 'archived'],
    paused: ['active', 'archived'],
    archived: ['draft'],
  }
  if (from === to || next[from]?.includes(to)) return
  throw apiError('invalid_state', {
    message: `An action that is ${from} can only become ${next[from]?.join(' or ')}`,
  })
}

const checkSlug = (state: State, slug: string | undefined, own: Action | null): void => {
  if (slug === undefined || !state.actions.some((one) => one.slug === slug && one !== own)) return
  throw apiError('conflict', {
    message: 'Another action has this slug: choose another one',
    details: [{ field: 'slug', message: 'is taken' }],
  })
}

const freeSlug = (state: State, name: string): string => {
  const words = name
    .normalize('NFKD')
    .replaceAll(/\p{M}/gu, '')
    .toLowerCase()
    .match(/[a-z0-9]+/g) ?? ['action']
  const base = words.join('-').slice(0, 56).replace(/-+$/, '')
  for (let number = 1; ; number += 1) {
    const slug = number === 1 ? base : `${base}-${number}`
    if (!state.actions.some((one) => one.slug === slug)) return slug
  }
}

/** A list of fields as JSON Schema. A JSON Schema is given back as it is. */
const toJsonSchema = (input: NonNullable<CreateAction['input_schema']>): Record<string, unknown> => {
  if (!Array.isArray(input)) return input as Record<string, unknown>
  return {
    type: 'object',
    properties: Object.fromEntries(
      input.map(({ name, required: _, in: place, sensitive, min_length, max_length, max_items, ...rest }) => [
        name,
        withoutUndefined({
          ...rest,
          minLength: min_length,
          maxLength: max_length,
          maxItems: max_items,
          'x-in': place,
          'x-sensitive': sensitive || undefined,
        }),
      ]),
    ),
    required: input.filter(({ required }) => required).map(({ name }) => name),
    additionalProperties: false,
  }
}

const withoutUndefined = (object: object): object =>
  Object.fromEntries(Object.entries(object).filter(([, value]) => value !== undefined))

/** The schema as the holder of a token sees it: without what is fixed, and without `x-` keys. */
export const shownSchema = (schema: Schema, fixed: object): Record<string, unknown> => {
  const { properties, required } = schema
  const isFixed = (name: string) => Object.hasOwn(fixed, name)
  return withoutPrivateKeys({
    ...schema,
    ...(properties && {
      properties: Object.fromEntries(Object.entries(properties).filter(([name]) => !isFixed(name))),
    }),
    ...(required && { required: required.filter((name) => !isFixed(name)) }),
  })
}

const withoutPrivateKeys = (schema: object): Record<string, unknown> =>
  Object.fromEntries(
    Object.entries(schema)
      .filter(([keyword]) => !keyword.startsWith('x-'))
      .map(([keyword, value]) => [
        keyword,
        keyword === 'properties' && isObject(value)
          ? Object.fromEntries(
              Object.entries(value).map(([name, part]) => [
                name,
                isObject(part) ? withoutPrivateKeys(part) : part,
              ]),
            )
          : value,
      ]),
  )
