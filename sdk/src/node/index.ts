/**
 * A `fetch` over `node:http` and `node:https` that keeps its connections, for programs that make many calls:
 * `new NarrowAPI({ fetch: createNodeFetch() })`. It costs less time and work than the global one, and does what
 * this package asks of it: text is sent, redirects are not followed, nothing is cached.
 */
import { Agent, request as httpRequest, type IncomingMessage, type RequestOptions } from 'node:http'
import { request as httpsRequest, Agent as SecureAgent } from 'node:https'
import type { Readable } from 'node:stream'
import { createBrotliDecompress, createGunzip, createInflate } from 'node:zlib'
import { NodeResponse } from './response.ts'

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
  const kept = { keepAlive: true, maxSockets, timeout: keepAliveMs, scheduling: 'lifo' } as const
  const plain = { agent: new Agent(kept), request: httpRequest }
  const secure = { agent: new SecureAgent(kept), request: httpsRequest }

  const fetch = async (input: string | URL | Request, init: RequestInit = {}): Promise<Response> => {
    const url = new URL(input instanceof Request ? input.url : input)
    const { agent, request } = url.protocol === 'https:' ? secure : plain
    const { signal, method = 'GET', body } = init
    if (body && typeof body !== 'string') throw new TypeError('This fetch sends text only')
    const options: RequestOptions = { agent, method, headers: toHeaders(init.headers, body) }
    return new Promise((resolve, reject) => {
      if (signal?.aborted) return reject(signal.reason)
      const sent = request(url, options, (message) => {
        message.once('close', release)
        // It is one to whoever uses it, by its prototype.
        resolve(new NodeResponse(message, decoded(message), url) as unknown as Response)
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
      plain.agent.destroy()
      secure.agent.destroy()
    },
  })
}

const toHeaders = (given: HeadersInit | undefined, body: string | null | undefined) => ({
  'accept-encoding': 'gzip, deflate, br',
  // Known, so it need not be sent in chunks.
  ...(body && { 'content-length': Buffer.byteLength(body) }),
  // This package gives a plain object; whoever else calls may give what the global one takes.
  ...(given && Symbol.iterator in given ? Object.fromEntries(new Headers(given)) : given),
})

/** As the global `fetch` does, so that what stands between client and server may compress. */
const decoded = (message: IncomingMessage): Readable => {
  const decoder = decoders[message.headers['content-encoding'] ?? '']?.()
  if (!decoder) return message
  message.once('error', (error) => decoder.destroy(error))
  return message.pipe(decoder)
}

const decoders: Readonly<Record<string, () => ReturnType<typeof createGunzip>>> = {
  gzip: createGunzip,
  'x-gzip': createGunzip,
  deflate: createInflate,
  br: createBrotliDecompress,
}
