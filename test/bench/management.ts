import { NarrowAPI } from '@narrowapi/sdk'
import { cpuBeside, cpuOfProduct, wrongAnswers } from './calls.ts'
import { type forkProgram, startProgram } from './processes.ts'
import type { Product } from './product.ts'
import { comparison, type Goal } from './report.ts'
import { measure, type Peer, type Plan } from './rounds.ts'
import { actionBody } from './workload.ts'

const names = {
  plainList: 'plain Express route',
  list: 'GET /api/v1/executions',
  plainCreate: 'plain Express create',
  create: 'POST /api/v1/tokens',
}

const goals: readonly Goal[] = [
  {
    name: 'issue',
    peer: names.list,
    connections: 16,
    figure: 'requestsPerSecond',
    atLeast: 0.5,
    aim: 0.85,
  },
  { name: 'G11', peer: names.list, connections: 16, figure: 'node', atMost: 1.75, aim: 1.15 },
  { name: 'G12', peer: names.create, connections: 16, figure: 'node', atMost: 1.4, aim: 1.25 },
]

/** Answers what was wrong, in sentences. */
export const compareManagement = async (
  product: Product,
  generator: ReturnType<typeof forkProgram>,
  isQuick: boolean,
): Promise<string[]> => {
  const plan: Plan = isQuick
    ? { connections: [16], rounds: 3, secondsPerRun: 0.4, warmUpSeconds: 0.7 }
    : { connections: [1, 16], rounds: 7, secondsPerRun: 1.5, warmUpSeconds: 3 }
  await product.sql`update plans set requests_per_minute = 1000000`
  const action = await fillList(product)
  const lists = await listPeers(product)
  const measuredLists = await measure(generator, lists.peers, plan)
  process.stdout.write(comparison('A page of 20 executions', measuredLists, goals))
  lists.stop()

  const { path, database, username } = product.database
  const plain = await startProgram('naive.ts', [path, database, username, product.url, 'unused'])
  const body = JSON.stringify({ name: 'bench', action_ids: [action] })
  const creating = (name: string, url: string, key: string, cpu: Peer['cpu']): Peer => ({
    name,
    load: {
      url,
      method: 'POST',
      headers: { authorization: `Bearer ${key}`, 'content-type': 'application/json' },
      body,
      status: 201,
      answer: { pattern: '^\\{.*"name":"bench".*"token":"' },
    },
    cpu,
  })
  const measuredCreates = await measure(
    generator,
    [
      creating(names.plainCreate, `${plain.url}/tokens`, 'unused', cpuBeside(plain, product)),
      creating(names.create, `${product.url}/api/v1/tokens`, product.ownerKey, cpuOfProduct(product)),
    ],
    plan,
  )
  plain.child.disconnect()
  process.stdout.write(comparison('A token made, with its audit event', measuredCreates, goals))
  return [...lists.wrong, ...wrongAnswers(measuredLists), ...wrongAnswers(measuredCreates)]
}

/** Thirty calls, so that there is a page to read. Answers the action they ran. */
const fillList = async ({ url, ownerKey }: Product): Promise<string> => {
  const upstream = await startProgram('upstream.ts')
  const narrow = new NarrowAPI({ apiKey: ownerKey, baseUrl: url })
  const action = await narrow.actions.create(actionBody(upstream.url, { recordsOnce: false }))
  const { token } = await narrow.tokens.create({ name: 'bench', action_ids: [action.id] })
  const holder = new NarrowAPI({ apiKey: token, baseUrl: url })
  for (let call = 0; call < 30; call += 1) await holder.execute(action.id, { charge_id: 'ch_1', amount: 1 })
  upstream.child.disconnect()
  return action.id
}

const listPeers = async (product: Product) => {
  const { path, database, username } = product.database
  const [workspace] = await product.sql<{ id: string }[]>`select id from workspaces`
  const plain = await startProgram('plain-list.ts', [path, database, username, workspace?.id ?? ''])
  const peers: Peer[] = []
  const pages: string[][] = []
  for (const [name, url, cpu] of [
    [names.plainList, `${plain.url}/executions`, cpuBeside(plain, product)],
    [names.list, `${product.url}/api/v1/executions?limit=20`, cpuOfProduct(product)],
  ] as const) {
    const headers = { authorization: `Bearer ${product.ownerKey}` }
    const answer = await (await fetch(url, { headers })).text()
    pages.push(idsIn(answer))
    peers.push({ name, load: { url, method: 'GET', headers, answer }, cpu })
  }
  const isSame = pages[0]?.length === 20 && pages[0].join() === pages[1]?.join()
  const wrong = isSame ? [] : ['the two lists do not hold the same 20 rows']
  return { peers, wrong, stop: () => plain.child.disconnect() }
}

const idsIn = (text: string): string[] => {
  const { data } = JSON.parse(text) as { data: { id: string }[] } // both routes answer a list object
  return data.map(({ id }) => id)
}
