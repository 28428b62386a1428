import type { ActionDefinition } from '@narrowapi/contract'
import type { Sql } from '../db/sql.ts'
import { type StoredDefinition, wholeDefinition } from './definition.ts'

export type ActionRow = {
  workspace_id: string
  id: string
  name: string
  slug: string
  status: 'draft' | 'active' | 'paused' | 'archived'
  version: number
  definition: ActionDefinition
  rate_limit_rpm: number
  rate_limit_rph: number | null
  concurrency_limit: number | null
  sunset_at: string | null
}

/** An id wins over a slug of the same text. */
export const findAction = async (
  system: Sql,
  workspaceId: string,
  name: string,
): Promise<ActionRow | undefined> => {
  const [row] = await system<(Omit<ActionRow, 'definition'> & { definition: StoredDefinition })[]>`
    select workspace_id, id, name, slug, status, version, definition, rate_limit_rpm, rate_limit_rph,
      concurrency_limit, sunset_at
    from actions
    where workspace_id = ${workspaceId} and (id = ${name} or slug = ${name})
    order by id = ${name} desc
    limit 1`
  return row && { ...row, definition: wholeDefinition(row.definition) }
}

export const findSecret = async (
  system: Sql,
  workspaceId: string,
  id: string,
): Promise<{ version: number; sealed: Buffer; expires_at: string | null } | undefined> => {
  const [row] = await system<{ version: number; sealed: Buffer; expires_at: string | null }[]>`
    select version, sealed, expires_at
    from secrets
    where workspace_id = ${workspaceId} and id = ${id}`
  return row
}
