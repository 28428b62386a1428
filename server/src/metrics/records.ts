import type { Histogram } from './cells.ts'
import type { MetricRegistry } from './registry.ts'
import { durationBounds } from './requests.ts'

/** What waits for a commit: rows as they are, rows that take something, ends that keep a reply. */
export type RecordQueue = 'write' | 'reserve' | 'end'

export type GroupFigures = { rows: Histogram; seconds: Histogram }

/** Rows of one commit; a group is never larger than the last bound. */
const groupBounds = [1, 2, 4, 8, 16, 32, 64, 128, 256, 500] as const

/** Group commits of executions: how many rows share one, and how long it takes until it is durable. */
export const recordMetrics = (registry: MetricRegistry): Readonly<Record<RecordQueue, GroupFigures>> => {
  const rows = registry.histograms(
    { name: 'narrowapi_record_group_rows', help: 'Rows that shared a commit', labels: ['queue'] },
    groupBounds,
  )
  const seconds = registry.histograms(
    { name: 'narrowapi_record_commit_duration_seconds', help: 'Group commits', labels: ['queue'] },
    durationBounds,
  )
  const figuresOf = (queue: RecordQueue): GroupFigures => ({
    rows: rows.of(queue),
    seconds: seconds.of(queue),
  })
  return { write: figuresOf('write'), reserve: figuresOf('reserve'), end: figuresOf('end') }
}
