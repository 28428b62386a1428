import type { Callable } from '@narrowapi/contract'
import { startOfMonth } from '../../db/months.ts'
import { readWorkspace } from '../../db/transaction.ts'
import type { HandlersOf, TokenCtx } from '../../http/handlers.ts'
import type { HeldGrant } from '../../proxy/authority.ts'
import { findCallable, isSunset, paused } from '../../proxy/callable.ts'
import type { LoadedAction } from '../../proxy/catalogue.ts'
import { executionLimitReached, tokenExhausted } from '../../proxy/limits.ts'
import { preview } from '../../proxy/preview.ts'
import { readyOf, secretOf } from '../../proxy/ready.ts'
import { getExecution } from '../executions/public.ts'
import { executionsSince, fixedInputOf, type Uses, usesOf } from './queries.ts'
import { callableOf, ownExecution, usesLeft, usesLeftOf } from './rules.ts'

export const x: HandlersOf<'x'> = {
  async manifest(_, ctx) {
    checkRunning(ctx)
    const { holder } = ctx
    const uses = await loadUses(ctx)
    const found = await Promise.all(
      [...holder.grants.keys()].map((id) => ctx.deps.catalogue.action(holder.workspaceId, id)),
    )
    const callables = found.flatMap((action): Callable[] => {
      const grant = action && holder.grants.get(action.id)
      const isCallable = action?.status === 'active' && !isSunset(action, ctx.clock.now())
      if (!grant || !isCallable) return []
      const shown = callableOf(action, grant, holder, uses)
      // Listed means callable: what is used up is neither.
      return shown.limits.uses_left === 0 ? [] : [shown]
    })
    const token = {
      id: holder.id,
      name: holder.name,
      expires_at: holder.term.expiresAt,
      uses_left: usesLeft(holder.maxUses, uses.token),
      rate_limit_rpm: holder.rateLimitRpm,
    }
    return { status: 200, body: { object: 'manifest', token, callables } }
  },

  async get({ params }, ctx) {
    const { action, grant } = await callable(ctx, params.action_id)
    return { status: 200, body: callableOf(action, grant, ctx.holder, await loadUses(ctx)) }
  },

  async dryRun({ params, body }, ctx) {
    const { action, grant } = await callable(ctx, params.action_id)
    const previewed = preview(ctx.holder, action, grant, body, ctx.clock.now(), { hidesFixed: true })
    if (previewed.allowed) {
      await checkCounters(ctx, grant)
      await checkReady(ctx, action)
    }
    return { status: 200, body: previewed }
  },

  async getExecution({ params }, ctx) {
    checkRunning(ctx)
    const { holder, deps } = ctx
    const execution = await readWorkspace(deps.app, holder.workspaceId, async (sql) => {
      const found = await getExecution(sql, holder.workspaceId, params.id, { token_id: holder.id })
      const fixed = await fixedInputOf(sql, holder.workspaceId, found)
      return ownExecution(found, holder.grants.get(found.action_id), fixed)
    })
    return { status: 200, body: execution }
  },
}

const checkRunning = ({ holder }: TokenCtx): void => {
  if (holder.workspace.status === 'paused') throw paused('workspace')
}

/** The same order of refusals as a call. */
const callable = async (
  { deps, holder, clock }: TokenCtx,
  name: string,
): Promise<{ action: LoadedAction; grant: HeldGrant }> => {
  const { granted, refusal } = await findCallable(deps, holder, name, clock.now())
  if (!granted || refusal) throw refusal
  return granted
}

/** Whether a call could take what it must. */
const checkCounters = async (ctx: TokenCtx, grant: HeldGrant): Promise<void> => {
  const { holder, deps, clock } = ctx
  const { workspaceId, workspace } = holder
  const { monthlyExecutions: limit } = workspace
  const now = clock.now()
  const [uses, used] = await readWorkspace(deps.app, workspaceId, (sql) =>
    Promise.all([
      usesOf(sql, workspaceId, holder.id),
      executionsSince(sql, workspaceId, startOfMonth(now).toISOString()),
    ]),
  )
  if (usesLeftOf(grant, holder, uses) === 0) throw tokenExhausted()
  if (limit !== null && used >= limit) throw executionLimitReached(limit, now)
}

/** Whether a call could be sent, as far as that lies with the operator. */
const checkReady = async ({ deps, holder, clock }: TokenCtx, action: LoadedAction): Promise<void> => {
  const secret = await secretOf(deps.catalogue, holder.workspaceId, action)
  readyOf(holder.workspace, action.compiled, anyRequest, secret, clock.now().toISOString())
}

/** Where a secret goes and whether it can be sent there is the same for every request of an action. */
const anyRequest = { origin: '', method: '', path: '/', headers: [], body: null }

const loadUses = ({ holder, deps }: TokenCtx): Promise<Uses> =>
  readWorkspace(deps.app, holder.workspaceId, (sql) => usesOf(sql, holder.workspaceId, holder.id))
