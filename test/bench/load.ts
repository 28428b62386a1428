import autocannon from 'autocannon'

/** So many requests, each answer compared with the right one. */
export type Load = {
  url: string
  method: 'GET' | 'POST'
  headers: Record<string, string>
  body?: string
  connections: number
  amount: number
  /** The exact body that every answer must have. */
  answer: string
}

export type LoadResult = { seconds: number; wrong: number; p50: number; p99: number }

/** The load generator, a process of its own: takes a load from its parent, answers how it went. */
const run = ({ answer, ...load }: Load): Promise<LoadResult> =>
  new Promise((resolve, reject) => {
    const times: number[] = []
    let right = 0
    let endedAt = 0
    const startedAt = performance.now()
    const options = { ...load, expectBody: answer, sampleInt: 20, timeout: 30 }
    const instance = autocannon(options, (error, result) => {
      if (error) return reject(error)
      times.sort((left, right) => left - right)
      const at = (share: number) => times[Math.floor(times.length * share)] ?? Number.NaN
      resolve({
        seconds: (endedAt - startedAt) / 1000,
        wrong: load.amount - right + result.mismatches,
        p50: at(0.5),
        p99: at(0.99),
      })
    })
    instance.on('response', (_client, status, _bytes, time) => {
      times.push(time)
      if (status === 200) right += 1
      endedAt = performance.now()
    })
  })

process.on('message', (load: Load) => {
  run(load).then(
    (result) => process.send?.(result),
    (error: unknown) => {
      throw error
    },
  )
})
process.on('disconnect', () => process.exit(0))
