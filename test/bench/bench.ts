/**
 * `npm run bench` measures what NarrowAPI costs; `npm run bench -- --quick` does so roughly, in 20 seconds.
 *
 * Two comparisons, each in one run on one machine:
 * - `POST /x/{id}` with everything on (token, limits, schema, constraint, template, secret, durable record)
 *   against Express with http-proxy-middleware, which only forwards. `/x` appears twice: with a row written
 *   before the call and its outcome after it, which is the default, and with the one row of an action that is
 *   declared read-only and idempotent. The least that a proxy in Node can do stands beside them. The upstream
 *   itself is the last peer: how fast it and the load generator are, so that neither is what is measured.
 * - a page of 20 executions against a plain Express route that reads the same rows with the same driver.
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
import { NarrowAPI } from '@narrowapi/sdk'
import { cpuSeconds, cpuSecondsOfFamily, forkProgram, type Program, startProgram } from './processes.ts'
import { type Product, startProduct } from './product.ts'
import { comparison, type Goal } from './report.ts'
import { type Measured, measure, type Peer, type Plan } from './rounds.ts'
import { actionBody, requestBody, upstreamAnswer } from './workload.ts'

const isQuick = process.argv.includes('--quick')

const plans: { calls: Plan; lists: Plan } = isQuick
  ? {
      calls: { connections: [1, 16, 64], rounds: 3, secondsPerRun: 0.4, warmUpSeconds: 2 },
      lists: { connections: [16], rounds: 3, secondsPerRun: 0.4, warmUpSeconds: 0.7 },
    }
  : {
      calls: { connections: [1, 16, 64], rounds: 7, secondsPerRun: 1.5, warmUpSeconds: 3 },
      lists: { connections: [1, 16], rounds: 7, secondsPerRun: 1.5, warmUpSeconds: 3 },
    }

const names = {
  passThrough: 'Express + http-proxy-middleware',
  twoRows: '/x, recorded before and after',
  oneRow: '/x, recorded once',
  bare: 'bare node:http + undici',
  upstream: 'the upstream itself',
  plainList: 'plain Express route',
  list: 'GET /api/v1/executions',
}

const goals: readonly Goal[] = [
  { peer: names.twoRows, connections: 16, figure: 'requestsPerSecond', atLeast: 0.7 },
  { peer: names.twoRows, connections: 16, figure: 'node', atMost: 0.75 },
  { peer: names.twoRows, connections: 64, figure: 'node', atMost: 0.6 },
  { peer: names.oneRow, connections: 16, figure: 'requestsPerSecond', atLeast: 0.7 },
  { peer: names.oneRow, connections: 16, figure: 'node', atMost: 0.75 },
  { peer: names.oneRow, connections: 64, figure: 'node', atMost: 0.6 },
  { peer: names.list, connections: 16, figure: 'requestsPerSecond', atLeast: 0.5 },
]

const main = async (): Promise<void> => {
  const product = await startProduct()
  const generator = forkProgram('load.ts')
  try {
    const wrong = [...(await compareCalls(product, generator)), ...(await compareLists(product, generator))]
    for (const problem of wrong) print(`VOID: ${problem}\n`)
    if (wrong.length > 0) process.exitCode = 1
  } finally {
    generator.disconnect()
    await product.stop()
  }
}

/** Answers what was wrong, in sentences. */
const compareCalls = async (
  product: Product,
  generator: ReturnType<typeof forkProgram>,
): Promise<string[]> => {
  const upstream = await startProgram('upstream.ts')
  const passThrough = await startProgram('pass-through.ts', [upstream.url])
  const bare = await startProgram('bare.ts', [upstream.url])
  const { token, twoRows, oneRow } = await prepare(product, upstream.url)
  const call = (name: string, url: string, cpu: Peer['cpu']): Peer => ({
    name,
    load: {
      url,
      method: 'POST',
      headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
      body: requestBody,
      answer: upstreamAnswer,
    },
    cpu,
  })
  const forwarded = '/charges/ch_3PqR7sTuVwXyZ0/refund'
  const measured = await measure(
    generator,
    [
      call(names.passThrough, `${passThrough.url}${forwarded}`, cpuOf(passThrough)),
      call(names.twoRows, `${product.url}/x/${twoRows}`, cpuOfProduct(product)),
      call(names.oneRow, `${product.url}/x/${oneRow}`, cpuOfProduct(product)),
      call(names.bare, `${bare.url}${forwarded}`, cpuOf(bare)),
      call(names.upstream, `${upstream.url}${forwarded}`, cpuOf(upstream)),
    ],
    plans.calls,
  )
  const served = Number(await (await fetch(`${upstream.url}/served`)).text())
  upstream.child.disconnect()
  passThrough.child.disconnect()
  bare.child.disconnect()
  print(comparison('A call of 299 bytes, answered with 447, all checks on', measured, goals))
  return [
    ...wrongAnswers(measured),
    ...unequal('calls of the upstream', served, sentTo(measured, ...Object.values(names))),
    ...(await unrecorded(product, twoRows, sentTo(measured, names.twoRows))),
    ...(await unrecorded(product, oneRow, sentTo(measured, names.oneRow))),
  ]
}

