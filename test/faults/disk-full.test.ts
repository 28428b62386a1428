import { execFile } from 'node:child_process'
import { mkdtemp, open, readFile, rm, stat, statfs, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { createCluster } from '../support/cluster.ts'
import { createEmptyDatabase } from '../support/database.ts'
import { freePort } from '../support/port.ts'
import { ask } from '../support/send.ts'
import { ownerKeyOf, startProcess } from '../support/server-process.ts'
import { until } from './callers.ts'

const run = promisify(execFile)

/** A disk of its own takes the right to mount one, which root has. */
const mayMount = process.getuid?.() === 0 && process.platform === 'linux'

let home: string

beforeAll(async () => {
  home = await mkdtemp(join(tmpdir(), 'narrowapi-disk-'))
})

afterAll(() => rm(home, { recursive: true, force: true }))

const mount = async (name: string, size: string) => {
  const folder = join(home, name)
  await run('mkdir', [folder])
  await run('mount', ['-t', 'tmpfs', '-o', `size=${size},mode=755`, 'narrowapi-test', folder])
  return { folder, unmount: () => run('umount', [folder]) }
}

/** Takes all the space that is left, but for a few bytes. */
const fill = async (folder: string, leaveBytes = 0): Promise<string> => {
  const { bavail, bsize } = await statfs(folder)
  const ballast = join(folder, 'ballast')
  await writeFile(ballast, Buffer.alloc(Math.max(0, bavail * bsize - leaveBytes))).catch(
    (error: NodeJS.ErrnoException) => {
      // Somebody else took some of it in between.
      if (error.code !== 'ENOSPC') throw error
    },
  )
  return ballast
}

test.runIf(mayMount)(
  'a database whose disk is full refuses changes with 503, keeps all it has, and goes on when there is space',
  async () => {
    const disk = await mount('data', '160m')
    const cluster = await createCluster({ dataDir: disk.folder })
    const server = await startProcess({ environment: { DATABASE_URL: cluster.url() } })
    const credential = ownerKeyOf(server)
    const made: string[] = []
    const create = async () => {
      // Noise, so that it takes the space it seems to take.
      const value = Buffer.from(Array.from({ length: 6_000 }, () => Math.random() * 256)).toString('base64')
      const answer = await ask(server.url, 'POST /api/v1/secrets', { credential, body: { name: 's', value } })
      if (answer.status === 201) made.push(String(Reflect.get(Object(answer.body), 'id')))
      return answer
    }
    for (let n = 0; n < 5; n += 1) expect((await create()).status).toBe(201)

    const ballast = await fill(disk.folder)
    const statuses = new Set<number>()
    await until(
      'a change is refused',
      async () => {
        const answer = await create()
        statuses.add(answer.status)
        if (answer.status === 503) expect(answer.headers.get('retry-after')).toBe('1')
        return answer.status === 503
      },
      60_000,
    )
    for (let n = 0; n < 5; n += 1) statuses.add((await create()).status)
    expect([...statuses].filter((status) => ![201, 503].includes(status))).toEqual([])
    expect((await ask(server.url, 'GET /healthz')).status).toBe(200)

    await rm(ballast)
    // A PostgreSQL that could not write its log has ended; whoever runs it starts it again.
    await cluster.revive()
    await until('changes are made again', async () => (await create()).status === 201)
    await cluster.stop('immediate')
    await cluster.start()
    const kept = new Set((await cluster.sql`select id from narrowapi.secrets`).map(({ id }) => id))
    expect(made.filter((id) => !kept.has(id))).toEqual([])
    // Every page of every table can be read, and its checksum is right.
    const [pages] = await cluster.sql`select sum(checksum_failures)::int as wrong from pg_stat_database`
    expect(pages?.wrong ?? 0).toBe(0)
    await server.stop()
    await cluster.remove()
    await disk.unmount()
  },
  120_000,
)

test.runIf(mayMount)(
  'a log whose disk is full costs lines and no answers, and is written again when there is space',
  async () => {
    const disk = await mount('log', '256k')
    const database = await createEmptyDatabase()
    const path = join(disk.folder, 'server.log')
    const log = await open(path, 'a')
    const port = await freePort()
    const server = await startProcess({
      environment: { DATABASE_URL: database.url, PORT: String(port) },
      stdout: log.fd,
    })
    await until('it answers', () =>
      ask(server.url, 'GET /readyz').then(
        ({ status }) => status === 200,
        () => false,
      ),
    )
    const credential = /\bsk_[0-9A-Za-z]{49}/.exec(await readFile(path, 'utf8'))?.[0] ?? ''
    const ballast = await fill(disk.folder)
    const list = () => ask(server.url, 'GET /api/v1/actions', { credential })
    for (let n = 0; n < 300; n += 1) expect((await list()).status).toBe(200)
    const { size } = await stat(path)
    await rm(ballast)
    await until('lines are written again', async () => {
      await list()
      return (await stat(path)).size > size
    })
    expect(await server.stop()).toBe(0)
    await log.close()
    await database.drop()
    await disk.unmount()
  },
)
