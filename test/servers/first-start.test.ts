import { once } from 'node:events'
import { createServer, type Server } from 'node:net'
import { NarrowAPI } from '@narrowapi/sdk'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { createEmptyDatabase } from '../support/database.ts'
import { startProcess } from '../support/server-process.ts'

let holder: Server
let taken: string

beforeAll(async () => {
  holder = createServer().listen(0, '127.0.0.1')
  await once(holder, 'listening')
  const address = holder.address()
  taken = String(typeof address === 'object' && address?.port)
})

afterAll(() => {
  holder.close()
})

const keysIn = (output: string) => output.match(/\bsk_[0-9A-Za-z]{49}/g) ?? []

test.each(['1', '2'])(
  'a first start of %s that cannot listen has told the owner key, and the next one answers to it',
  async (workers) => {
    const database = await createEmptyDatabase()
    const environment = { DATABASE_URL: database.url, NARROWAPI_WORKERS: workers, PORT: taken }
    const failed = await startProcess({ environment }).then(
      () => '',
      (error: Error) => error.message,
    )
    expect(failed).toContain('ended with 1')
    expect(failed).toContain('PORT: cannot be listened on')
    const [key = '', ...more] = keysIn(failed)
    expect(more).toEqual([])
    // One process is enough to ask.
    const server = await startProcess({ environment: { DATABASE_URL: database.url } })
    expect(keysIn(server.output())).toEqual([])
    const narrow = new NarrowAPI({ apiKey: key, baseUrl: server.url })
    expect((await narrow.workspaces.list()).data).toHaveLength(1)
    expect(await server.stop()).toBe(0)
    await database.drop()
  },
)
