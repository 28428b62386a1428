import { createServer, type IncomingHttpHeaders, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'

export type Received = { method: string; url: string; headers: IncomingHttpHeaders; body: string }
export type Answer = (request: Received, res: ServerResponse) => void

export type Upstream = {
  url: string
  /** Every request that arrived whole, in order. */
  received: Received[]
  /** What the next requests get; the default echoes the request as JSON. */
  answer: Answer
  stop(): Promise<void>
}

export const echo: Answer = (request, res) => {
  res.setHeader('content-type', 'application/json')
  res.end(JSON.stringify(request))
}

export const json =
  (status: number, body: unknown, headers: Record<string, string> = {}): Answer =>
  (_, res) => {
    res.writeHead(status, { 'content-type': 'application/json', ...headers })
    res.end(JSON.stringify(body))
  }

/** A real HTTP server on loopback that keeps what it was sent and answers as told. */
export const startUpstream = async (): Promise<Upstream> => {
  const upstream: Upstream = { url: '', received: [], answer: echo, stop: async () => {} }
  const server = createServer((req, res) => {
    const chunks: Buffer[] = []
    req.on('data', (chunk: Buffer) => chunks.push(chunk))
    req.on('end', () => {
      const request = {
        method: req.method ?? '',
        url: req.url ?? '',
        headers: req.headers,
        body: Buffer.concat(chunks).toString(),
      }
      upstream.received.push(request)
      upstream.answer(request, res)
    })
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  // A server that listens on a port has an AddressInfo.
  upstream.url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  upstream.stop = () =>
    new Promise((resolve) => {
      server.close(() => resolve())
      server.closeAllConnections()
    })
  return upstream
}
