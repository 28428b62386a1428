import { isIP } from 'node:net'
import { domainToUnicode } from 'node:url'
import { ApiError } from '../errors.ts'
import { isGlobalUnicast } from './egress-address.ts'
import { allowsAddress, allowsName, allowsSomeAddress, type EgressAllow } from './egress-allow.ts'

/** Where a request would go. `host` is a name in ASCII without its trailing dot, or an address without brackets. */
export type Target = {
  url: URL
  protocol: 'https:' | 'http:'
  host: string
  port: number
  isLiteral: boolean
}

/** The ports of public https upstreams; every other port needs an entry in NARROWAPI_EGRESS_ALLOW. */
const publicPorts: readonly number[] = [443, 8443]

/**
 * Refuses by its text a target that could never be called, when an action is stored. This is the courtesy of
 * an early answer and the first of two refusals; the second, by address, happens whenever a call is dialled.
 */
export const checkTarget = (url: string, allow: EgressAllow): URL => {
  const target = readTarget(url)
  const problem = typeof target === 'string' ? target : refusalByText(target, allow)
  if (typeof target === 'string' || problem !== null) {
    throw new ApiError('validation_failed', 'The target URL is not allowed', {
      details: [{ field: 'target_url', message: problem ?? 'not allowed' }],
    })
  }
  return target.url
}

/** The text with its host as it is dialled: letters of other alphabets can look like a name that it is not. */
export const withPlainOrigin = (text: string, { origin }: URL): string =>
  text.replace(/^[^:]+:\/\/[^/?]*/, origin)

/**
 * Reads a URL strictly, and returns what is wrong with the text when it is not plain. The URL standard
 * repairs much that people and attackers write (`https:\\host`, tabs, `0x7f.1`, full-width digits). Here
 * nothing is repaired: the host must be written the way it will be dialled, so nobody who reads a stored
 * action is misled about where it goes.
 */
export const readTarget = (text: string): Target | string => {
  if (/[\p{Cc}\p{Cf}\p{Cs}\p{Z}\\]/u.test(text)) {
    return 'must not contain spaces, control characters or backslashes; percent-encode them'
  }
  if (text.includes('#')) return 'must not have a fragment; it is never sent'

  const [, scheme, authority] = /^([a-z][a-z0-9+.-]*):\/\/([^/?]*)/i.exec(text) ?? []
  if (scheme === undefined || authority === undefined) return 'must be an absolute URL: https://host/path'
  const protocol = `${scheme.toLowerCase()}:`
  if (protocol !== 'https:' && protocol !== 'http:') return 'must begin with https://'
  if (authority.includes('@')) return 'must not contain a user name or password; store them as a secret'

  const [, written, port] = /^(\[[^\]]*\]|[^:[\]]+)(?::([1-9]\d{0,4}))?$/.exec(authority) ?? []
  if (written === undefined || !URL.canParse(text)) return 'must name a host, and a port only as digits'
  const url = new URL(text)
  // A trailing dot marks a fully qualified name: the same name, so it must not pass for another one.
  url.hostname = url.hostname.replace(/\.$/, '')

  const isBracketed = written.startsWith('[')
  const host = isBracketed ? url.hostname.slice(1, -1) : url.hostname
  if (!isBracketed && !isWrittenAsDialled(written.replace(/\.$/, ''), host)) {
    return 'must name its host plainly: no encoded, numeric or look-alike form'
  }
  return {
    url,
    protocol,
    host,
    port: Number(port ?? (protocol === 'https:' ? 443 : 80)),
    isLiteral: isIP(host) !== 0,
  }
}

/** Why a target can be refused before anything is resolved, or null when only the dial can tell. */
export const refusalByText = (target: Target, allow: EgressAllow): string | null => {
  const { protocol, host, port, isLiteral } = target
  if (isLiteral) return mayDial(target, host, allow) ? null : whyNotPublic(target, 'address')
  if (allowsName(allow, host, port) || allowsSomeAddress(allow, port)) return null
  const isPublic = protocol === 'https:' && publicPorts.includes(port) && !isLocalName(host)
  return isPublic ? null : whyNotPublic(target, 'name')
}

/** The rule of the door: may this address be dialled for this target? */
export const mayDial = ({ protocol, host, port }: Target, address: string, allow: EgressAllow): boolean =>
  allowsName(allow, host, port) ||
  allowsAddress(allow, address, port) ||
  (protocol === 'https:' && publicPorts.includes(port) && isGlobalUnicast(address))

const whyNotPublic = ({ protocol, port }: Target, hostKind: 'address' | 'name'): string => {
  if (protocol === 'http:') return 'must begin with https:// unless the operator allows this host'
  if (!publicPorts.includes(port)) return `must use port ${publicPorts.join(' or ')}`
  return `must name a host of the public internet; this ${hostKind} is not allowed`
}

/**
 * Label by label, the text is the name that is dialled (letter case aside) or its Unicode form. Anything else
 * that the URL standard would map to a host (percent signs, ideographic dots, ligatures, soft hyphens,
 * octal and hexadecimal numbers) shows one host and means another.
 */
const isWrittenAsDialled = (written: string, host: string): boolean => {
  if (host.length > 253 || !/^[a-z0-9_-]{1,63}(\.[a-z0-9_-]{1,63})*$/.test(host)) return false
  const labels = host.split('.')
  const writtenLabels = written.split('.')
  return (
    labels.length === writtenLabels.length &&
    labels.every((label, i) => {
      const shown = writtenLabels[i] ?? ''
      if (/^[\x21-\x7e]*$/.test(shown)) return shown.toLowerCase() === label
      return label.startsWith('xn--') && domainToUnicode(label) === shown.normalize('NFC').toLowerCase()
    })
  )
}

/** Names that no public resolver answers: RFC 6761, 6762 and 8375, `.internal`, and names without a dot. */
const isLocalName = (host: string): boolean =>
  !host.includes('.') || /\.(localhost|local|localdomain|internal|home\.arpa)$/.test(host)