const compareLists = async (
  product: Product,
  generator: ReturnType<typeof forkProgram>,
): Promise<string[]> => {
  const { path, database, username } = product.database
  const [workspace] = await product.sql<{ id: string }[]>`select id from workspaces`
  const plain = await startProgram('plain-list.ts', [path, database, username, workspace?.id ?? ''])
  const peers: Peer[] = []
  const pages: string[][] = []
  for (const [name, url, cpu] of [
    [names.plainList, `${plain.url}/executions`, cpuOfPlain(plain, product)],
    [names.list, `${product.url}/api/v1/executions?limit=20`, cpuOfProduct(product)],
  ] as const) {
    const headers = { authorization: `Bearer ${product.ownerKey}` }
    const answer = await (await fetch(url, { headers })).text()
    pages.push(idsIn(answer))
    peers.push({ name, load: { url, method: 'GET', headers, answer }, cpu })
  }
  const measured = await measure(generator, peers, plans.lists)
  plain.child.disconnect()
  print(comparison('A page of 20 executions', measured, goals))
  const isSame = pages[0]?.length === 20 && pages[0].join() === pages[1]?.join()
  return [...wrongAnswers(measured), ...(isSame ? [] : ['the two lists do not hold the same 20 rows'])]
}

/** Two actions that differ in nothing but how often they are recorded, and a token for both. */
const prepare = async ({ sql, url, ownerKey }: Product, upstreamUrl: string) => {
  // The plan's limit for the whole workspace would be met by this machine in a minute.
  await sql`update plans set requests_per_minute = 1000000`
  const narrow = new NarrowAPI({ apiKey: ownerKey, baseUrl: url })
  const twoRows = await narrow.actions.create(actionBody(upstreamUrl, { recordsOnce: false }))
  const oneRow = await narrow.actions.create(actionBody(upstreamUrl, { recordsOnce: true }))
  const { token } = await narrow.tokens.create({ name: 'bench', action_ids: [twoRows.id, oneRow.id] })
  return { token, twoRows: twoRows.id, oneRow: oneRow.id }
}

const cpuOf =
  ({ pid }: Program): Peer['cpu'] =>
  async () => ({ node: await cpuSeconds(pid), postgres: 0 })

const cpuOfProduct =
  ({ pid, postgresPid }: Product): Peer['cpu'] =>
  async () => ({ node: await cpuSeconds(pid), postgres: await cpuSecondsOfFamily(postgresPid) })

const cpuOfPlain =
  ({ pid }: Program, { postgresPid }: Product): Peer['cpu'] =>
  async () => ({ node: await cpuSeconds(pid), postgres: await cpuSecondsOfFamily(postgresPid) })

const sentTo = (measured: readonly Measured[], ...peers: string[]): number =>
  measured.filter(({ peer }) => peers.includes(peer)).reduce((sum, { sent }) => sum + sent, 0)

const wrongAnswers = (measured: readonly Measured[]): string[] =>
  measured
    .filter(({ wrong }) => wrong > 0)
    .map(({ peer, connections, wrong }) => `${wrong} wrong answers of ${peer} at ${connections} connections`)

const unrecorded = async ({ sql }: Product, actionId: string, sent: number): Promise<string[]> => {
  const [row] = await sql<{ count: number }[]>`
    select count(*) as count
    from executions
    where action_id = ${actionId} and status = 'completed' and input is not null and output is not null`
  return unequal(`recorded calls of ${actionId}`, row?.count ?? 0, sent)
}

const unequal = (what: string, found: number, expected: number): string[] =>
  found === expected ? [] : [`${found} ${what}, but ${expected} were sent`]

const idsIn = (text: string): string[] => {
  const { data } = JSON.parse(text) as { data: { id: string }[] } // both routes answer a list object
  return data.map(({ id }) => id)
}

const print = (text: string): void => {
  process.stdout.write(text)
}

await main()
