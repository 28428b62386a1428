import { NarrowAPI } from '@narrowapi/sdk'
import type { LoadResult } from '../bench/load.ts'
import { forkProgram, startProgram } from '../bench/processes.ts'
import { startProduct } from '../bench/product.ts'
import { actionBody, requestBody, upstreamAnswer } from '../bench/workload.ts'
import { demand, type Figures, openFiles, residentMiB, slope } from './figures.ts'

const batches = 20
const connections = 64
/** Until caches are full and the compiler has done its work, memory grows for a good reason. */
const settledAfter = 8

/** A million calls, or as many as are asked for: every answer right, every row there, memory and files flat. */
export const soakCalls = async (calls: number): Promise<Figures> => {
  const product = await startProduct()
  const upstream = await startProgram('upstream.ts')
  const generator = forkProgram('load.ts')
  try {
    // The plan's limit for the whole workspace would be met in a minute.
    await product.sql`update plans set requests_per_minute = 100000000`
    const narrow = new NarrowAPI({ apiKey: product.ownerKey, baseUrl: product.url })
    const action = await narrow.actions.create({
      ...actionBody(upstream.url, { recordsOnce: false }),
      rate_limit_rpm: 1_000_000,
    })
    await product.sql`update actions set rate_limit_rpm = 100000000`
    const { token } = await narrow.tokens.create({ name: 'soak', action_ids: [action.id] })
    const load = {
      url: `${product.url}/x/${action.id}`,
      method: 'POST' as const,
      headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
      body: requestBody,
      answer: upstreamAnswer,
      connections,
      amount: calls / batches,
    }
    const memory: [calls: number, mib: number][] = [[0, await residentMiB(product.pid)]]
    let seconds = 0
    let wrong = 0
    for (let batch = 1; batch <= batches; batch += 1) {
      const result = await send(generator, load)
      seconds += result.seconds
      wrong += result.wrong
      memory.push([(batch * calls) / batches, await residentMiB(product.pid)])
      process.stdout.write(`  ${(batch * calls) / batches} calls: ${memory.at(-1)?.[1].toFixed(0)} MiB\n`)
    }
    const [row] = await product.sql<{ completed: number }[]>`
      select count(*) as completed from executions where status = 'completed'`
    demand(wrong === 0, `${wrong} answers were wrong`)
    demand(row?.completed === calls, `${row?.completed} of ${calls} calls are recorded`)
    const settled = memory.slice(settledAfter)
    return {
      calls,
      'wrong answers': wrong,
      recorded: row?.completed ?? 0,
      'calls per second': Math.round(calls / seconds),
      'MiB at the start': (memory[0]?.[1] ?? 0).toFixed(1),
      'MiB after two fifths': (settled[0]?.[1] ?? 0).toFixed(1),
      'MiB at the end': (memory.at(-1)?.[1] ?? 0).toFixed(1),
      'KiB per thousand calls, from then on': (slope(settled) * 1_000 * 1_024).toFixed(2),
      'open files at the end': await openFiles(product.pid),
    }
  } finally {
    generator.disconnect()
    upstream.child.disconnect()
    await product.stop()
  }
}

const send = (generator: ReturnType<typeof forkProgram>, load: object): Promise<LoadResult> =>
  new Promise((resolve, reject) => {
    const onExit = () => reject(new Error('The load generator ended'))
    generator.once('exit', onExit)
    generator.once('message', (result) => {
      generator.off('exit', onExit)
      // It answers every load with one result.
      resolve(result as LoadResult)
    })
    generator.send(load)
  })
