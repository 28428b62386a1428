import { isIP, type LookupFunction } from 'node:net'
import { getCACertificates } from 'node:tls'
import { buildConnector, Pool } from 'undici'
import type { EgressAllow } from './egress-allow.ts'
import { Call, type UpstreamAnswer, type UpstreamRequest } from './egress-call.ts'
import { UpstreamFailure } from './egress-failure.ts'
import { bounded } from './egress-flood.ts'
import { headersToSend } from './egress-headers.ts'
import { createLookup, type Lookup } from './egress-lookup.ts'
import { isOwnAddress, type ListenAddress } from './egress-own.ts'
import { mayDial, readTarget, refusalByText, type Target } from './egress-target.ts'

// What the rest of the server may need of the door, so that its parts can move.
export { type EgressAllow, parseEgressAllow } from './egress-allow.ts'
export type { UpstreamAnswer, UpstreamRequest } from './egress-call.ts'
export { UpstreamFailure } from './egress-failure.ts'
export type { ListenAddress } from './egress-own.ts'
export { checkTarget } from './egress-target.ts'

export type EgressOptions = {
  allow: EgressAllow
  /** How names become addresses; the default asks DNS. */
  lookup?: Lookup
  /** Certificates to trust beside the public ones, as PEM. */
  ca?: readonly string[]
  /** Where this server itself listens: never dialled, even when allowed. Asked whenever an address is checked. */
  ownAddresses?: () => readonly ListenAddress[]
  /** Where callers find this server, if that is an origin of its own: never dialled either. */
  ownOrigin?: string | null
}

type Origin = { pool: Pool; usedAt: number }

const maxOrigins = 256
const originIdleMs = 5 * 60_000
/** How long an address may be used after it was checked, and so how long a name may have moved unseen. */
const connectionLifeMs = 60_000
const maxCandidates = 4

/**
 * The only door to the network. Nothing leaves but through `send`, and nothing is dialled but an address that
 * was checked for this very connection: literals when their pool is opened (Node does not ask the lookup hook
 * for them), names in the hook, which hands the socket the checked addresses and no name. Redirects, proxies,
 * upgrades, HTTP/2, Unix sockets and retries do not exist here.
 */
export class Egress {
  readonly #options: EgressOptions
  readonly #lookup: Lookup
  readonly #ca: string[] | undefined
  readonly #origins = new Map<string, Origin>()
  #running = 0
  #isClosed = false
  #onDrained: (() => void) | undefined

  constructor(options: EgressOptions) {
    this.#options = options
    // The port does not matter here: it is judged together with the address.
    const trusted = new Set(options.allow.flatMap((entry) => (entry.kind === 'name' ? [entry.name] : [])))
    this.#lookup = options.lookup ?? createLookup((host) => trusted.has(host))
    this.#ca = options.ca && [...getCACertificates('default'), ...options.ca]
  }

