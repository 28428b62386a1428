import type { UpdateWorkspace, Workspace } from '@narrowapi/contract'
import { ApiError } from '../../errors.ts'

type Changes = UpdateWorkspace & { status?: Workspace['status'] }

/** Absent fields stay; settings are merged one by one. */
export const changed = (workspace: Workspace, changes: Changes, now: Date): Workspace => {
  const { settings, name, tier, metadata, status } = changes
  return {
    ...workspace,
    name: name ?? workspace.name,
    tier: tier ?? workspace.tier,
    status: status ?? workspace.status,
    metadata: metadata ?? workspace.metadata,
    settings: { ...workspace.settings, ...withoutUndefined(settings ?? {}) },
    updated_at: now.toISOString(),
  }
}

/** A hosted installation sells its plans; there a workspace cannot move itself. */
export const checkTier = (plan: { self_assignable: boolean }): void => {
  if (!plan.self_assignable) {
    throw new ApiError('validation_failed', 'request body is invalid', {
      details: [{ field: 'tier', message: 'cannot be chosen in this installation' }],
    })
  }
}

const withoutUndefined = <T extends object>(object: T) =>
  // Removing undefined members leaves the members that are set, each with its own type.
  Object.fromEntries(Object.entries(object).filter(([, value]) => value !== undefined)) as {
    [K in keyof T]?: Exclude<T[K], undefined>
  }
