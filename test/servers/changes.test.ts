import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, expect, test, vi } from 'vitest'
import { call, callable } from '../proxy/calls.ts'
import type { ServerProcess } from '../support/server-process.ts'
import { json, type Received, startUpstream, type Upstream } from '../support/upstream.ts'
import { type Servers, startServers } from './servers.ts'

let servers: Servers
let upstream: Upstream

beforeAll(async () => {
  servers = await startServers(2)
  upstream = await startUpstream()
})

afterAll(async () => {
  await servers.stop()
  await upstream.stop()
})

type Scene = { actionId: string; tokenId: string; secretId: string }

/** What an operator changes, and how the upstream can tell that a call was sent as if it had not been. */
const changes: {
  what: string
  change: (scene: Scene) => Promise<unknown>
  isStale(sent: Received): boolean
}[] = [
  {
    what: 'a revoked token',
    change: ({ tokenId }) => servers.narrow.tokens.delete(tokenId),
    isStale: () => true,
  },
  {
    what: 'a paused action',
    change: ({ actionId }) => servers.narrow.actions.update(actionId, { status: 'paused' }),
    isStale: () => true,
  },
  {
    what: 'a rotated secret',
    change: ({ secretId }) => servers.narrow.secrets.update(secretId, { value: 'the-new-one-0123456789' }),
    isStale: ({ headers }) => headers.authorization !== 'Bearer the-new-one-0123456789',
  },
]

const ways = [
  { way: 'as it runs', cutsListening: false },
  { way: 'with the listening connections cut', cutsListening: true },
]

test.each(ways.flatMap((way) => changes.map((one) => ({ ...way, ...one }))))(
  'no call that starts a second after the change is sent with $what, on two servers under load, $way',
  async ({ what, way, cutsListening, change, isStale }) => {
    const { action, tokenId, token } = await callable(servers, {
      target_url: `${upstream.url}/{n}`,
      input_schema: [{ name: 'n', type: 'integer', required: true }],
      auth_type: 'bearer',
      auth_value: 'the-old-one-0123456789',
    })
    upstream.received = []
    upstream.answer = json(200, { ok: true })
    const startedAt: number[] = []
    let isOver = false
    const caller = async (server: ServerProcess): Promise<void> => {
      while (!isOver) {
        const n = startedAt.push(performance.now()) - 1
        await call(server, token, action.id, { n })
      }
    }
    const callers = servers.all.flatMap((server) => [caller(server), caller(server)])
    const cutter = cutsListening ? cutListening() : null
    let [changedAt, before] = [0, 0]
    try {
      await cutter?.cut
      await vi.waitUntil(() => upstream.received.length > 50, { timeout: 20_000 })
      await change({ actionId: action.id, tokenId, secretId: action.secret_id ?? '' })
      changedAt = performance.now()
      before = startedAt.length
      await sleep(2_500)
    } finally {
      isOver = true
      await Promise.all([...callers, cutter?.stop()])
    }

    const stale = upstream.received.filter(isStale).map(({ url }) => Number(url.slice(1)))
    const lateBy = stale.map((n) => (startedAt[n] ?? Number.NaN) - changedAt)
    const worst = Math.max(0, ...lateBy)
    process.stdout.write(
      `${what}, ${way}: the last stale call began ${worst.toFixed(1)} ms after the change\n`,
    )
    expect(worst).toBeLessThanOrEqual(1_000)
    // There was load all the time, or nothing was shown.
    expect(before).toBeGreaterThan(50)
    expect(startedAt.filter((at) => at > changedAt + 1_000).length).toBeGreaterThan(10)
  },
)

/** Ends the connections on which servers hear of changes, again and again, so that they hear of none. */
const cutListening = () => {
  const { sql } = servers.database
  const first = Promise.withResolvers<void>()
  let isOver = false
  const cutting = (async () => {
    while (!isOver) {
      const cut = await sql<{ pid: number }[]>`
        select pid
        from pg_stat_activity
        where datname = current_database() and query ilike 'listen %' and pg_terminate_backend(pid)`
      if (cut.length > 0) first.resolve()
      await sleep(10)
    }
  })()
  return {
    cut: first.promise,
    async stop() {
      isOver = true
      await cutting
    },
  }
}
