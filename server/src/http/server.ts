import { createServer, type IncomingMessage, type Server } from 'node:http'
import type { Socket } from 'node:net'
import type { Deps } from '../deps.ts'
import { ApiError } from '../errors.ts'
import { errorBody } from './problem.ts'

/**
 * How long callers may take, in milliseconds; Node's own defaults wait for minutes. `keepAliveTimeout` is longer
 * than the idle time of common load balancers, so that they close first.
 */
export const patience = {
  headersTimeout: 10_000,
  requestTimeout: 30_000,
  connectionsCheckingInterval: 2_000,
  keepAliveTimeout: 65_000,
}

/** What came by a connection so far; a member of the socket, because a WeakMap would burden every garbage collection. */
const served = Symbol('served')

type Serving = Socket & { [served]?: IncomingMessage | 'several' }

/** Of all headers of a request together, in bytes. */
export const maxHeaderSize = 16_384

/** The listening side. Tests give it less patience. */
export const createHttpServer = (deps: Deps, waits: Partial<typeof patience> = {}): Server => {
  const server = createServer({
    ...patience,
    ...waits,
    maxHeaderSize,
    noDelay: true,
    // The first step refuses a missing Host, with a body that says so.
    requireHostHeader: false,
  })
  server.on('request', (req: IncomingMessage & { socket: Serving }) => {
    const { url = '', socket } = req
    if (!url.startsWith('/')) req.url = originForm(url)
    socket[served] = socket[served] === undefined ? req : 'several'
  })
  server.on('clientError', (error: NodeJS.ErrnoException, socket: Serving) => {
    const request = socket[served]
    // An answer to bytes that are no request must not be taken for the answer to a request before them.
    const isAlone = request === undefined || (request !== 'several' && !request.complete)
    if (isAlone && socket.bytesWritten === 0 && socket.writable && error.code !== 'ECONNRESET') {
      const { status, message } = reasonOf(error)
      socket.write(refusal(deps, status, message))
    }
    socket.destroySoon()
  })
  server.on('checkExpectation', (_req, res) => {
    res.socket?.write(refusal(deps, '417 Expectation Failed', 'Expect may only be 100-continue'))
    res.socket?.destroySoon()
  })
  server.on('connect', (_req, socket) => socket.destroy())
  return server
}

/**
 * A target that is no path may be a whole URL (RFC 9112, section 3.2.2); its host decides nothing here. Anything else
 * becomes a path that nothing has, because Express would answer it with a page of its own.
 */
const originForm = (target: string): string => {
  if (!/^https?:/i.test(target) || !URL.canParse(target)) return `/${target}`
  const { pathname, search } = new URL(target)
  return pathname + search
}

/** What is not HTTP, or too slow or too long, gets one short answer, and the connection ends. */
const reasonOf = ({ code }: NodeJS.ErrnoException): { status: string; message: string } => {
  switch (code) {
    case 'HPE_HEADER_OVERFLOW':
      return { status: '431 Request Header Fields Too Large', message: 'The headers are too large' }
    case 'ERR_HTTP_REQUEST_TIMEOUT':
      return { status: '408 Request Timeout', message: 'The request took too long to arrive' }
    default:
      return { status: '400 Bad Request', message: 'The request is not well-formed HTTP/1.1' }
  }
}

/** A whole answer as text, for where there is no request that could be answered. */
const refusal = (deps: Deps, status: string, message: string): string => {
  const requestId = deps.ids.next('req')
  const error = new ApiError('invalid_request', message)
  deps.metrics.requests.refuse(error)
  deps.log.info(
    { request_id: requestId, status: Number(status.slice(0, 3)) },
    'refused what is not a request',
  )
  const body = JSON.stringify(errorBody(error, requestId, deps.publicUrl()))
  const headers = [
    `HTTP/1.1 ${status}`,
    'Content-Type: application/json; charset=utf-8',
    `Content-Length: ${Buffer.byteLength(body)}`,
    `X-Request-ID: ${requestId}`,
    `X-NarrowAPI-Error: ${error.code}`,
    'Cache-Control: no-store',
    'Connection: close',
  ]
  return `${headers.join('\r\n')}\r\n\r\n${body}`
}
