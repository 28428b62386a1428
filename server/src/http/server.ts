import { createServer, type Server } from 'node:http'
import type { Socket } from 'node:net'

/**
 * The listening side, with every limit said: Node's own defaults wait for minutes. `keepAliveTimeout` is longer
 * than the idle time of common load balancers, so that they close first.
 */
export const createHttpServer = (): Server => {
  const server = createServer({
    maxHeaderSize: 16_384,
    headersTimeout: 10_000,
    requestTimeout: 30_000,
    connectionsCheckingInterval: 2_000,
    keepAliveTimeout: 65_000,
    noDelay: true,
  })
  server.on('clientError', (error: NodeJS.ErrnoException, socket: Socket) => refuseBytes(error, socket))
  server.on('checkExpectation', (_req, res) => {
    res.writeHead(417, { 'Content-Type': 'application/json', Connection: 'close' })
    res.end(body('invalid_request', 'Expect may only be 100-continue'))
  })
  server.on('connect', (_req, socket) => socket.destroy())
  return server
}

/** What is not HTTP, or too slow or too long, gets one short answer, and the connection ends. */
const refuseBytes = (error: NodeJS.ErrnoException, socket: Socket): void => {
  if (!socket.writable || error.code === 'ECONNRESET') {
    socket.destroy()
    return
  }
  const [status, text] =
    error.code === 'HPE_HEADER_OVERFLOW'
      ? ['431 Request Header Fields Too Large', body('invalid_request', 'The headers are too large')]
      : error.code === 'ERR_HTTP_REQUEST_TIMEOUT'
        ? ['408 Request Timeout', body('invalid_request', 'The request took too long to arrive')]
        : ['400 Bad Request', body('invalid_request', 'The request is not well-formed HTTP/1.1')]
  const head = `HTTP/1.1 ${status}\r\nContent-Type: application/json\r\nContent-Length: ${Buffer.byteLength(text)}\r\nConnection: close\r\n\r\n`
  socket.end(head + text)
}

const body = (error: string, message: string): string => JSON.stringify({ error, message, request_id: '' })
