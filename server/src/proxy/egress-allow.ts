import { isIP } from 'node:net'
import { type AddressRange, isInRange, parseRange } from './egress-address.ts'

/**
 * What an operator allows beyond the public internet (NARROWAPI_EGRESS_ALLOW). A name is trusted wherever it
 * resolves to; a range is trusted for literals and for every name that resolves into it. `port` null means
 * any port.
 */
export type EgressAllow = readonly (
  | { kind: 'name'; name: string; port: number | null }
  | { kind: 'range'; range: AddressRange; port: number | null }
)[]

/** Reads a comma-separated list of `host`, `host:port`, `address`, `address:port`, `[v6]:port` and CIDR. */
export const parseEgressAllow = (text: string): EgressAllow =>
  text
    .split(',')
    .map((entry) => entry.trim())
    .filter((entry) => entry !== '')
    .map(parseEntry)

export const allowsName = (allow: EgressAllow, name: string, port: number): boolean =>
  allow.some((entry) => entry.kind === 'name' && entry.name === name && portFits(entry.port, port))

export const allowsAddress = (allow: EgressAllow, address: string, port: number): boolean =>
  allow.some(
    (entry) => entry.kind === 'range' && portFits(entry.port, port) && isInRange(address, entry.range),
  )

/** True when some address at this port is allowed, so that a name can be judged only when it is dialled. */
export const allowsSomeAddress = (allow: EgressAllow, port: number): boolean =>
  allow.some((entry) => entry.kind === 'range' && portFits(entry.port, port))

const portFits = (allowed: number | null, port: number): boolean => allowed === null || allowed === port

const parseEntry = (entry: string): EgressAllow[number] => {
  const range = parseRange(entry)
  if (range !== null) return { kind: 'range', range, port: null }

  const [, host = '', digits] = /^(\[[^\]]*\]|[^:[\]/\\?#@%]+)(?::(\d{1,5}))?$/.exec(entry) ?? []
  const port = digits === undefined ? null : Number(digits)
  const name = host.toLowerCase().replace(/\.$/, '')
  const literal = name.replace(/^\[|\]$/g, '')
  const single = isIP(literal) === 0 ? null : parseRange(literal)
  if (port === 0 || (port ?? 0) > 65_535) throw malformed(entry)
  if (single !== null) return { kind: 'range', range: single, port }

  // Names are compared as they are dialled, so one that a URL would read differently (`127.1`) is a mistake.
  const dialled = URL.canParse(`http://${name}`) ? new URL(`http://${name}`).hostname : ''
  if (!/^[a-z0-9_-]+(\.[a-z0-9_-]+)*$/.test(dialled) || isIP(dialled) !== 0) throw malformed(entry)
  return { kind: 'name', name: dialled, port }
}

const malformed = (entry: string) =>
  new Error(
    `"${entry}" is not a host, host:port or address range such as 10.0.0.0/8; ` +
      'write names without a scheme, path or wildcard',
  )
