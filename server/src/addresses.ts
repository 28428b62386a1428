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

/** Whether every address of `entry` is in one of `ranges`. */
export const isWithin = (entry: string, ranges: readonly string[]): boolean => {
  const [address = ''] = entry.split('/')
  return ranges.some(
    (range) => prefixBits(range) <= prefixBits(entry) && isListed(addressList([range]), address),
  )
}

/** In bits of IPv6, so that the mapped form of an IPv4 range compares with the plain one. */
const prefixBits = (entry: string): number => {
  const [address = '', bits] = entry.split('/')
  return net.isIPv6(address) ? Number(bits ?? 128) : 96 + Number(bits ?? 32)
}

/** IPv4 peers of a socket that listens on IPv6 show as `::ffff:192.0.2.1`. */
export const plainAddress = (address: string | undefined): string =>
  (address ?? '').replace(/^::ffff:(?=\d+\.\d+\.\d+\.\d+$)/i, '')

export const isListed = (list: net.BlockList, address: string): boolean =>
  list.check(address, net.isIPv6(address) ? 'ipv6' : 'ipv4')
