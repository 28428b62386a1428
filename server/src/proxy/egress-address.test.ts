import { describe, expect, test } from 'vitest'
import { isGlobalUnicast, normalAddress } from './egress-address.ts'

/** First and last address of each block, then the neighbours outside it that are public. */
const blocks: [name: string, inside: string[], outside: string[]][] = [
  ['this network', ['0.0.0.0', '0.255.255.255'], ['1.0.0.0']],
  ['private 10', ['10.0.0.0', '10.255.255.255'], ['9.255.255.255', '11.0.0.0']],
  ['shared', ['100.64.0.0', '100.127.255.255'], ['100.63.255.255', '100.128.0.0']],
  ['loopback', ['127.0.0.0', '127.255.255.255'], ['126.255.255.255', '128.0.0.0']],
  ['cloud host agent', ['168.63.129.16'], ['168.63.129.15', '168.63.129.17']],
  ['link-local', ['169.254.0.0', '169.254.255.255'], ['169.253.255.255', '169.255.0.0']],
  ['private 172', ['172.16.0.0', '172.31.255.255'], ['172.15.255.255', '172.32.0.0']],
  ['protocol assignments', ['192.0.0.0', '192.0.0.255'], ['191.255.255.255', '192.0.1.0']],
  ['documentation 1', ['192.0.2.0', '192.0.2.255'], ['192.0.1.255', '192.0.3.0']],
  ['AS112', ['192.31.196.0', '192.31.196.255'], ['192.31.195.255', '192.31.197.0']],
  ['AMT', ['192.52.193.0', '192.52.193.255'], ['192.52.192.255', '192.52.194.0']],
  ['6to4 relay', ['192.88.99.0', '192.88.99.255'], ['192.88.98.255', '192.88.100.0']],
  ['private 192', ['192.168.0.0', '192.168.255.255'], ['192.167.255.255', '192.169.0.0']],
  ['AS112 delegation', ['192.175.48.0', '192.175.48.255'], ['192.175.47.255', '192.175.49.0']],
  ['benchmarking', ['198.18.0.0', '198.19.255.255'], ['198.17.255.255', '198.20.0.0']],
  ['documentation 2', ['198.51.100.0', '198.51.100.255'], ['198.51.99.255', '198.51.101.0']],
  ['documentation 3', ['203.0.113.0', '203.0.113.255'], ['203.0.112.255', '203.0.114.0']],
  ['multicast, reserved, broadcast', ['224.0.0.0', '240.0.0.0', '255.255.255.255'], ['223.255.255.255']],
  ['outside 2000::/3', ['::', '::1', '1fff:ffff::', '4000::', 'fc00::', 'fe80::', 'fec0::', 'ff00::'], []],
  ['mapped, translated, compatible', ['::ffff:8.8.8.8', '::ffff:0:8.8.8.8', '::8.8.8.8'], []],
  ['NAT64', ['64:ff9b::8.8.8.8', '64:ff9b:1::8.8.8.8', '64:ff9b::10.0.0.1'], []],
  ['discard, dummy, segment routing', ['100::1', '100:0:0:1::1', '5f00::1'], []],
  [
    'IETF assignments',
    ['2001::', '2001:2::1', '2001:3::1', '2001:4:112::1', '2001:20::1', '2001:1ff:ffff::'],
    ['2001:200::1', '2000:ffff::1'],
  ],
  ['documentation', ['2001:db8::', '2001:db8:ffff::1'], ['2001:db7::1', '2001:db9::1']],
  ['6to4', ['2002::', '2002:808:808::1', '2002:ffff::1'], ['2003::1']],
  ['AS112 delegation 6', ['2620:4f:8000::1'], ['2620:4f:8001::1', '2620:4f:7fff::1']],
  ['documentation 2024', ['3fff::1', '3fff:fff::1'], ['3fff:1000::1', '3ffe::1']],
  [
    'ISATAP under any prefix',
    ['2606:4700::5efe:808:808', '2606:4700::200:5efe:808:808'],
    ['2606:4700::300:5efe:808:808', '2606:4700::5eff:808:808'],
  ],
  [
    'no address',
    ['', 'localhost', '127.1', '0x7f.0.0.1', '010.0.0.1', '8.8.8.8 ', '[::1]', '2606::1%eth0'],
    [],
  ],
]

describe('an address', () => {
  test.each(blocks)('of %s is not public, its neighbours are', (_name, inside, outside) => {
    expect(inside.filter(isGlobalUnicast)).toEqual([])
    expect(outside.filter((address) => !isGlobalUnicast(address))).toEqual([])
  })

  test('is compared in one spelling', () => {
    expect(normalAddress('::FFFF:7F00:1')).toBe(normalAddress('127.0.0.1'))
    expect(normalAddress('0:0::0:1')).toBe(normalAddress('::1'))
    expect(normalAddress('127.1')).toBeNull()
  })
})
