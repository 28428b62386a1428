/**
 * `npm run bench` measures what NarrowAPI costs; `npm run bench -- --quick` does so roughly, in a minute. Names of
 * sections choose some of them: `npm run bench -- calls depth`.
 *
 * - `calls`: `POST /x/{id}` with everything on (token, limits, schema, constraint, template, secret, durable record)
 *   against Express with http-proxy-middleware, which only forwards, in versions 4 and 3. `/x` appears twice: with a
 *   row written before the call and its outcome after it, which is the default, and with the one row of an action that
 *   is declared read-only and idempotent. Beside them stand the same work written straight down, the least that a
 *   proxy in Node can do, nginx where it is installed, and the upstream itself, to show that neither it nor the load
 *   generator is what is measured.
 * - `workers`: the same calls with one process and with two.
 * - `management`: a page of 20 executions and a created token, against plain Express routes on the same database.
 * - `depth`: the last pages of a million executions against the first.
 * - `start`: from an empty folder, and from one that was used, to the first answer that needed the database.
 *
 * How to read the tables. The first peer is the baseline; columns with × are ratios to it, taken within each
 * round, then their median. Trust the CPU ratio most: it survives a busy machine. Then the ratio of requests
 * per second, whose lowest and highest round show how noisy the run was. Absolute figures are for orientation
 * and cannot be compared with another run. `Node µs` is CPU of the process under test per request, `PostgreSQL
 * µs` that of its database, both by the accounts of the operating system, so Linux is needed.
 *
 * Every answer is compared with the right one, and every call must be in the database once: else the numbers
 * mean nothing, are said to be void, and the exit code is 1. A missed goal is shown and changes no exit code.
 * `--cpu-prof` leaves a profile of the server in the current folder.
 */
import { compareCalls, compareWorkers } from './calls.ts'
import { measureDepth } from './depth.ts'
import { compareManagement } from './management.ts'
import { forkProgram } from './processes.ts'
import { startProduct } from './product.ts'
import { measureStart } from './start.ts'

const isQuick = process.argv.includes('--quick')

/** Each answers what was wrong, in sentences. */
const sections: Record<string, () => Promise<string[]>> = {
  calls: () => withProduct((product, generator) => compareCalls(product, generator, isQuick)),
  workers: () => withGenerator((generator) => compareWorkers(generator, isQuick)),
  management: () => withProduct((product, generator) => compareManagement(product, generator, isQuick)),
  depth: () => withProduct((product) => measureDepth(product, isQuick)),
  start: () => measureStart(),
}

const withGenerator = async <T>(
  use: (generator: ReturnType<typeof forkProgram>) => Promise<T>,
): Promise<T> => {
  const generator = forkProgram('load.ts')
  try {
    return await use(generator)
  } finally {
    generator.disconnect()
  }
}

const withProduct = (use: Parameters<typeof useProduct>[1]): Promise<string[]> =>
  withGenerator((generator) => useProduct(generator, use))

const useProduct = async (
  generator: ReturnType<typeof forkProgram>,
  use: (
    product: Awaited<ReturnType<typeof startProduct>>,
    generator: ReturnType<typeof forkProgram>,
  ) => Promise<string[]>,
): Promise<string[]> => {
  const product = await startProduct()
  try {
    return await use(product, generator)
  } finally {
    await product.stop()
  }
}

const named = process.argv.slice(2).filter((argument) => !argument.startsWith('--'))
const unknown = named.filter((name) => !Object.hasOwn(sections, name))
if (unknown.length > 0) {
  throw new Error(`There is no section ${unknown.join(', ')}; there are ${Object.keys(sections).join(', ')}`)
}
for (const [name, run] of Object.entries(sections)) {
  if (named.length > 0 && !named.includes(name)) continue
  for (const problem of await run()) {
    process.stdout.write(`VOID: ${problem}\n`)
    process.exitCode = 1
  }
}
