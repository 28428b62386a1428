import { loadPeer } from './peers.ts'
import { isListPage, listPage } from './workload.ts'

/** So many list calls, each answer checked. */
export type Work = {
  /** To a real server, or with a `fetch` that answers at once. */
  over: 'network' | 'fake fetch'
  calls: number
  inFlight: number
}

/** `cpuSeconds` are of this whole process, so also those of the threads of its garbage collector. */
export type Worked = { seconds: number; cpuSeconds: number; wrong: number }

const [program = '', serverUrl = ''] = process.argv.slice(2)
const peer = await loadPeer(program)

const fakeFetch = async (): Promise<Response> =>
  new Response(listPage, { headers: { 'content-type': 'application/json' } })

const toCall = (fetch?: typeof globalThis.fetch) => {
  const client = peer.connect(serverUrl, fetch && { fetch })
  return () => peer.list(client)
}
const call = { network: toCall(), 'fake fetch': toCall(fakeFetch) }
const realFetch = globalThis.fetch

const run = async ({ over, calls, inFlight }: Work): Promise<Worked> => {
  // Some peers send with the global one, whatever they are given.
  globalThis.fetch = over === 'network' ? realFetch : fakeFetch
  let left = calls
  let wrong = 0
  const startedAt = performance.now()
  const before = process.cpuUsage()
  const oneAfterAnother = async (): Promise<void> => {
    while (left > 0) {
      left -= 1
      if (!isListPage(await call[over]())) wrong += 1
    }
  }
  await Promise.all(Array.from({ length: inFlight }, oneAfterAnother))
  const { user, system } = process.cpuUsage(before)
  return { seconds: (performance.now() - startedAt) / 1000, cpuSeconds: (user + system) / 1e6, wrong }
}

process.on('message', (work: Work) => {
  run(work).then(
    (worked) => process.send?.(worked),
    (error: unknown) => {
      throw error
    },
  )
})
process.on('disconnect', () => process.exit(0))
process.send?.('ready')
