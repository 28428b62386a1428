import type { Figures, Measured } from './rounds.ts'

/** A goal is about a ratio to a peer, at one number of connections: what must hold, and what is aimed at. */
export type Goal = {
  /** As the design numbers it. */
  name: string
  peer: string
  connections: number
  /** The peer it is compared with; the first of the table unless said. */
  to?: string
  aim: number
} & (
  | { figure: 'requestsPerSecond'; atLeast: number }
  | { figure: 'node' | 'postgres' | 'p50'; atMost: number }
)

/** One comparison as text: absolute figures for orientation, and ratios to the baseline, which is `first`. */
export const comparison = (title: string, measured: readonly Measured[], goals: readonly Goal[]): string => {
  const baseline = measured[0]?.peer ?? ''
  const rows = measured.map((row) => [
    ...rowText(row, baselineOf(measured, baseline, row)),
    goalText(row, goals, measured),
  ])
  return `\n${title}\n\n${table([head, ...rows])}\n`
}

const head = [
  '',
  'connections',
  'requests/s',
  'p50 ms',
  'p99 ms',
  'Node µs',
  'PostgreSQL µs',
  '× requests/s',
  'lowest-highest',
  '× p50',
  '× Node CPU',
  'goal',
]

const rowText = (row: Measured, baseline: Measured): string[] => {
  const absolute = (figure: keyof Figures) => median(row.rounds.map((round) => round[figure]))
  const throughput = ratios(row, baseline, 'requestsPerSecond')
  return [
    row.peer,
    String(row.connections),
    absolute('requestsPerSecond').toFixed(0),
    absolute('p50').toFixed(2),
    absolute('p99').toFixed(2),
    absolute('node').toFixed(0),
    absolute('postgres').toFixed(0),
    median(throughput).toFixed(2),
    `${Math.min(...throughput).toFixed(2)}-${Math.max(...throughput).toFixed(2)}`,
    median(ratios(row, baseline, 'p50')).toFixed(2),
    median(ratios(row, baseline, 'node')).toFixed(2),
  ]
}

/** Within a round first, so that a slow moment of the machine, which hit both, cancels out. */
const ratios = (row: Measured, baseline: Measured, figure: keyof Figures): number[] =>
  row.rounds.map((round, index) => round[figure] / (baseline.rounds[index]?.[figure] ?? Number.NaN))

const baselineOf = (measured: readonly Measured[], peer: string, { connections }: Measured): Measured => {
  const found = measured.find((one) => one.peer === peer && one.connections === connections)
  if (!found) throw new Error(`There is no baseline at ${connections} connections`)
  return found
}

const goalText = (row: Measured, goals: readonly Goal[], measured: readonly Measured[]): string =>
  goals
    .filter((goal) => goal.peer === row.peer && goal.connections === row.connections)
    .map((goal) => {
      const ratio = median(
        ratios(row, baselineOf(measured, goal.to ?? measured[0]?.peer ?? '', row), goal.figure),
      )
      const { name, to, figure, aim } = goal
      const isMore = figure === 'requestsPerSecond'
      const bound = isMore ? goal.atLeast : goal.atMost
      const reaches = (wanted: number) => (isMore ? ratio >= wanted : ratio <= wanted)
      const verdict = reaches(aim) ? 'reached' : reaches(bound) ? 'met' : 'MISSED'
      const what = { requestsPerSecond: 'requests/s', node: 'CPU', postgres: 'PostgreSQL', p50: 'p50' }[
        figure
      ]
      const whom = to === undefined ? '' : ` of ${to}`
      return `${name} ${what}${whom} ${ratio.toFixed(2)} ${isMore ? '≥' : '≤'} ${bound} (aim ${aim}) ${verdict}`
    })
    .join('; ')

export const median = (values: readonly number[]): number => {
  const sorted = values.toSorted((left, right) => left - right)
  const middle = Math.floor(sorted.length / 2)
  const [low = Number.NaN, high = Number.NaN] = [sorted[middle - 1], sorted[middle]]
  return sorted.length % 2 === 1 ? high : (low + high) / 2
}

/** Names to the left, numbers to the right. */
export const table = (rows: readonly (readonly string[])[]): string => {
  const widths = (rows[0] ?? []).map((_, column) =>
    Math.max(...rows.map((row) => (row[column] ?? '').length)),
  )
  return rows
    .map((row) =>
      row
        .map((cell, column) => {
          const width = widths[column] ?? 0
          const isText = column === 0 || column === row.length - 1
          return isText ? cell.padEnd(width) : cell.padStart(width)
        })
        .join('  ')
        .trimEnd(),
    )
    .join('\n')
}
