import { randomBytes } from 'node:crypto'
import { createIds } from '../../server/src/ids.ts'
import { createMetrics } from '../../server/src/metrics/metrics.ts'
import { childTraceparent, traceOf } from '../../server/src/trace.ts'

/** What being seen costs each call, in µs: `npx node test/bench/seeing.ts`. The best of several rounds, since others only add. */
const metrics = createMetrics(() => performance.now())
const ids = createIds(Date.now, randomBytes)
const actions = Array.from({ length: 50 }, () => ids.next('act'))
const answered = { status: 200, duration_ms: 12.5, attempts: 1, bytes: 447 }
const traceparent = childTraceparent(ids, traceOf(ids, undefined))

let written = 0

const works: [name: string, work: (index: number) => void][] = [
  [
    'figures of one call',
    (index) => {
      metrics.requests.inFlight += 1
      metrics.calls.ended(actions[index % actions.length] ?? '', 'completed', answered)
      metrics.requests.inFlight -= 1
      metrics.requests.observeCall(200, performance.now() % 100)
    },
  ],
  [
    'figures of one group commit',
    (index) => {
      const startedAt = performance.now()
      metrics.records.write.rows.observe(index % 64)
      metrics.records.write.seconds.observe((performance.now() - startedAt) / 1000)
    },
  ],
  [
    'a new trace and its span',
    () => {
      written += childTraceparent(ids, traceOf(ids, undefined)).length
    },
  ],
  [
    'a trace that is continued',
    () => {
      written += childTraceparent(ids, traceOf(ids, traceparent)).length
    },
  ],
]

const repetitions = 500_000
for (const [name, work] of works) {
  const rounds = Array.from({ length: 7 }, () => {
    const startedAt = performance.now()
    for (let index = 0; index < repetitions; index += 1) work(index)
    return ((performance.now() - startedAt) * 1000) / repetitions
  })
  process.stdout.write(
    `${Math.min(...rounds)
      .toFixed(3)
      .padStart(7)} µs  ${name}\n`,
  )
}

let length = 0
const scrapes: number[] = []
for (let round = 0; round < 20; round += 1) {
  const startedAt = performance.now()
  length = (await metrics.registry.text()).length
  scrapes.push(performance.now() - startedAt)
}
process.stdout.write(
  `${Math.min(...scrapes)
    .toFixed(1)
    .padStart(7)} ms  a scrape of ${length} characters\n`,
)
// Shown so that the work above cannot be left out as unused.
if (written === 0) process.exitCode = 1
