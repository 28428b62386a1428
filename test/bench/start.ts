import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import postgres from 'postgres'
import { placeOfDatabase, startProduct } from './product.ts'
import { median, table } from './report.ts'

const rounds = 5

/**
 * G14: from `npm start`'s own program to a database that answers, and what that holds in memory. Also to an answer of
 * the server that needed the database, which is what a person waits for.
 */
export const measureStart = async (): Promise<string[]> => {
  const database = { first: [] as number[], later: [] as number[] }
  const server = { first: [] as number[], later: [] as number[] }
  const memory: number[] = []
  for (let round = 0; round < rounds; round += 1) {
    const folder = await mkdtemp(join(tmpdir(), 'narrowapi-start-'))
    try {
      let key = ''
      for (const kind of ['first', 'later'] as const) {
        const startedAt = performance.now()
        const secondsSince = () => (performance.now() - startedAt) / 1000
        const answers = untilDatabaseAnswers(folder).then(secondsSince)
        const product = await startProduct({ folder })
        key ||= product.ownerKey
        const answer = await fetch(`${product.url}/api/v1/actions`, {
          headers: { authorization: `Bearer ${key}` },
        })
        server[kind].push(secondsSince())
        database[kind].push(await answers)
        if (answer.status !== 200) return [`the ${kind} start answered ${answer.status}`]
        if (kind === 'later') memory.push((await proportionalBytes(product.postgresPid)) / 2 ** 20)
        await product.stop()
      }
    } finally {
      await rm(folder, { recursive: true, force: true })
    }
  }
  const row = (what: string, unit: string, values: number[], bound: number, aim: number) => {
    const value = median(values)
    const verdict = value <= aim ? 'reached' : value <= bound ? 'met' : 'MISSED'
    return [what, `${value.toFixed(2)} ${unit}`, `G14 ≤ ${bound} (aim ${aim}) ${verdict}`]
  }
  process.stdout.write(
    `\nFrom start to an answer\n\n${table([
      ['', 'median', 'goal'],
      row('of the database, first start', 's', database.first, 5, 1.5),
      row('of the database, later start', 's', database.later, 1, 0.3),
      ['of the server, first start', `${median(server.first).toFixed(2)} s`, ''],
      ['of the server, later start', `${median(server.later).toFixed(2)} s`, ''],
      row('memory of PostgreSQL', 'MiB', memory, 60, 60),
    ])}\n`,
  )
  return []
}

/** Asked from outside, again and again, as soon as there is a socket. */
const untilDatabaseAnswers = async (folder: string): Promise<void> => {
  for (;;) {
    const sql = postgres({ ...placeOfDatabase(folder), max: 1, onnotice: () => {} })
    try {
      await sql`select 1`
      return
    } catch {
      await delay(5)
    } finally {
      await sql.end({ timeout: 0 })
    }
  }
}

/** Memory of a process and its children, where pages they share are shared out among them (proc(5), smaps_rollup). */
const proportionalBytes = async (pid: number): Promise<number> => {
  let bytes = 0
  for (const other of (await readdir('/proc')).map(Number).filter(Number.isInteger)) {
    const stat = await readFile(`/proc/${other}/stat`, 'utf8').catch(() => '')
    const parent = Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[1])
    if (other !== pid && parent !== pid) continue
    const rollup = await readFile(`/proc/${other}/smaps_rollup`, 'utf8').catch(() => '')
    bytes += Number(/^Pss: +(\d+) kB/m.exec(rollup)?.[1] ?? 0) * 1024
  }
  return bytes
}
