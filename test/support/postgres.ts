import { chmod, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { TestProject } from 'vitest/node'
import { startEmbedded } from '../../server/src/db/embedded.ts'
import { migrate } from '../../server/src/db/migrate.ts'
import { connect } from '../../server/src/db/sql.ts'

declare module 'vitest' {
  export interface ProvidedContext {
    /** A superuser's URL of the server that the tests share; `{database}` stands for the name of a database. */
    postgresUrl: string
  }
}

export const templateDatabase = 'narrowapi_template'

/**
 * One PostgreSQL for the whole run, with a migrated database that every test file clones: the embedded one, or
 * the server that TEST_POSTGRES_URL names (`postgres://admin@127.0.0.1:5432/{database}`, a superuser's).
 */
export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  const { url, stop } = await startPostgres()
  const admin = connect(url('postgres'), 'owner', { max: 1 })
  await admin.unsafe(`drop database if exists ${templateDatabase}`)
  await admin.unsafe(`create database ${templateDatabase}`)
  await admin.end()
  const template = connect(url(templateDatabase), 'owner', { max: 1 })
  await migrate(template)
  await template.end()
  project.provide('postgresUrl', url('{database}'))
  return stop
}

type Postgres = { url: (database: string) => string; stop: () => Promise<void> }

const startPostgres = async (): Promise<Postgres> => {
  const given = process.env.TEST_POSTGRES_URL
  if (given) return { url: (database) => given.replace('{database}', database), stop: async () => {} }
  const dataDir = await mkdtemp(join(tmpdir(), 'narrowapi-test-'))
  await chmod(dataDir, 0o755)
  const embedded = await startEmbedded({ dataDir })
  const { host, username } = embedded.connection
  return {
    url: (database) => `postgres://${username}@localhost/${database}?host=${host}`,
    async stop() {
      await embedded.stop()
      await rm(dataDir, { recursive: true, force: true })
    },
  }
}
