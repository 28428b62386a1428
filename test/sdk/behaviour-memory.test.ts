import { getEventListeners, once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { setTimeout } from 'node:timers/promises'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { NarrowAPI, responseOf } from '@narrowapi/sdk'
import { actionsGet, createClient } from '@narrowapi/sdk/functions'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'

setFlagsFromString('--expose-gc')
const collect: () => void = runInNewContext('gc')

const apiKey = 'sk_test_0123456789'
const server = createServer((_, response) => {
  response.setHeader('content-type', 'application/json')
  response.end('{"id":"act_1"}')
})
let baseUrl = ''

beforeAll(async () => {
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  baseUrl = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
})
afterAll(() => {
  server.closeAllConnections()
  server.close()
})

type Get = (signal?: AbortSignal) => Promise<object>

const ways: Readonly<Record<string, (fetch?: typeof globalThis.fetch) => Get>> = {
  'the class': (fetch) => {
    const narrow = new NarrowAPI({ apiKey, baseUrl, fetch })
    return (signal) => narrow.actions.get('act_1', {}, { signal })
  },
  'the functions': (fetch) => {
    const client = createClient({ apiKey, baseUrl, fetch })
    return (signal) => actionsGet(client, 'act_1', {}, { signal })
  },
}

/** What is still held after `count` calls more than after some, in bytes. */
const growth = async (get: Get, count: number): Promise<number> => {
  const run = async (calls: number) => {
    for (let done = 0; done < calls; done += 100) await Promise.all(Array.from({ length: 100 }, () => get()))
    // What is weakly held or finalised takes a turn of the event loop more to go.
    for (let pass = 0; pass < 4; pass++) {
      await setTimeout(20)
      collect()
    }
    return process.memoryUsage().heapUsed
  }
  const before = await run(Math.ceil(count / 2))
  return (await run(count)) - before
}

describe.each(Object.entries(ways))('%s', (_, connect) => {
  it('leaves no listener on a long-lived signal after a thousand calls', async () => {
    const get = connect()
    const { signal } = new AbortController()
    let most = 0
    for (let round = 0; round < 50; round++) {
      const calls = Array.from({ length: 20 }, () => get(signal))
      most = Math.max(most, getEventListeners(signal, 'abort').length)
      await Promise.all(calls)
    }
    expect(most).toBeLessThanOrEqual(20)
    expect(getEventListeners(signal, 'abort')).toEqual([])
  })

  it('holds nothing of a hundred thousand calls', async () => {
    const fetch = async () => new Response('{"id":"act_1"}')
    // A single object kept of each call would be several megabytes.
    expect(await growth(connect(fetch), 100_000)).toBeLessThan(2_000_000)
  })

  it('holds nothing of calls over real connections', async () => {
    expect(await growth(connect(), 3000)).toBeLessThan(1_000_000)
  })

  it('lets the answer go with its data', async () => {
    const data = await connect()()
    const response = responseOf(data)
    expect(response?.status).toBe(200)
    expect(Object.keys(data)).toEqual(['id'])
    expect(responseOf({ ...data })).toBeUndefined()
  })
})
