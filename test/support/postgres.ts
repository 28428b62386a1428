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

/** One PostgreSQL for the whole run, with a migrated database that every test file clones. */
export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  const dataDir = await mkdtemp(join(tmpdir(), 'narrowapi-test-'))
  await chmod(dataDir, 0o755)
  const database = await startEmbedded({ dataDir })
  const { host, username, database: name } = database.connection
  const postgresUrl = (path: string) => `postgres://${username}@localhost/${path}?host=${host}`
  const admin = connect(postgresUrl(name), 'owner', { max: 1 })
  await admin.unsafe(`create database ${templateDatabase}`)
  await admin.end()
  const template = connect(postgresUrl(templateDatabase), 'owner', { max: 1 })
  await migrate(template)
  await template.end()
  project.provide('postgresUrl', postgresUrl('{database}').replace('%7Bdatabase%7D', '{database}'))
  return async () => {
    await database.stop()
    await rm(dataDir, { recursive: true, force: true })
  }
}
