import { lookup, Resolver } from 'node:dns/promises'
import { isIP } from 'node:net'

export type Lookup = (host: string) => Promise<readonly { address: string; family: number }[]>

/**
 * Resolves names for the door. Names that the operator trusts by name go through the system's resolver, so
 * the hosts file and search domains work for them. Every other name was chosen by whoever wrote an action and
 * is asked of DNS only: the system's resolver occupies one of four threads of the process until it answers,
 * and one slow name server must not stop everybody's calls.
 */
export const createLookup = (isTrustedName: (host: string) => boolean): Lookup => {
  return async (host) => {
    if (isTrustedName(host)) return lookup(host, { all: true })
    // RFC 6761 section 6.3: localhost is loopback, whatever a name server says.
    if (host === 'localhost' || host.endsWith('.localhost')) return withFamily(['127.0.0.1', '::1'])

    // A new resolver each time, because one reads the system's list of name servers only when it is made.
    const resolver = new Resolver({ timeout: 2_000, tries: 2 })
    const [v4, v6] = await Promise.allSettled([resolver.resolve4(host), resolver.resolve6(host)])
    if (v4.status === 'rejected' && v6.status === 'rejected') throw v4.reason
    // IPv4 first: nearly every upstream has it, and a server without IPv6 would lose time finding that out.
    return withFamily([
      ...(v4.status === 'fulfilled' ? v4.value : []),
      ...(v6.status === 'fulfilled' ? v6.value : []),
    ])
  }
}

const withFamily = (addresses: readonly string[]) =>
  addresses.map((address) => ({ address, family: isIP(address) }))
