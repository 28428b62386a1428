import { readdir, readFile } from 'node:fs/promises'

/** What a run found, by name, in the order it is printed. */
export type Figures = Record<string, number | string>

export const print = (title: string, figures: Figures): void => {
  const width = Math.max(...Object.keys(figures).map((name) => name.length))
  const lines = Object.entries(figures).map(([name, figure]) => `  ${name.padEnd(width)}  ${figure}`)
  process.stdout.write(`${title}\n${lines.join('\n')}\n\n`)
}

export const demand = (isSo: boolean, complaint: string): void => {
  if (!isSo) throw new Error(complaint)
}

/** Resident memory of a process in MiB (proc(5)). */
export const residentMiB = async (pid: number): Promise<number> => {
  const status = await readFile(`/proc/${pid}/status`, 'utf8')
  return Number(/VmRSS:\s+(\d+) kB/.exec(status)?.[1]) / 1024
}

export const openFiles = async (pid: number): Promise<number> => (await readdir(`/proc/${pid}/fd`)).length

/** The slope of a line through points, by least squares. */
export const slope = (points: readonly (readonly [x: number, y: number])[]): number => {
  const mean = (index: 0 | 1) => points.reduce((sum, point) => sum + point[index], 0) / points.length
  const [meanX, meanY] = [mean(0), mean(1)]
  const covariance = points.reduce((sum, [x, y]) => sum + (x - meanX) * (y - meanY), 0)
  return covariance / points.reduce((sum, [x]) => sum + (x - meanX) ** 2, 0)
}
