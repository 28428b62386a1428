import { type KeyObject, randomBytes } from 'node:crypto'
import { defaultSettings } from '@narrowapi/contract'
import type { Clock } from './clock.ts'
import { describeCredential, hashCredential, newCredential } from './credentials.ts'
import { json, type Pool, type Sql } from './db/sql.ts'
import { inTransaction } from './db/transaction.ts'
import type { Ids } from './ids.ts'
import type { Keyring } from './vault/keys.ts'
import { checkOpens, openKey } from './vault/open.ts'
import { packSealed, unpackSealed } from './vault/pack.ts'
import { installationContext, sealBytes, sealCheck } from './vault/seal.ts'

/** The keys of an installation: drawn once, kept in the database under the master key. */
export type Installation = {
  pepper: KeyObject
  cursorKey: KeyObject
  /** The text of the owner key, only when this start made it: to be shown once. */
  ownerKey: string | null
}

/** Told of the text of the owner key as soon as it is made. */
export type OnOwnerKey = (ownerKey: string) => void

type Parts = { system: Pool; keyring: Keyring; clock: Clock; ids: Ids }

/**
 * Opens the installation, or makes it at the first start: its keys, a workspace and an owner key. Servers that
 * start together take turns, so there is one of each.
 */
export const openInstallation = async (
  parts: Parts,
  onOwnerKey: OnOwnerKey = () => {},
): Promise<Installation> => {
  const installation = await openOrCreate(parts)
  // Whatever fails in the rest of the start, no other start can tell it.
  if (installation.ownerKey !== null) onOwnerKey(installation.ownerKey)
  return installation
}

const openOrCreate = (parts: Parts): Promise<Installation> =>
  inTransaction(parts.system, async (sql) => {
    await sql`select pg_advisory_xact_lock(hashtext('narrowapi.installation'))`
    const stored = await findInstallation(sql)
    if (!stored) return createInstallation(sql, parts)
    if (!checkOpens(parts.keyring, unpackSealed(stored.key_check))) {
      throw new Error(
        'The master key is not the one this database was set up with. Give the right one in NARROWAPI_MASTER_KEY, or put back the file master.key in the data directory',
      )
    }
    return { ...openKeys(parts.keyring, stored), ownerKey: null }
  })

type StoredKeys = { key_check: Buffer; credential_pepper: Buffer; cursor_mac: Buffer }

const findInstallation = async (sql: Sql): Promise<StoredKeys | undefined> => {
  const [stored] = await sql<StoredKeys[]>`select key_check, credential_pepper, cursor_mac from installation`
  return stored
}

const openKeys = (keyring: Keyring, stored: StoredKeys) => ({
  pepper: openKey(keyring, installationContext('credential_pepper'), unpackSealed(stored.credential_pepper)),
  cursorKey: openKey(keyring, installationContext('cursor_mac'), unpackSealed(stored.cursor_mac)),
})

const createInstallation = async (sql: Sql, { keyring, clock, ids }: Parts): Promise<Installation> => {
  const newKey = (name: 'credential_pepper' | 'cursor_mac') =>
    packSealed(sealBytes(keyring, installationContext(name), randomBytes(32)))
  const stored: StoredKeys = {
    key_check: packSealed(sealCheck(keyring)),
    credential_pepper: newKey('credential_pepper'),
    cursor_mac: newKey('cursor_mac'),
  }
  const now = clock.now().toISOString()
  await sql`
    insert into installation (key_check, credential_pepper, cursor_mac, created_at)
    values (${stored.key_check}, ${stored.credential_pepper}, ${stored.cursor_mac}, ${now})`
  const keys = openKeys(keyring, stored)
  const workspaceId = await createWorkspace(sql, {
    id: ids.next('ws'),
    name: 'Default',
    slug: 'default',
    now,
  })
  const ownerKey = await createOwnerKey(sql, { workspaceId, id: ids.next('key'), pepper: keys.pepper, now })
  return { ...keys, ownerKey }
}

export const createWorkspace = async (
  sql: Sql,
  workspace: { id: string; name: string; slug: string; now: string },
): Promise<string> => {
  const { id, name, slug, now } = workspace
  await sql`
    insert into workspaces (id, name, slug, tier, status, settings, metadata, created_at, updated_at)
    values (${id}, ${name}, ${slug}, 'self_hosted', 'active', ${json(sql, defaultSettings)}, '{}', ${now}, ${now})`
  return id
}

/** A key with every scope, made by nobody. Answers its text, which is stored nowhere. */
export const createOwnerKey = async (
  sql: Sql,
  { workspaceId, id, pepper, now }: { workspaceId: string; id: string; pepper: KeyObject; now: string },
): Promise<string> => {
  const key = newCredential('sk', randomBytes)
  const { prefix, last_four } = describeCredential(key)
  await sql`
    insert into api_keys (
      workspace_id, id, name, hash, prefix, last_four, scopes, metadata, created_at, updated_at
    ) values (
      ${workspaceId}, ${id}, 'Owner', ${hashCredential(key, pepper)}, ${prefix}, ${last_four}, ${['*']}, '{}',
      ${now}, ${now}
    )`
  return key
}
