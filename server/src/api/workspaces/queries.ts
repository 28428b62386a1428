import type { Workspace } from '@narrowapi/contract'
import { type Keyset, keysetClauses } from '../../db/keyset.ts'
import { json, type Sql } from '../../db/sql.ts'
import { ApiError } from '../../errors.ts'

const columns = (sql: Sql) => sql`
  id, 'workspace' as object, id as workspace_id, name, slug, tier, status, settings, metadata, created_at, updated_at`

export const listWorkspaces = (sql: Sql, workspaceId: string, keyset: Keyset) => sql<Workspace[]>`
  select ${columns(sql)}
  from workspaces
  where id = ${workspaceId}
    ${keysetClauses(sql, keyset)}`

export const getWorkspace = async (sql: Sql, workspaceId: string, id: string): Promise<Workspace> => {
  const [workspace] = await sql<Workspace[]>`
    select ${columns(sql)}
    from workspaces
    where id = ${workspaceId} and id = ${id}`
  return workspace ?? missing()
}

export const getWorkspaceForUpdate = async (
  sql: Sql,
  workspaceId: string,
  id: string,
): Promise<Workspace> => {
  const [workspace] = await sql<Workspace[]>`
    select ${columns(sql)}
    from workspaces
    where id = ${workspaceId} and id = ${id}
    for no key update`
  return workspace ?? missing()
}

export const updateWorkspace = async (
  sql: Sql,
  workspaceId: string,
  workspace: Workspace,
): Promise<Workspace> => {
  const [updated] = await sql<Workspace[]>`
    update workspaces
    set name = ${workspace.name}, tier = ${workspace.tier}, status = ${workspace.status},
      settings = ${json(sql, workspace.settings)}, metadata = ${json(sql, workspace.metadata)},
      updated_at = ${workspace.updated_at}
    where id = ${workspaceId} and id = ${workspace.id}
    returning ${columns(sql)}`
  return updated ?? missing()
}

export const getPlan = async (sql: Sql, tier: string): Promise<{ self_assignable: boolean }> => {
  const [plan] = await sql<
    { self_assignable: boolean }[]
  >`select self_assignable from plans where tier = ${tier}`
  if (!plan) throw new Error('A plan of the contract is missing in the database')
  return plan
}

const missing = (): never => {
  throw new ApiError('not_found', 'There is no workspace with this id')
}
