import { NarrowAPI } from '@narrowapi/sdk'
import { startNginx } from './nginx.ts'
import { cpuSeconds, cpuSecondsOfFamily, type forkProgram, type Program, startProgram } from './processes.ts'
import { type Product, startProduct } from './product.ts'
import { comparison, type Goal } from './report.ts'
import { type Measured, measure, type Peer, type Plan } from './rounds.ts'
import { actionBody, requestBody, upstreamAnswer } from './workload.ts'

type Generator = ReturnType<typeof forkProgram>

const planOf = (isQuick: boolean, connections: readonly number[]): Plan =>
  isQuick
    ? { connections, rounds: 3, secondsPerRun: 0.4, warmUpSeconds: 2 }
    : // Compiled code still gets faster for a hundred thousand calls.
      { connections, rounds: 7, secondsPerRun: 1.5, warmUpSeconds: 12 }

const names = {
  passThrough: 'Express + http-proxy-middleware',
  passThrough3: 'the same with its version 3',
  twoRows: '/x, recorded before and after',
  oneRow: '/x, recorded once',
  naive: 'the same work, straight down',
  bare: 'bare node:http + undici',
  nginx: 'nginx, one worker',
  upstream: 'the upstream itself',
}

const goals: readonly Goal[] = [
  {
    name: 'G1',
    peer: names.oneRow,
    connections: 64,
    figure: 'node',
    atMost: 0.6,
    aim: 0.4,
  },
  { name: 'G1', peer: names.twoRows, connections: 64, figure: 'node', atMost: 0.6, aim: 0.42 },
  { name: 'G2', peer: names.oneRow, connections: 16, figure: 'node', atMost: 0.75, aim: 0.5 },
  { name: 'G2', peer: names.twoRows, connections: 16, figure: 'node', atMost: 0.75, aim: 0.65 },
  { name: 'G3', peer: names.oneRow, connections: 64, figure: 'requestsPerSecond', atLeast: 1.8, aim: 2.4 },
  { name: 'G3', peer: names.twoRows, connections: 64, figure: 'requestsPerSecond', atLeast: 1.8, aim: 2.1 },
  { name: 'G3', peer: names.oneRow, connections: 16, figure: 'requestsPerSecond', atLeast: 0.7, aim: 1.7 },
  { name: 'G3', peer: names.twoRows, connections: 16, figure: 'requestsPerSecond', atLeast: 0.7, aim: 1 },
  ...[16, 64].flatMap((connections): Goal[] => [
    {
      name: 'G4',
      to: names.naive,
      peer: names.oneRow,
      connections,
      figure: 'requestsPerSecond',
      atLeast: 4,
      aim: 6,
    },
    {
      name: 'G4',
      to: names.naive,
      peer: names.twoRows,
      connections,
      figure: 'requestsPerSecond',
      atLeast: 4,
      aim: 5,
    },
  ]),
  { name: 'G5', to: names.bare, peer: names.oneRow, connections: 64, figure: 'node', atMost: 1.4, aim: 1.15 },
  {
    name: 'G6',
    to: names.naive,
    peer: names.oneRow,
    connections: 64,
    figure: 'postgres',
    atMost: 0.15,
    aim: 0.15,
  },
  {
    name: 'G6',
    to: names.naive,
    peer: names.twoRows,
    connections: 64,
    figure: 'postgres',
    atMost: 0.23,
    aim: 0.23,
  },
]

