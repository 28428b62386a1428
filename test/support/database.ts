import { randomBytes } from 'node:crypto'
import { inject } from 'vitest'
import { connect, type Pool } from '../../server/src/db/sql.ts'
import { templateDatabase } from './postgres.ts'

export type TestDatabase = {
  url: string
  /** A superuser's pool, for looking behind the API. Row-level security does not apply to it. */
  sql: Pool
  drop(): Promise<void>
}

/** A database of its own with the whole schema, cloned from the template in a few milliseconds. */
export const createDatabase = (): Promise<TestDatabase> => create(`template ${templateDatabase}`)

/** A database in which no server has ever started. */
export const createEmptyDatabase = (): Promise<TestDatabase> => create('')

const create = async (template: string): Promise<TestDatabase> => {
  const name = `test_${randomBytes(6).toString('hex')}`
  const urlOf = (database: string) => inject('postgresUrl').replace('{database}', database)
  await asAdmin(urlOf('postgres'), `create database ${name} ${template}`)
  const sql = connect(urlOf(name), 'owner', { max: 3 })
  return {
    url: urlOf(name),
    sql,
    async drop() {
      await sql.end({ timeout: 1 })
      await asAdmin(urlOf('postgres'), `drop database if exists ${name} with (force)`)
    },
  }
}

/** Cloning needs the template to itself for a moment, so clones take turns. */
const asAdmin = async (url: string, statement: string): Promise<void> => {
  const admin = connect(url, 'owner', { max: 1 })
  try {
    await admin`select pg_advisory_lock(4711)`
    await admin.unsafe(statement)
  } finally {
    await admin.end()
  }
}
