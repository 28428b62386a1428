import { networkInterfaces } from 'node:os'
import { isInRange, normalAddress, parseRange } from './egress-address.ts'

export type ListenAddress = { address: string; port: number }

/**
 * True when dialling this address and port would reach this very server. The unspecified address dials the
 * machine itself, and a server that listens on it is reached through every address of the machine.
 */
export const isOwnAddress = (own: readonly ListenAddress[], address: string, port: number): boolean => {
  const listening = own.filter((one) => one.port === port).map((one) => normalAddress(one.address))
  if (listening.length === 0) return false
  const dialled = normalAddress(address)
  if (dialled === null || isUnspecified(dialled) || listening.includes(dialled)) return true
  return listening.some((one) => one !== null && isUnspecified(one)) && isOfThisMachine(dialled)
}

const isUnspecified = (address: string): boolean => address === '0.0.0.0' || address === '0:0:0:0:0:0:0:0'

const loopback = parseRange('127.0.0.0/8')

const isOfThisMachine = (address: string): boolean =>
  (loopback !== null && isInRange(address, loopback)) ||
  Object.values(networkInterfaces()).some((group) =>
    group?.some((one) => normalAddress(one.address.replace(/%.*$/, '')) === address),
  )
