import { once } from 'node:events'
import type { Server } from 'node:http'
import { type AddressInfo, connect, type Socket } from 'node:net'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { createListener } from '../../server/src/http/app.ts'
import { createHttpServer } from '../../server/src/http/server.ts'
import { request } from '../support/raw.ts'
import { ask } from '../support/send.ts'
import { startTestServer, type TestServer } from '../support/server.ts'
import { until } from './callers.ts'

let server: TestServer

beforeAll(async () => {
  server = await startTestServer()
})

afterAll(() => server.stop())

/** The listening side with bounds that a test can meet. */
const listen = async (bounds: Parameters<typeof createHttpServer>[1]) => {
  const small: Server = createHttpServer(server.deps, bounds).on('request', createListener(server.deps))
  small.listen(0, '127.0.0.1')
  await once(small, 'listening')
  // A server that listens on a port has an AddressInfo.
  const { port } = small.address() as AddressInfo
  const open = (): Socket => connect({ host: '127.0.0.1', port }).on('error', () => {})
  const close = async () => {
    small.close()
    small.closeAllConnections()
    await once(small, 'close')
  }
  return { url: `http://127.0.0.1:${port}`, open, close }
}

test('a connection too many is closed unread, the log says so once, and a place that is free is given again', async () => {
  const { url, open, close } = await listen({ maxConnections: 3 })
  const held = Array.from({ length: 3 }, open)
  await Promise.all(held.map((socket) => once(socket, 'connect')))
  for (let n = 0; n < 5; n += 1) await closed(open())
  const told = server.logs.filter((line) => line.includes('turned away'))
  expect(told).toHaveLength(1)
  expect(told[0]).toContain('"max_connections":3')
  held[0]?.destroy()
  await until('a place is free', () =>
    ask(url, 'GET /healthz').then(
      ({ status }) => status === 200,
      () => false,
    ),
  )
  for (const socket of held) socket.destroy()
  await close()
})

test('a caller that asks for much and reads nothing is closed when it has been silent for too long', async () => {
  const { open, close } = await listen({ timeout: 300 })
  const socket = open().pause()
  await once(socket, 'connect')
  const padded = request('GET /docs', { 'X-Padding': 'x'.repeat(8_000) })
  // More than the kernel holds for both sides, so that the server waits to write.
  for (let n = 0; n < 2_000; n += 1) socket.write(padded)
  await closed(socket)
  await close()
})

/** However it ends: a reset is an end as well. */
const closed = (socket: Socket): Promise<void> =>
  new Promise((resolve) => socket.once('close', () => resolve()))