  /** Sends once. Every answer resolves, whatever its status; without an answer an `UpstreamFailure` is thrown. */
  send(request: UpstreamRequest): Promise<UpstreamAnswer> {
    return new Promise<UpstreamAnswer>((resolve, reject) => {
      if (this.#isClosed || request.signal?.aborted) throw new UpstreamFailure('aborted', false)
      const pool = this.#poolFor(request.origin)
      const { method, path, body } = request
      const headers = headersToSend(request.headers)
      // An absolute path would be read as a request to a proxy; CONNECT would open a tunnel.
      if (headers === null || !path.startsWith('/') || method === 'CONNECT') {
        throw new UpstreamFailure('invalid', false)
      }
      this.#running += 1
      pool.dispatch({ method, path, headers, body }, new Call(request, { resolve, reject, over: this.#over }))
    })
  }

  readonly #over = (): void => {
    this.#running -= 1
    if (this.#running === 0) this.#onDrained?.()
  }

  get origins(): number {
    return this.#origins.size
  }

  /** Over all origins: connections, and requests that are on one or wait for one. */
  connections(): { connected: number; free: number; running: number; waiting: number } {
    const sum = { connected: 0, free: 0, running: 0, waiting: 0 }
    for (const { pool } of this.#origins.values()) {
      const { connected, free, running, pending, queued } = pool.stats
      sum.connected += connected
      sum.free += free
      sum.running += running
      sum.waiting += pending + queued
    }
    return sum
  }

  /** Refuses new calls, waits for the running ones (their deadlines bound it) and closes every connection. */
  async close(): Promise<void> {
    this.#isClosed = true
    if (this.#running > 0) {
      await new Promise<void>((resolve) => {
        this.#onDrained = resolve
      })
    }
    await Promise.all([...this.#origins.values()].map(({ pool }) => pool.destroy()))
    this.#origins.clear()
  }

  /** Ends the running calls too: their callers are told that nobody knows what the upstream did. */
  async cut(): Promise<void> {
    this.#isClosed = true
    await Promise.all([...this.#origins.values()].map(({ pool }) => pool.destroy()))
  }

  #poolFor(text: string): Pool {
    const known = this.#origins.get(text)
    if (known !== undefined) {
      known.usedAt = performance.now()
      return known.pool
    }

    const target = readTarget(text)
    if (typeof target === 'string' || refusalByText(target, this.#options.allow) !== null) {
      throw new UpstreamFailure('blocked', false)
    }
    if (target.url.origin === this.#options.ownOrigin) throw new UpstreamFailure('blocked', false)
    if (target.isLiteral && this.#isOwn(target.host, target.port)) throw new UpstreamFailure('blocked', false)
    // One pool per origin however it is spelled: only the plain spelling is a key.
    const { origin } = target.url
    if (origin !== text) return this.#poolFor(origin)

    this.#makeRoom()
    const pool = this.#openPool(target)
    this.#origins.set(origin, { pool, usedAt: performance.now() })
    return pool
  }

  /** Runs only when a new origin is opened, so no timer is needed. A closed pool finishes what it is doing. */
  #makeRoom(): void {
    const now = performance.now()
    let oldest: { origin: string; usedAt: number } | undefined
    for (const [origin, { usedAt }] of this.#origins) {
      if (now - usedAt > originIdleMs) this.#closeOrigin(origin)
      else if (oldest === undefined || usedAt < oldest.usedAt) oldest = { origin, usedAt }
    }
    if (oldest !== undefined && this.#origins.size >= maxOrigins) this.#closeOrigin(oldest.origin)
  }

  #closeOrigin(origin: string): void {
    void this.#origins.get(origin)?.pool.close()
    this.#origins.delete(origin)
  }

  #openPool(target: Target): Pool {
    return new Pool(target.url.origin, {
      connections: 128,
      pipelining: 1,
      allowH2: false,
      useMilo: false,
      clientTtl: connectionLifeMs,
      keepAliveMaxTimeout: connectionLifeMs / 2,
      // Twice the usual limit, for upstreams that set many cookies; more is an attack.
      maxHeaderSize: 32 * 1024,
      // Each call brings its own deadline over everything.
      headersTimeout: 0,
      bodyTimeout: 0,
      connect: bounded(
        buildConnector({
          allowH2: false,
          lookup: this.#guardedLookup(target),
          timeout: 10_000,
          autoSelectFamily: true,
          // The default of 250 ms gives up on a working address that is merely far away.
          autoSelectFamilyAttemptTimeout: 1_000,
          // Stated, because an environment variable could turn it off otherwise.
          rejectUnauthorized: true,
          minVersion: 'TLSv1.2',
          ...(this.#ca && { ca: this.#ca }),
        }),
      ),
    })
  }

  #guardedLookup(target: Target): LookupFunction {
    return (_hostname, { all }, callback) => {
      this.#resolve(target).then(
        (addresses) => {
          const [first] = addresses
          if (all) callback(null, addresses)
          else callback(null, first?.address ?? '', first?.family)
        },
        (error: Error) => callback(error, ''),
      )
    }
  }

  /**
   * Asks once and checks every address of the answer. Of a mixed answer only the allowed addresses are
   * dialled: networks with DNS64 and names with a stray internal record are honest, and an attacker gains
   * nothing, because the refused addresses never reach the socket.
   */
  async #resolve(target: Target): Promise<{ address: string; family: number }[]> {
    const answers = await this.#lookup(target.host)
    const allowed = answers
      .filter(({ address }) => mayDial(target, address, this.#options.allow))
      .filter(({ address }) => isIP(address) !== 0 && !this.#isOwn(address, target.port))
    if (answers.length === 0) throw new UpstreamFailure('unreachable', false, 'ENOTFOUND')
    if (allowed.length === 0) throw new UpstreamFailure('blocked', false)
    return allowed.slice(0, maxCandidates).map(({ address }) => ({ address, family: isIP(address) }))
  }

  #isOwn(address: string, port: number): boolean {
    return isOwnAddress(this.#options.ownAddresses?.() ?? [], address, port)
  }
}
