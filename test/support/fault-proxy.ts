import { once } from 'node:events'
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'

/**
 * What happens to bytes in both directions, on connections that are open as on new ones:
 * - `pass` hands them on,
 * - `delay` does so after `delayMs`, in order,
 * - `trickle` does so in pieces of `bytes` every `everyMs`,
 * - `swallow` takes them and hands nothing on, not even an end: both sides see a connection that is open and silent,
 *   as when a machine vanishes behind a router. New connections are accepted and as silent.
 * - `close` ends new connections at once and in good order, as a balancer with nothing behind it; it passes the others.
 */
export type Fault =
  | { kind: 'pass' }
  | { kind: 'delay'; delayMs: number }
  | { kind: 'trickle'; bytes: number; everyMs: number }
  | { kind: 'swallow' }
  | { kind: 'close' }

/** A TCP proxy that can do to a live connection what networks do to it. */
export class FaultProxy {
  readonly #server: Server
  readonly #target: () => { host: string; port: number }
  readonly #pairs = new Set<readonly [Socket, Socket]>()
  #fault: Fault = { kind: 'pass' }

  private constructor(target: () => { host: string; port: number }) {
    this.#target = target
    this.#server = createServer({ noDelay: true, allowHalfOpen: true }, (client) => this.#join(client))
  }

  static async to(target: { host?: string; port: number }): Promise<FaultProxy> {
    const { host = '127.0.0.1', port } = target
    const proxy = new FaultProxy(() => ({ host, port }))
    proxy.#server.listen(0, '127.0.0.1')
    await once(proxy.#server, 'listening')
    return proxy
  }

  get port(): number {
    // A server that listens on a port has an AddressInfo.
    return (this.#server.address() as AddressInfo).port
  }

  set fault(fault: Fault) {
    this.#fault = fault
  }

  /** Ends every open connection in good order, as a peer that closes (FIN). */
  cut(): void {
    for (const pair of this.#pairs) for (const socket of pair) socket.end()
  }

  /** Ends every open connection as a peer that has lost it (RST). */
  reset(): void {
    for (const pair of this.#pairs) for (const socket of pair) socket.resetAndDestroy()
  }

  async close(): Promise<void> {
    const closed = once(this.#server, 'close')
    this.#server.close()
    for (const pair of this.#pairs) for (const socket of pair) socket.destroy()
    await closed
  }

  #join(client: Socket): void {
    if (this.#fault.kind === 'close') {
      // Read on, or its own end would never be seen.
      client
        .on('error', () => {})
        .resume()
        .end()
      return
    }
    const target = connect({ ...this.#target(), noDelay: true, allowHalfOpen: true })
    const pair = [client, target] as const
    this.#pairs.add(pair)
    this.#pump(client, target)
    this.#pump(target, client)
    for (const [socket, peer] of [pair, [target, client]] as const) {
      socket.once('error', () => this.#handOn(() => peer.resetAndDestroy()))
      socket.once('close', () => {
        this.#handOn(() => peer.destroy())
        if (client.destroyed && target.destroyed) this.#pairs.delete(pair)
      })
    }
  }

  /** Reads on through every fault, so that a swallowed byte is gone and its sender sees it acknowledged. */
  #pump(from: Socket, to: Socket): void {
    let turn = Promise.resolve()
    from.on('data', (chunk: Buffer) => {
      turn = turn.then(() => this.#carry(chunk, to))
    })
    from.once('end', () => {
      turn = turn.then(() => this.#handOn(() => to.end()))
    })
  }

  async #carry(chunk: Buffer, to: Socket): Promise<void> {
    const fault = this.#fault
    switch (fault.kind) {
      case 'swallow':
        return
      case 'pass':
      case 'close':
        to.write(chunk)
        return
      case 'delay':
        await sleep(fault.delayMs)
        to.write(chunk)
        return
      case 'trickle':
        for (let at = 0; at < chunk.length; at += fault.bytes) {
          to.write(chunk.subarray(at, at + fault.bytes))
          await sleep(fault.everyMs)
        }
        return
      default:
        return fault satisfies never
    }
  }

  /** The end of a connection is swallowed like its bytes. */
  #handOn(end: () => void): void {
    if (this.#fault.kind !== 'swallow') end()
  }
}
