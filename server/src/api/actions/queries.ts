import type { Action, ActionVersion } from '@narrowapi/contract'
import { type CommonFilters, commonFilters } from '../../db/filters.ts'
import { type Keyset, keysetClauses } from '../../db/keyset.ts'
import { brokenConstraint, json, type Sql } from '../../db/sql.ts'
import { ApiError } from '../../errors.ts'
import { type StoredDefinition, wholeDefinition } from '../../proxy/definition.ts'
import { type ActionDraft, definitionOf } from './rules.ts'

type Row = Omit<Action, keyof ActionVersion['definition']> & { definition: StoredDefinition }
type VersionRow = Omit<ActionVersion, 'definition'> & { id: string; definition: StoredDefinition }

const columns = (sql: Sql) => sql`
  id, 'action' as object, workspace_id, name, slug, status, version, definition, rate_limit_rpm, rate_limit_rph,
  concurrency_limit, sunset_at, tags, metadata, created_at, updated_at`

const actionOf = ({ definition, ...row }: Row): Action => ({ ...row, ...wholeDefinition(definition) })

export const listActions = async (
  sql: Sql,
  workspaceId: string,
  filters: CommonFilters & { status?: string | undefined; tag?: string | undefined },
  keyset: Keyset,
): Promise<Action[]> => {
  const rows = await sql<Row[]>`
    select ${columns(sql)}
    from actions
    where workspace_id = ${workspaceId}
      ${filters.status ? sql`and status = ${filters.status}` : sql``}
      ${filters.tag ? sql`and ${filters.tag} = any (tags)` : sql``}
      ${commonFilters(sql, filters)}
      ${keysetClauses(sql, keyset)}`
  return rows.map(actionOf)
}

export const insertAction = async (
  sql: Sql,
  workspaceId: string,
  action: ActionDraft,
  createdBy: string,
): Promise<Action> => {
  const rows = await sql<Row[]>`
    insert into actions (
      workspace_id, id, name, slug, status, version, definition, secret_id, rate_limit_rpm, rate_limit_rph,
      concurrency_limit, sunset_at, tags, metadata, created_at, updated_at
    ) values (
      ${workspaceId}, ${action.id}, ${action.name}, ${action.slug}, ${action.status}, ${action.version},
      ${json(sql, definitionOf(action))}, ${action.secret_id}, ${action.rate_limit_rpm}, ${action.rate_limit_rph},
      ${action.concurrency_limit}, ${action.sunset_at}, ${action.tags}, ${json(sql, action.metadata)}, ${action.created_at}, ${action.updated_at}
    )
    returning ${columns(sql)}`.catch(refuseBrokenConstraint)
  await insertVersion(sql, workspaceId, action, createdBy)
  return one(rows)
}

export const findAction = async (sql: Sql, workspaceId: string, id: string): Promise<Action | undefined> => {
  const [row] = await sql<Row[]>`
    select ${columns(sql)}
    from actions
    where workspace_id = ${workspaceId} and id = ${id}`
  return row && actionOf(row)
}

export const getAction = async (sql: Sql, workspaceId: string, id: string): Promise<Action> =>
  (await findAction(sql, workspaceId, id)) ?? missing()

export const getActionForUpdate = async (sql: Sql, workspaceId: string, id: string): Promise<Action> => {
  const rows = await sql<Row[]>`
    select ${columns(sql)}
    from actions
    where workspace_id = ${workspaceId} and id = ${id}
    for update`
  return one(rows)
}

export const updateAction = async (
  sql: Sql,
  workspaceId: string,
  before: Pick<Action, 'version'>,
  action: ActionDraft,
  createdBy: string,
): Promise<Action> => {
  const rows = await sql<Row[]>`
    update actions
    set name = ${action.name}, slug = ${action.slug}, status = ${action.status}, version = ${action.version},
      definition = ${json(sql, definitionOf(action))}, secret_id = ${action.secret_id},
      rate_limit_rpm = ${action.rate_limit_rpm}, rate_limit_rph = ${action.rate_limit_rph},
      concurrency_limit = ${action.concurrency_limit}, sunset_at = ${action.sunset_at}, tags = ${action.tags},
      metadata = ${json(sql, action.metadata)}, updated_at = ${action.updated_at}
    where workspace_id = ${workspaceId} and id = ${action.id}
    returning ${columns(sql)}`.catch(refuseBrokenConstraint)
  if (action.version !== before.version) await insertVersion(sql, workspaceId, action, createdBy)
  return one(rows)
}

