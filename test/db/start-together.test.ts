import { type ChildProcess, spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { NarrowAPI } from '@narrowapi/sdk'
import { afterAll, expect, test } from 'vitest'
import { createEmptyDatabase } from '../support/database.ts'

const main = fileURLToPath(new URL('../../server/src/main.ts', import.meta.url))
const started: ChildProcess[] = []

afterAll(async () => {
  await Promise.all(
    started.map(async (child) => {
      if (child.exitCode !== null) return
      child.kill('SIGKILL')
      await once(child, 'exit')
    }),
  )
})

test('two servers that start together on an empty database make one installation', async () => {
  const database = await createEmptyDatabase()
  const environment = {
    PATH: process.env.PATH,
    PORT: '0',
    DATABASE_URL: database.url,
    NARROWAPI_MASTER_KEY: randomBytes(32).toString('base64'),
  }
  const servers = await Promise.all([startServer(environment), startServer(environment)])
  const keys = servers.flatMap(({ output }) => output.match(/sk_[0-9A-Za-z]{49}/) ?? [])
  expect(keys).toHaveLength(1)
  for (const { url } of servers) {
    const workspaces = await new NarrowAPI({ apiKey: String(keys[0]), baseUrl: url }).workspaces.list()
    expect(workspaces.data).toHaveLength(1)
  }
  await Promise.all(servers.map(({ child }) => stopped(child)))
  await database.drop()
})

const startServer = async (environment: Record<string, string | undefined>) => {
  const child = spawn(process.execPath, [main], { env: environment, stdio: ['ignore', 'pipe', 'pipe'] })
  started.push(child)
  let output = ''
  child.stderr.on('data', (chunk: Buffer) => {
    output += String(chunk)
  })
  for await (const chunk of child.stdout) {
    output += String(chunk)
    const url = /"url":"(http:[^"]+)"/.exec(output)?.[1]
    if (url) return { child, url, output }
  }
  throw new Error(`The server ended before it listened: ${output}`)
}

const stopped = async (child: ChildProcess): Promise<void> => {
  const exit = once(child, 'exit')
  child.kill('SIGTERM')
  const [code] = await exit
  expect(code).toBe(0)
}
