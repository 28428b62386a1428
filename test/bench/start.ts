import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { startProduct } from './product.ts'
import { median, table } from './report.ts'

const rounds = 5

/** G14: from `npm start`'s own program to an answer that needed the database; and what the database holds in memory. */
export const measureStart = async (): Promise<string[]> => {
  const figures = { first: [] as number[], later: [] as number[], memory: [] as number[] }
  for (let round = 0; round < rounds; round += 1) {
    const folder = await mkdtemp(join(tmpdir(), 'narrowapi-start-'))
    try {
      let key = ''
      for (const kind of ['first', 'later'] as const) {
        const startedAt = performance.now()
        const product = await startProduct({ folder })
        key ||= product.ownerKey
        const answer = await fetch(`${product.url}/api/v1/actions`, {
          headers: { authorization: `Bearer ${key}` },
        })
        figures[kind].push((performance.now() - startedAt) / 1000)
        if (answer.status !== 200) return [`the ${kind} start answered ${answer.status}`]
        if (kind === 'later') figures.memory.push((await proportionalBytes(product.postgresPid)) / 2 ** 20)
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
    `\nFrom start to the first answer that needed the database\n\n${table([
      ['', 'median', 'goal'],
      row('first start', 's', figures.first, 5, 1.5),
      row('later start', 's', figures.later, 1, 0.3),
      row('memory of PostgreSQL', 'MiB', figures.memory, 60, 60),
    ])}\n`,
  )
  return []
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
