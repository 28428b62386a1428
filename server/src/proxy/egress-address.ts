import { isIP } from 'node:net'
import ipaddr from 'ipaddr.js'

/**
 * Blocks of the IANA special-purpose registries that lie inside the unicast space, plus multicast. All of
 * them are refused, even the few that the registries call reachable (AS112, AMT, anycast relays): no API
 * lives there. 168.63.129.16 is a public number, but inside one large cloud it is the host's own agent and
 * hands out credentials.
 * https://www.iana.org/assignments/iana-ipv4-special-registry
 */
const specialIPv4 = [
  '0.0.0.0/8',
  '10.0.0.0/8',
  '100.64.0.0/10',
  '127.0.0.0/8',
  '168.63.129.16/32',
  '169.254.0.0/16',
  '172.16.0.0/12',
  '192.0.0.0/24',
  '192.0.2.0/24',
  '192.31.196.0/24',
  '192.52.193.0/24',
  '192.88.99.0/24',
  '192.168.0.0/16',
  '192.175.48.0/24',
  '198.18.0.0/15',
  '198.51.100.0/24',
  '203.0.113.0/24',
  '224.0.0.0/4',
  '240.0.0.0/4',
].map((block) => ipaddr.IPv4.parseCIDR(block))

/**
 * Only 2000::/3 is global unicast, so loopback, mapped, compatible, NAT64, unique local, link-local,
 * site-local, discard, segment routing and multicast addresses are refused without being listed. Inside it
 * these remain: IETF protocol assignments (which hold Teredo, ORCHID and benchmarking), documentation,
 * 6to4 and AS112. A form that carries an IPv4 address is refused whatever that address is: the relay that
 * would unwrap it stands inside the operator's network.
 * https://www.iana.org/assignments/iana-ipv6-special-registry
 */
const globalIPv6 = ipaddr.IPv6.parseCIDR('2000::/3')
const specialIPv6 = ['2001::/23', '2001:db8::/32', '2002::/16', '2620:4f:8000::/48', '3fff::/20'].map(
  (block) => ipaddr.IPv6.parseCIDR(block),
)

/** True for an address of the public internet; false for every other address and for what is no address. */
export const isGlobalUnicast = (address: string): boolean => {
  const parsed = parseAddress(address)
  if (parsed === null) return false
  if (parsed instanceof ipaddr.IPv4) return !specialIPv4.some((block) => parsed.match(block))
  return parsed.match(globalIPv6) && !specialIPv6.some((block) => parsed.match(block)) && !isIsatap(parsed)
}

/** A range of addresses, such as an operator allows. */
export type AddressRange = [ipaddr.IPv4 | ipaddr.IPv6, bits: number]

/** Reads `10.0.0.0/8` or a single address; null when the text is neither. */
export const parseRange = (text: string): AddressRange | null => {
  const slash = text.indexOf('/')
  const address = parseAddress(slash < 0 ? text : text.slice(0, slash))
  if (address === null) return null
  const most = address instanceof ipaddr.IPv4 ? 32 : 128
  if (slash < 0) return [address, most]
  const bits = text.slice(slash + 1)
  return /^(0|[1-9]\d{0,2})$/.test(bits) && Number(bits) <= most ? [address, Number(bits)] : null
}

export const isInRange = (address: string, [network, bits]: AddressRange): boolean => {
  const parsed = parseAddress(address)
  return parsed !== null && parsed.kind() === network.kind() && parsed.match(network, bits)
}

/** One spelling per address, to compare by, with mapped addresses as IPv4; null for what is no address. */
export const normalAddress = (address: string): string | null =>
  parseAddress(address) === null ? null : ipaddr.process(address).toNormalizedString()

/**
 * `isIP` comes first because it takes the strict forms only, where the library also reads octal, hexadecimal
 * and short ones. A zone (`%eth0`) names an interface of this machine: never a target. A mapped address is
 * left as it is, so that it matches no IPv4 range: nothing legitimate spells an address that way.
 */
const parseAddress = (address: string): ipaddr.IPv4 | ipaddr.IPv6 | null =>
  isIP(address) === 0 || address.includes('%') ? null : ipaddr.parse(address)

/** RFC 5214 section 6.1: the interface identifier 0000:5efe or 0200:5efe precedes an embedded IPv4 address. */
const isIsatap = ({ parts }: ipaddr.IPv6): boolean =>
  parts[5] === 0x5efe && (parts[4] === 0 || parts[4] === 0x200)