/** Answers what was wrong, in sentences. */
export const compareCalls = async (
  product: Product,
  generator: Generator,
  isQuick: boolean,
): Promise<string[]> => {
  const { path, database, username } = product.database
  const upstream = await startProgram('upstream.ts')
  const passThrough = await startProgram('pass-through.ts', [upstream.url])
  const passThrough3 = await startProgram('pass-through.ts', [upstream.url, '3'])
  const bare = await startProgram('bare.ts', [upstream.url])
  const nginx = await startNginx(upstream.url)
  const { token, twoRows, oneRow } = await prepare(product, upstream.url)
  const naive = await startProgram('naive.ts', [path, database, username, upstream.url, token])
  const call = (name: string, url: string, cpu: Peer['cpu']): Peer => callPeer(name, url, token, cpu)
  const forwarded = '/charges/ch_3PqR7sTuVwXyZ0/refund'
  const measured = await measure(
    generator,
    [
      call(names.passThrough, `${passThrough.url}${forwarded}`, cpuOf(passThrough)),
      call(names.twoRows, `${product.url}/x/${twoRows}`, cpuOfProduct(product)),
      call(names.oneRow, `${product.url}/x/${oneRow}`, cpuOfProduct(product)),
      call(names.passThrough3, `${passThrough3.url}${forwarded}`, cpuOf(passThrough3)),
      call(names.naive, `${naive.url}/x/refund`, cpuBeside(naive, product)),
      call(names.bare, `${bare.url}${forwarded}`, cpuOf(bare)),
      ...(nginx ? [call(names.nginx, `${nginx.url}${forwarded}`, cpuOfFamily(nginx.pid))] : []),
      call(names.upstream, `${upstream.url}${forwarded}`, cpuOf(upstream)),
    ],
    planOf(isQuick, [1, 16, 64]),
  )
  const served = Number(await (await fetch(`${upstream.url}/served`)).text())
  // The answer is made by naive.ts.
  const { count } = (await (await fetch(`${naive.url}/recorded`)).json()) as { count: number }
  for (const program of [upstream, passThrough, passThrough3, bare, naive]) program.child.disconnect()
  await nginx?.stop()
  process.stdout.write(comparison('A call of 299 bytes, answered with 447, all checks on', measured, goals))
  if (!nginx) process.stdout.write('nginx is not installed, so it is not in the table.\n')
  return [
    ...wrongAnswers(measured),
    ...unequal('calls of the upstream', served, sentTo(measured, ...Object.values(names))),
    ...unequal('recorded calls of the one straight down', count, sentTo(measured, names.naive)),
    ...(await unrecorded(product, twoRows, sentTo(measured, names.twoRows))),
    ...(await unrecorded(product, oneRow, sentTo(measured, names.oneRow))),
  ]
}

const workerNames = ['one process', '--workers 2'] as const

/** G15: as many processes as the machine has cores for; here the load generator and the upstream take part of them. */
export const compareWorkers = async (generator: Generator, isQuick: boolean): Promise<string[]> => {
  const upstream = await startProgram('upstream.ts')
  const products: Product[] = []
  const peers: Peer[] = []
  const actions: string[] = []
  try {
    for (const [name, args] of [
      [workerNames[0], []],
      [workerNames[1], ['--workers', '2']],
    ] as const) {
      const product = await startProduct({ args })
      products.push(product)
      const { token, twoRows } = await prepare(product, upstream.url)
      actions.push(twoRows)
      peers.push(callPeer(name, `${product.url}/x/${twoRows}`, token, cpuOfProduct(product)))
    }
    const measured = await measure(generator, peers, planOf(isQuick, [16, 64, 256]))
    process.stdout.write(comparison('A call recorded before and after, by processes', measured, []))
    const recorded = await Promise.all(
      products.map((product, index) =>
        unrecorded(product, actions[index] ?? '', sentTo(measured, peers[index]?.name ?? '')),
      ),
    )
    return [...wrongAnswers(measured), ...recorded.flat()]
  } finally {
    upstream.child.disconnect()
    await Promise.all(products.map((product) => product.stop()))
  }
}

const callPeer = (name: string, url: string, token: string, cpu: Peer['cpu']): Peer => ({
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

const cpuOfFamily =
  (pid: number): Peer['cpu'] =>
  async () => ({ node: await cpuSecondsOfFamily(pid), postgres: 0 })

/** Of the server with its workers, and of its database, which is a child of the server and counted apart. */
export const cpuOfProduct =
  ({ pids, postgresPid }: Product): Peer['cpu'] =>
  async () => ({
    node: (await Promise.all((await pids()).map(cpuSeconds))).reduce((sum, seconds) => sum + seconds, 0),
    postgres: await cpuSecondsOfFamily(postgresPid),
  })

export const cpuBeside =
  ({ pid }: Program, { postgresPid }: Product): Peer['cpu'] =>
  async () => ({ node: await cpuSeconds(pid), postgres: await cpuSecondsOfFamily(postgresPid) })

const sentTo = (measured: readonly Measured[], ...peers: string[]): number =>
  measured.filter(({ peer }) => peers.includes(peer)).reduce((sum, { sent }) => sum + sent, 0)

export const wrongAnswers = (measured: readonly Measured[]): string[] =>
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
