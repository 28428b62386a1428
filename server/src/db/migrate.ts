import { createHash } from 'node:crypto'
import { readdir, readFile } from 'node:fs/promises'
import type { Pool, Sql } from './sql.ts'
import { schema, sqlState } from './sql.ts'

const folder = new URL('./migrations/', import.meta.url)

/**
 * Brings the schema up to date. Servers that start together take turns by a lock, and each migration is one
 * transaction, so one that is killed halfway is done again by the next start.
 */
export const migrate = async (owner: Pool): Promise<string[]> => {
  const connection = await owner.reserve()
  try {
    await connection`select pg_advisory_lock(hashtext('narrowapi.migrate'))`
    await connection.unsafe(`create schema if not exists ${schema}`)
    await connection`
      create table if not exists migrations (
        number integer primary key, name text not null, checksum text not null, applied_at timestamptz not null
      )`
    await ensureRoles(connection)
    const applied = new Map(
      (await connection<{ number: number; checksum: string }[]>`select number, checksum from migrations`).map(
        (row) => [row.number, row.checksum],
      ),
    )
    const done: string[] = []
    for (const migration of await readMigrations()) {
      const checksum = applied.get(migration.number)
      if (checksum === undefined) {
        await apply(connection, migration)
        done.push(migration.name)
      } else if (checksum !== migration.checksum) {
        throw new Error(`Migration ${migration.name} was changed after it was applied: add a new one instead`)
      }
    }
    return done
  } finally {
    await connection`select pg_advisory_unlock(hashtext('narrowapi.migrate'))`.catch(() => {})
    connection.release()
  }
}

type Migration = { number: number; name: string; checksum: string; text: string }

const readMigrations = async (): Promise<Migration[]> => {
  const names = (await readdir(folder)).filter((name) => /^\d{4}_[a-z0-9_]+\.sql$/.test(name)).sort()
  return Promise.all(
    names.map(async (name) => {
      const text = await readFile(new URL(name, folder), 'utf8')
      const checksum = createHash('sha256').update(text).digest('hex')
      return { number: Number(name.slice(0, 4)), name, checksum, text }
    }),
  )
}

const apply = async (connection: Sql, { number, name, checksum, text }: Migration): Promise<void> => {
  try {
    await connection.unsafe('begin')
    await connection.unsafe(text)
    await connection`insert into migrations values (${number}, ${name}, ${checksum}, now())`
    await connection.unsafe('commit')
  } catch (cause) {
    await connection.unsafe('rollback').catch(() => {})
    throw new Error(`Migration ${name} failed`, { cause })
  }
}

const roles = ['narrowapi_app', 'narrowapi_system']

/**
 * Roles belong to the whole cluster, so another database or an administrator may have made them, even a moment ago.
 * The owner must be a member to act as them, and they must see the schema.
 */
const ensureRoles = async (connection: Sql): Promise<void> => {
  const known = await connection<{ name: string }[]>`
    select rolname as name from pg_roles where rolname in ${connection(roles)}`
  const missing = roles.filter((role) => !known.some(({ name }) => name === role))
  try {
    for (const role of missing) await createRole(connection, role)
    for (const role of roles) await joinRole(connection, role)
  } catch (cause) {
    if (sqlState(cause) !== notAllowed) throw cause
    const [user] = await connection<{ name: string }[]>`select quote_ident(current_user) as name`
    const statements = [
      ...missing.map((role) => `create role ${role} nologin`),
      `grant ${roles.join(', ')} to ${user?.name}`,
    ]
    throw new Error(
      `The database user may not make or join its roles. As an administrator run: ${statements.join('; ')}`,
      { cause },
    )
  }
  for (const role of roles) await connection.unsafe(`grant usage on schema ${schema} to ${role}`)
}

const notAllowed = '42501'
const alreadyThere = ['42710', '23505']

const createRole = async (connection: Sql, role: string): Promise<void> => {
  await connection.unsafe(`create role ${role} nologin`).catch((cause: unknown) => {
    if (!alreadyThere.includes(sqlState(cause) ?? '')) throw cause
  })
}

const joinRole = (connection: Sql, role: string) =>
  connection.unsafe(`
    do $$ begin
      -- Since PostgreSQL 16 who makes a role may grant it and not yet take it on.
      if not pg_has_role(
        current_user, '${role}',
        case when current_setting('server_version_num')::int < 160000 then 'member' else 'set' end
      ) then grant ${role} to current_user; end if;
    exception when unique_violation then null; end $$`)
