import {
  type Action,
  type ActionDefinition,
  Annotations,
  type CreateAction,
  ResponsePolicy,
  RetryPolicy,
  reservedSlugs,
  type UpdateAction,
  UpstreamIdempotency,
} from '@narrowapi/contract'
import { z } from 'zod'
import { changesBetween } from '../../changes.ts'
import { ApiError, type ErrorDetail } from '../../errors.ts'
import { toJsonSchema } from '../../proxy/schema.ts'

/** An action before it is stored: everything but what the store adds. */
export type ActionDraft = Omit<Action, 'object' | 'workspace_id'>

type NewAction = Omit<CreateAction, 'auth_value' | 'slug'> & { id: string; slug: string; now: Date }

export const draftFor = ({ now, input_schema, ...action }: NewAction): ActionDraft => ({
  ...action,
  input_schema: { ...toJsonSchema(input_schema) },
  version: 1,
  created_at: now.toISOString(),
  updated_at: now.toISOString(),
})

type Changes = Omit<UpdateAction, 'auth_value' | 'version'>

/** JSON merge patch: what is absent stays, also inside the members whose own members mean something alone. */
export const merged = (before: Action, changes: Changes): ActionDraft => {
  const { input_schema, query, headers, response, annotations, retry, idempotency, ...rest } = changes
  const wanted = {
    ...rest,
    input_schema: input_schema && { ...toJsonSchema(input_schema) },
    query: query && mergedTexts(before.query, query),
    headers: headers && mergedTexts(before.headers, headers),
    ...mergedParts(before, { response, annotations, retry, idempotency }),
  }
  const set = Object.fromEntries(Object.entries(wanted).filter(([, value]) => value !== undefined))
  return { ...before, ...set }
}

const mergedTexts = (
  before: Record<string, string> | null,
  changes: Record<string, string | null>,
): Record<string, string> => {
  const texts = Object.entries({ ...before, ...changes })
  return Object.fromEntries(texts.filter((entry): entry is [string, string] => entry[1] !== null))
}

const Parts = z
  .object({
    response: ResponsePolicy,
    annotations: Annotations,
    retry: RetryPolicy.nullable(),
    idempotency: UpstreamIdempotency.nullable(),
  })
  .partial()
type Parts = z.output<typeof Parts>

/** Where there was none, what is given begins from the defaults, and must have what has no default. */
const mergedParts = (before: Action, changes: { [N in keyof Parts]: Changes[N] }): Parts => {
  const part = (name: keyof Parts) => changes[name] && { ...before[name], ...changes[name] }
  const parts = Parts.safeParse({
    response: part('response'),
    annotations: part('annotations'),
    retry: part('retry'),
    idempotency: part('idempotency'),
  })
  if (parts.success) return parts.data
  const details = parts.error.issues.map(({ path, message }) => ({ field: path.join('.'), message }))
  throw new ApiError('validation_failed', 'request body is invalid', { details })
}

export const restored = (before: Action, definition: ActionDefinition): ActionDraft => ({
  ...before,
  ...definition,
})

/** Every change that a reader could miss counts: `If-Match` then catches them all. */
export const bumped = (before: Action, draft: ActionDraft, now: Date): ActionDraft =>
  changesBetween(before, draft).length === 0
    ? draft
    : { ...draft, version: before.version + 1, updated_at: now.toISOString() }

/** The part of an action that decides what it does, in one order. */
export const definitionOf = (action: ActionDraft): ActionDefinition => ({
  description: action.description,
  method: action.method,
  target_url: action.target_url,
  query: action.query,
  headers: action.headers,
  body_template: action.body_template,
  auth_type: action.auth_type,
  auth_name: action.auth_name,
  secret_id: action.secret_id,
  input_schema: action.input_schema,
  output_schema: action.output_schema,
  response: action.response,
  constraints: action.constraints,
  fixed_input: action.fixed_input,
  timeout_ms: action.timeout_ms,
  retry: action.retry,
  idempotency: action.idempotency,
  passthrough_errors: action.passthrough_errors,
  annotations: action.annotations,
})

/** Archived actions come back as drafts only, so that nothing long forgotten is callable at once. */
export const checkTransition = (from: Action['status'], to: Action['status']): void => {
  const next: Record<Action['status'], Action['status'][]> = {
    draft: ['active', 'archived'],
    active: ['paused', 'archived'],
    paused: ['active', 'archived'],
    archived: ['draft'],
  }
  if (from === to || next[from].includes(to)) return
  throw new ApiError('invalid_state', `An action that is ${from} can only become ${next[from].join(' or ')}`)
}

/** A secret must be given exactly where one is sent: by value or by id, not both. */
export const checkSecret = (
  authType: Action['auth_type'],
  value: string | undefined,
  secretId: string | null,
): void => {
  const details: ErrorDetail[] = []
  if (value !== undefined && secretId !== null)
    details.push({ field: 'auth_value', message: 'leave it out when secret_id is given' })
  if (authType === 'none' && value !== undefined)
    details.push({ field: 'auth_value', message: 'needs an auth_type that sends it' })
  if (authType === 'none' && secretId !== null)
    details.push({ field: 'secret_id', message: 'needs an auth_type that sends it' })
  if (authType !== 'none' && value === undefined && secretId === null) {
    details.push({ field: 'auth_value', message: `is required with auth_type ${authType}, or a secret_id` })
  }
  if (details.length > 0) throw new ApiError('validation_failed', 'request body is invalid', { details })
}

/** Whether it must be looked at again: an action that could no longer be stored can still be paused or archived. */
export const wantsCheck = (before: Action, draft: ActionDraft): boolean =>
  wantsSlot(before.status, draft.status) ||
  changesBetween(definitionOf(before), definitionOf(draft)).length > 0

export const wantsSlot = (from: Action['status'], to: Action['status']): boolean =>
  from !== 'active' && to === 'active'

export const checkActivation = ({ limit, active }: { limit: number | null; active: number }): void => {
  if (limit === null || active < limit) return
  throw new ApiError(
    'action_limit_reached',
    `The plan allows ${limit} active actions: pause or archive one first`,
    {
      feature: 'active_actions',
      limit,
      current_usage: active,
    },
  )
}

/** A slug from a name, with a number behind it when others have it already. */
export const freeSlug = (name: string, taken: ReadonlySet<string>): string => {
  const words = name
    .normalize('NFKD')
    .replaceAll(/\p{M}/gu, '')
    .toLowerCase()
    .match(/[a-z0-9]+/g) ?? ['action']
  const base = words.join('-').slice(0, 56).replace(/-+$/, '')
  for (let number = 1; ; number += 1) {
    const slug = number === 1 ? base : `${base}-${number}`
    if (!taken.has(slug) && !reservedSlugs.includes(slug)) return slug
  }
}