export const deleteAction = async (sql: Sql, workspaceId: string, id: string): Promise<void> => {
  await sql`delete from actions where workspace_id = ${workspaceId} and id = ${id}`
}

/** A page needs an id to stand on; a version's is its number, padded so that text order is its order. */
export const listActionVersions = async (
  sql: Sql,
  workspaceId: string,
  actionId: string,
  keyset: Keyset,
): Promise<(ActionVersion & { id: string })[]> => {
  const rows = await sql<VersionRow[]>`
    select id, object, action_id, version, definition, created_at, created_by
    from (
      select to_char(version, 'FM0000000000') as id, 'action_version' as object, action_id, version, definition,
        created_at, created_by
      from action_versions
      where workspace_id = ${workspaceId} and action_id = ${actionId}
    ) versions
    where true
      ${keysetClauses(sql, keyset)}`
  return rows.map((row) => ({ ...row, definition: wholeDefinition(row.definition) }))
}

export const getActionVersion = async (
  sql: Sql,
  workspaceId: string,
  actionId: string,
  version: number,
): Promise<Pick<ActionVersion, 'definition'>> => {
  const [row] = await sql<Pick<VersionRow, 'definition'>[]>`
    select definition
    from action_versions
    where workspace_id = ${workspaceId} and action_id = ${actionId} and version = ${version}`
  if (!row) throw new ApiError('not_found', 'The action has no such version')
  return { definition: wholeDefinition(row.definition) }
}

const insertVersion = async (
  sql: Sql,
  workspaceId: string,
  action: ActionDraft,
  createdBy: string,
): Promise<void> => {
  await sql`
    insert into action_versions (workspace_id, action_id, version, definition, created_by, created_at)
    values (
      ${workspaceId}, ${action.id}, ${action.version}, ${json(sql, definitionOf(action))}, ${createdBy},
      ${action.updated_at}
    )`
}

/**
 * Locks the workspace and counts what its plan limits. The plan is read by the next statement: the one that waits
 * for the lock has looked at the plans before, and finds none for a tier that changed meanwhile. Not `for update`:
 * that would wait for every row that is being added under the workspace, audit events among them, which wait for
 * this change in their turn.
 */
export const lockPlan = async (
  sql: Sql,
  workspaceId: string,
): Promise<{ limit: number | null; active: number }> => {
  await sql`select id from workspaces where id = ${workspaceId} for no key update`
  const [plan] = await sql<{ limit: number | null }[]>`
    select p.active_actions as limit
    from workspaces w join plans p on p.tier = w.tier
    where w.id = ${workspaceId}`
  if (!plan) throw new Error('The workspace has no plan')
  if (plan.limit === null) return { limit: null, active: 0 }
  const [count] = await sql<{ active: number }[]>`
    select count(*) as active from actions where workspace_id = ${workspaceId} and status = 'active'`
  return { limit: plan.limit, active: count?.active ?? 0 }
}

export const slugsLike = async (sql: Sql, workspaceId: string): Promise<ReadonlySet<string>> => {
  const rows = await sql<{ slug: string }[]>`select slug from actions where workspace_id = ${workspaceId}`
  return new Set(rows.map(({ slug }) => slug))
}

const one = (rows: readonly Row[]): Action => {
  const [row] = rows
  return row ? actionOf(row) : missing()
}

const refuseBrokenConstraint = (error: unknown): never => {
  const constraint = brokenConstraint(error)
  if (constraint === 'actions_slug') {
    throw new ApiError('conflict', 'Another action has this slug: choose another one', {
      details: [{ field: 'slug', message: 'is taken' }],
    })
  }
  if (constraint === 'actions_secret') {
    throw new ApiError('validation_failed', 'request body is invalid', {
      details: [{ field: 'secret_id', message: 'is not a secret of this workspace' }],
    })
  }
  throw error
}

const missing = (): never => {
  throw new ApiError('not_found', 'There is no action with this id')
}
