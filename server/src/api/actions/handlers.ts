import { changesBetween } from '../../changes.ts'
import { checkVersion } from '../../check-version.ts'
import type { Keyset } from '../../db/keyset.ts'
import type { Ctx, HandlersOf } from '../../http/handlers.ts'
import { notFound } from '../../http/problem.ts'
import { checkDefinition, compileAction } from '../../proxy/compile.ts'
import { preview } from '../../proxy/preview.ts'
import { shapeOutputSchema } from '../../proxy/redact-output.ts'
import { shownSchema } from '../../proxy/schema.ts'
import { getExecution, hasExecutions, listExecutions } from '../executions/public.ts'
import { storeNewSecret } from '../secrets/public.ts'
import { getToken, issueTokenFor, isUsable } from '../tokens/public.ts'
import {
  deleteAction,
  findAction,
  getAction,
  getActionForUpdate,
  getActionVersion,
  insertAction,
  listActions,
  listActionVersions,
  lockPlan,
  slugsLike,
  updateAction,
} from './queries.ts'
import {
  type ActionDraft,
  bumped,
  checkActivation,
  checkSecret,
  checkTransition,
  definitionOf,
  draftFor,
  freeSlug,
  merged,
  restored,
  wantsCheck,
  wantsSlot,
} from './rules.ts'

export const actions: HandlersOf<'actions'> = {
  async list({ query }, { sql, actor, page }) {
    return {
      status: 200,
      body: await page(query, (keyset) => listActions(sql, actor.workspaceId, query, keyset)),
    }
  },

  async create({ body }, ctx) {
    const { sql, actor, clock, ids } = ctx
    const { auth_value, slug, ...rest } = body
    checkSecret(body.auth_type, auth_value, body.secret_id)
    // By turns, or two that are made at once would be given one slug, or the last place of the plan.
    const plan = await lockPlan(sql, actor.workspaceId)
    const taken = await slugsLike(sql, actor.workspaceId)
    const draft = storable(
      ctx,
      draftFor({
        ...rest,
        id: ids.next('act'),
        slug: slug ?? freeSlug(body.name, taken),
        now: clock.now(),
      }),
    )
    if (draft.status === 'active') checkActivation(plan)
    const created = await insertAction(
      sql,
      actor.workspaceId,
      await withOwnSecret(ctx, draft, auth_value),
      actor.id,
    )
    return { status: 201, body: created }
  },

  async get({ params }, { sql, actor }) {
    return { status: 200, body: await getAction(sql, actor.workspaceId, params.id) }
  },

  async update({ params, body }, ctx) {
    const { sql, actor, clock, note, ifVersion } = ctx
    const { auth_value, version, ...changes } = body
    const before = await getActionForUpdate(sql, actor.workspaceId, params.id)
    checkVersion(before, ifVersion, version)
    const wished = merged(before, changes)
    checkTransition(before.status, wished.status)
    checkSecret(
      wished.auth_type,
      auth_value,
      auth_value === undefined ? wished.secret_id : (changes.secret_id ?? null),
    )
    const draft = wantsCheck(before, wished) ? storable(ctx, wished) : wished
    if (wantsSlot(before.status, draft.status)) checkActivation(await lockPlan(sql, actor.workspaceId))
    const wanted = bumped(before, await withOwnSecret(ctx, draft, auth_value), clock.now())
    const after = await updateAction(sql, actor.workspaceId, before, wanted, actor.id)
    note(changesBetween(before, after))
    return { status: 200, body: after }
  },

  async delete({ params }, { sql, actor, ifVersion }) {
    const action = await getActionForUpdate(sql, actor.workspaceId, params.id)
    checkVersion(action, ifVersion)
    await deleteAction(sql, actor.workspaceId, action.id)
    return { status: 204, body: undefined }
  },

  async listVersions({ params, query }, { sql, actor, page }) {
    const action = await getAction(sql, actor.workspaceId, params.id)
    const found = await page(query, (keyset) => listActionVersions(sql, actor.workspaceId, action.id, keyset))
    return { status: 200, body: { ...found, data: found.data.map(({ id: _, ...version }) => version) } }
  },

  async restoreVersion({ params }, ctx) {
    const { sql, actor, clock, note, ifVersion } = ctx
    const before = await getActionForUpdate(sql, actor.workspaceId, params.id)
    checkVersion(before, ifVersion)
    const { definition } = await getActionVersion(sql, actor.workspaceId, before.id, params.version)
    const draft = storable(ctx, restored(before, definition))
    const wanted = bumped(before, draft, clock.now())
    const after = await updateAction(sql, actor.workspaceId, before, wanted, actor.id)
    note(changesBetween(before, after))
    return { status: 200, body: after }
  },

  async getSchema({ params }, { sql, actor }) {
    const { id, version, input_schema, output_schema, fixed_input, response } = await getAction(
      sql,
      actor.workspaceId,
      params.id,
    )
    return {
      status: 200,
      body: {
        object: 'action_schema',
        action_id: id,
        version,
        input_schema: { ...shownSchema(input_schema, fixed_input ?? {}) },
        output_schema: output_schema && { ...shapeOutputSchema(output_schema, response) },
      },
    }
  },

  async test({ params, body }, { sql, actor, clock }) {
    const action = await getAction(sql, actor.workspaceId, params.id)
    const now = clock.now()
    const definition = definitionOf(action)
    const loaded = { id: action.id, version: action.version, definition, compiled: compileAction(definition) }
    if (body.token_id === null) return { status: 200, body: preview(null, loaded, null, body.input, now) }
    const token = await getToken(sql, actor.workspaceId, body.token_id, now.toISOString())
    const grant = token.grants.find(({ action_id }) => action_id === action.id)
    if (!grant) throw notFound()
    const judged = preview({ revision: token.updated_at }, loaded, grant, body.input, now)
    return { status: 200, body: isUsable(token, grant, now) ? judged : { ...judged, ...refused } }
  },

  async rotateToken({ params, body }, ctx) {
    // Locked, or rotations at once would each leave a token.
    const action = await getActionForUpdate(ctx.sql, ctx.actor.workspaceId, params.id)
    return { status: 201, body: await issueTokenFor(ctx, action, body) }
  },

  async listExecutions({ params, query }, { sql, actor, page }) {
    const find = (keyset: Keyset) =>
      listExecutions(sql, actor.workspaceId, { ...query, action_id: params.id }, keyset)
    const found = await page(query, find)
    if (found.data.length === 0 && !(await isKnown(sql, actor.workspaceId, params.id))) throw notFound()
    return { status: 200, body: found }
  },

  async getExecution({ params }, { sql, actor }) {
    const execution = await getExecution(sql, actor.workspaceId, params.execution_id, {
      action_id: params.id,
    })
    return { status: 200, body: execution }
  },
}

