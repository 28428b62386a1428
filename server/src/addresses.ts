import net from 'node:net'

/** Addresses and CIDR ranges, made once and asked often. */
export const addressList = (entries: readonly string[]): net.BlockList => {
  const list = new net.BlockList()
  for (const entry of entries) {
    const [address = '', bits] = entry.split('/')
    const family = net.isIPv6(address) ? 'ipv6' : 'ipv4'
    if (bits === undefined) list.addAddress(address, family)
    else list.addSubnet(address, Number(bits), family)
  }
  return list
}

/** IPv4 peers of a socket that listens on IPv6 show as `::ffff:192.0.2.1`. */
export const plainAddress = (address: string | undefined): string =>
  (address ?? '').replace(/^::ffff:(?=\d+\.\d+\.\d+\.\d+$)/i, '')

export const isListed = (list: net.BlockList, address: string): boolean =>
  list.check(address, net.isIPv6(address) ? 'ipv6' : 'ipv4')
