import { createServer, type IncomingMessage, type Server } from 'node:http'
import type { Socket } from 'node:net'
import type { Deps } from '../deps.ts'
import { ApiError } from '../errors.ts'
import { errorBody } from './problem.ts'

/**
 * What a caller may cost. Times are in milliseconds; beside each stands what Node 24 would do.
 *
 * | setting                       | here   | Node   | bounds                                                       |
 * |-------------------------------|--------|--------|--------------------------------------------------------------|
 * | `headersTimeout`              | 10 s   | 60 s   | from the first byte, or the connection, to the end of a head |
 * | `requestTimeout`              | 30 s   | 300 s  | from the same moment to the end of the body                  |
 * | `connectionsCheckingInterval` | 2 s    | 30 s   | how late the two above are noticed                           |
 * | `keepAliveTimeout`            | 65 s   | 5 s    | an idle connection; longer than load balancers keep theirs,  |
 * |                               |        |        | so that they close first                                     |
 * | `timeout`                     | 150 s  | none   | a connection without a byte in either direction: who does    |
 * |                               |        |        | not read answers. Longer than any upstream may take (120 s)  |
 * | `maxHeaderSize`               | 16 KiB | 16 KiB | bytes of a head                                              |
 * | `maxHeadersCount`             | none   | 2 000  | its lines; those beyond are dropped without a word, and a    |
 * |                               |        |        | dropped If-Match would be obeyed by nobody                   |
 * | `maxConnections`              | 16 000 | none   | open connections; one that is idle costs about 21 KiB        |
 *
 * Bodies are bounded in `contract/limits`. Requests on one connection are not: each is bounded by itself, and Node
 * stops reading from a peer whose answers wait to be read.
 */
export const patience = {
  headersTimeout: 10_000,
  requestTimeout: 30_000,
  connectionsCheckingInterval: 2_000,
  keepAliveTimeout: 65_000,
  timeout: 150_000,
  maxConnections: 16_000,
}

/** What came by a connection so far; a member of the socket, because a WeakMap would burden every garbage collection. */
const served = Symbol('served')

type Serving = Socket & { [served]?: IncomingMessage | 'several' }

/** Of all headers of a request together, in bytes. */
export const maxHeaderSize = 16_384

/** One line for a flood of connections that are turned away, not one for each. */
const tellDropsEveryMs = 10_000

/** The listening side. Tests give it less patience. */
export const createHttpServer = (deps: Deps, waits: Partial<typeof patience> = {}): Server => {
  const { timeout, maxConnections, ...times } = { ...patience, ...waits }
  const server = createServer({
    ...times,
    maxHeaderSize,
    noDelay: true,
    // The first step refuses a missing Host, with a body that says so.
    requireHostHeader: false,
  })
  server.timeout = timeout
  server.maxHeadersCount = 0
  server.maxConnections = maxConnections
  server.on('drop', tellDrops(deps, maxConnections))
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

const tellDrops = ({ log, clock }: Deps, maxConnections: number): (() => void) => {
  let toldAt = Number.NEGATIVE_INFINITY
  let dropped = 0
  return () => {
    dropped += 1
    if (clock.monotonic() - toldAt < tellDropsEveryMs) return
    log.warn({ dropped, max_connections: maxConnections }, 'connections were turned away: there are too many')
    toldAt = clock.monotonic()
    dropped = 0
  }
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
