import { once } from 'node:events'
import { createServer, type IncomingMessage, type RequestListener } from 'node:http'
import type { AddressInfo } from 'node:net'
import { text } from 'node:stream/consumers'
import { createdItem, listPage } from './workload.ts'

/** `at` on the clock that never jumps, `date` on that of the calendar. */
export type Seen = { at: number; date: number; idempotencyKey: string | undefined }

/** Takes one step for each request, and its last step for all that come after. */
export const startScriptedServer = async (steps: readonly RequestListener[]) => {
  const seen: Seen[] = []
  const server = createServer(async (request, response) => {
    const step = steps[Math.min(seen.length, steps.length - 1)]
    seen.push({ at: performance.now(), date: Date.now(), idempotencyKey: keyOf(request) })
    await text(request)
    step?.(request, response)
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  // A server that listens on a port has an AddressInfo.
  const { port } = server.address() as AddressInfo
  const stop = () => {
    server.close()
    server.closeAllConnections()
  }
  return { url: `http://127.0.0.1:${port}`, seen, stop }
}

const answer =
  (status: number, body: string, headers: Record<string, string> = {}): RequestListener =>
  (_request, response) => {
    response.writeHead(status, { 'content-type': 'application/json', ...headers })
    response.end(body)
  }

export const page = answer(200, listPage)
export const item = answer(201, createdItem)

export const refuse = (status: number, headers?: Record<string, string>): RequestListener =>
  answer(status, refusal, headers)

/** Every peer finds a message where the errors of its own API have one. */
const refusal = JSON.stringify({
  type: 'error',
  error: { type: 'api_error', message: 'Refused' },
  message: 'Refused',
})

export const cut: RequestListener = (request) => request.socket.destroy()

export const stall: RequestListener = (_request, response) => {
  response.writeHead(200, { 'content-type': 'application/json', 'content-length': listPage.length })
  response.write(listPage.slice(0, 20))
}

const keyOf = ({ headers }: IncomingMessage): string | undefined => headers['idempotency-key']?.toString()
