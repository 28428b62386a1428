import { readFile } from 'node:fs/promises'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { extname, join, normalize } from 'node:path'

export type RoughWay = { url: string; stop(): Promise<void> }

/**
 * A way to the real server on which the first POST is answered 429 and the second, though the server has done its
 * work, breaks in the middle of the answer. To a browser it also serves a folder, so that its pages have the
 * origin of the API.
 */
export const startRoughWay = async (serverUrl: string, folder: string): Promise<RoughWay> => {
  let posts = 0
  const answer = async (req: IncomingMessage, res: ServerResponse): Promise<void> => {
    const path = req.url ?? '/'
    if (!path.startsWith('/api/')) return serveFile(folder, path, res)
    if (req.method === 'POST') posts++
    if (req.method === 'POST' && posts === 1) {
      req.resume()
      res.writeHead(429, { 'retry-after': '1' }).end()
      return
    }
    const breaks = req.method === 'POST' && posts === 2 + 1
    const response = await forward(serverUrl + path, req)
    const body = Buffer.from(await response.arrayBuffer())
    res.writeHead(response.status, { ...headersOf(response), 'content-length': body.length })
    if (!breaks) res.end(body)
    else res.write(body.subarray(0, body.length / 2), () => res.destroy())
  }
  const server = createServer((req, res) => {
    answer(req, res).catch((error) => res.writeHead(502).end(String(error)))
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return {
    // A server that listens on a port has an AddressInfo.
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    stop: () =>
      new Promise((resolve) => {
        server.close(() => resolve())
        server.closeAllConnections()
      }),
  }
}

const forward = async (url: string, req: IncomingMessage): Promise<Response> => {
  const chunks: Buffer[] = []
  for await (const chunk of req) chunks.push(chunk)
  const { authorization, 'content-type': type, 'idempotency-key': key } = req.headers
  const headers = Object.entries({ authorization, 'content-type': type, 'idempotency-key': key }).filter(
    (header): header is [string, string] => typeof header[1] === 'string',
  )
  return fetch(url, {
    method: req.method ?? 'GET',
    headers,
    body: chunks.length === 0 ? null : Buffer.concat(chunks),
  })
}

const headersOf = (response: Response) =>
  Object.fromEntries(
    [...response.headers].filter(
      ([name]) => !['connection', 'transfer-encoding', 'content-encoding'].includes(name),
    ),
  )

const types: Record<string, string> = { '.js': 'text/javascript', '.html': 'text/html' }

const serveFile = async (folder: string, path: string, res: ServerResponse): Promise<void> => {
  const content = await readFile(join(folder, normalize(path))).catch(() => undefined)
  if (content === undefined) res.writeHead(404).end()
  else res.writeHead(200, { 'content-type': types[extname(path)] ?? 'text/plain' }).end(content)
}
