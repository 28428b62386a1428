/**
 * A `fetch` over `node:http` and `node:https` that keeps its connections, for programs that make many calls:
 * `new NarrowAPI({ fetch: createNodeFetch() })`. It costs less time and work than the global one, and does what
 * this package asks of it: text is sent, redirects are not followed, nothing is cached.
 * What it needs of Node, and of itself, is loaded by the first call.
 */
import type { Agent, AgentOptions, IncomingMessage, RequestOptions, request } from 'node:http'
import type { Readable } from 'node:stream'
import type { NodeResponse } from './response.ts'

/** How connections are kept. */
export interface NodeFetchOptions {
  /** The most connections to one server. Default no bound. */
  maxSockets?: number
  /**
   * How long a connection is kept that nobody uses, in milliseconds. Default 4 000, since many servers close theirs
   * after 5 000. A server that says how long it keeps them is believed.
   */
  keepAliveMs?: number
}

/** Takes the place of the global `fetch`; `close` ends the connections it keeps. */
export type NodeFetch = typeof globalThis.fetch & {
  /** Ends the connections that it keeps. */
  close(): void
}

/** Make one for the whole program: it holds the connections. */
export const createNodeFetch = ({
  maxSockets = Number.POSITIVE_INFINITY,
  keepAliveMs = 4000,
}: NodeFetchOptions = {}): NodeFetch => {
  const options = { keepAlive: true, maxSockets, timeout: keepAliveMs, scheduling: 'lifo' } as const
  const transports = new Map<string, Promise<Transport>>()
  const transportOf = (protocol: string): Promise<Transport> => {
    const transport = transports.get(protocol) ?? load(protocol, options)
    transports.set(protocol, transport)
    return transport
  }

  const fetch = async (input: string | URL | Request, init: RequestInit = {}): Promise<Response> => {
    if (input instanceof Request) throw new TypeError('This fetch takes a URL, and no Request')
    const url = new URL(input)
    const { signal, method = 'GET', body } = init
    if (body && typeof body !== 'string') throw new TypeError('This fetch sends text only')
    const { protocol, hostname, port, pathname, search } = url
    const { agent, request, Answer } = await transportOf(protocol)
    const options: RequestOptions = {
      agent,
      method,
      headers: toHeaders(init.headers, body),
      protocol,
      // An IPv6 address stands in brackets in a URL only.
      hostname: hostname.replace(/[[\]]/g, ''),
      port,
      path: pathname + search,
    }
    return new Promise((resolve, reject) => {
      if (signal?.aborted) return reject(signal.reason)
      const sent = request(options, (message) => {
        message.once('close', release)
        const toResponse = (from: Readable) =>
          // It is one to whoever uses it, by its prototype.
          new Answer(message, from, url) as unknown as Response
        const names = method === 'HEAD' || Answer.isEmpty(message) ? [] : decodersOf(message)
        resolve(names.length ? decoded(message, names).then(toResponse) : toResponse(message))
      })
      const abort = () => sent.destroy(signal?.reason)
      const release = () => signal?.removeEventListener('abort', abort)
      signal?.addEventListener('abort', abort)
      sent.on('error', (error) => {
        release()
        reject(error)
      })
      sent.end(body)
    })
  }
  return Object.assign(fetch, {
    close() {
      for (const transport of transports.values()) transport.then(({ agent }) => agent.destroy())
    },
  })
}

interface Transport {
  readonly agent: Agent
  readonly request: typeof request
  readonly Answer: typeof NodeResponse
}

const load = async (protocol: string, options: AgentOptions): Promise<Transport> => {
  const [{ Agent, request }, { NodeResponse: Answer }] = await Promise.all([
    protocol === 'https:' ? import('node:https') : import('node:http'),
    import('./response.ts'),
  ])
  return { agent: new Agent(options), request, Answer }
}

const toHeaders = (given: HeadersInit | undefined, body: string | null | undefined) => ({
  'accept-encoding': 'gzip, deflate, br',
  // Known, so it need not be sent in chunks.
  ...(body && { 'content-length': Buffer.byteLength(body) }),
  // This package gives a plain object; whoever else calls may give what the global one takes.
  ...(given && Symbol.iterator in given ? Object.fromEntries(new Headers(given)) : given),
})

/** As the global `fetch` does, so that what stands between client and server may compress. */
const decoders: ReadonlyMap<string, Decoder> = new Map([
  ['gzip', 'createGunzip'],
  ['x-gzip', 'createGunzip'],
  ['deflate', 'createInflate'],
  ['br', 'createBrotliDecompress'],
])

type Decoder = 'createGunzip' | 'createInflate' | 'createBrotliDecompress'

/** What undoes each coding, the last one first; nothing where one is not known, or where there are too many. */
const decodersOf = ({ headers }: IncomingMessage): Decoder[] => {
  const codings = headers['content-encoding']?.toLowerCase().split(/\s*,\s*/) ?? []
  const names = codings.flatMap((coding) => decoders.get(coding) ?? []).reverse()
  return names.length === codings.length && names.length <= 5 ? names : []
}

const decoded = async (message: IncomingMessage, names: readonly Decoder[]): Promise<Readable> => {
  const [zlib, { pipeline }] = await Promise.all([import('node:zlib'), import('node:stream')])
  // A message that was cut in the meantime will not say so again.
  if (message.destroyed) return message
  const steps = names.map((name) => zlib[name]())
  // Whoever reads the last one is told what happened to any; where nobody reads, nobody is to be told.
  pipeline([message, ...steps], () => {})
  return steps.at(-1) ?? message
}