/** What could never be called is not stored. Drafts and all: an action is checked by what it is, not by its state. */
const storable = ({ actor, deps }: Ctx, draft: ActionDraft): ActionDraft => {
  const { allowsHost } = actor.workspace
  const target_url = checkDefinition(definitionOf(draft), { allow: deps.config.egressAllow, allowsHost })
  return { ...draft, target_url }
}

const refused = { allowed: false, request: null } as const

/** An `auth_value` becomes a secret of its own, named after the action. */
const withOwnSecret = async (
  ctx: Ctx,
  draft: ActionDraft,
  value: string | undefined,
): Promise<ActionDraft> => {
  if (value === undefined) return draft
  const secret = await storeNewSecret(ctx, {
    name: [...`Secret of ${draft.name}`].slice(0, 255).join(''),
    type: draft.auth_type === 'bearer' || draft.auth_type === 'basic' ? draft.auth_type : 'api_key',
    value,
    expires_at: null,
    metadata: {},
  })
  ctx.touch([{ type: 'secret', id: secret.id }])
  return { ...draft, secret_id: secret.id }
}

const isKnown = async (sql: Ctx['sql'], workspaceId: string, id: string): Promise<boolean> =>
  (await findAction(sql, workspaceId, id)) !== undefined || (await hasExecutions(sql, workspaceId, id))
