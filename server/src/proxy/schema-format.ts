import { isDate, isDateTime } from './schema-instant.ts'

/**
 * The values of `format` that are checked; a schema naming another one is refused when it is saved. Every
 * check looks at a bounded number of characters or at each character once, so no text can make it slow.
 */
export const formats: Readonly<Record<string, Format>> = {
  date: { says: 'must be a date such as 2026-01-31', test: isDate },
  'date-time': { says: 'must be a date and time such as 2026-01-31T09:00:00Z', test: isDateTime },
  duration: { says: 'must be an ISO 8601 duration such as P1DT2H', test: (text) => isDuration(text) },
  email: { says: 'must be an e-mail address', test: (text) => isEmail(text) },
  hostname: { says: 'must be a host name', test: (text) => isHostname(text) },
  ipv4: { says: 'must be an IPv4 address', test: (text) => ipv4.test(text) },
  ipv6: { says: 'must be an IPv6 address', test: (text) => isIpv6(text) },
  uri: { says: 'must be an absolute URI', test: (text) => isUri(text) },
  uuid: { says: 'must be a UUID', test: (text) => uuid.test(text) },
  'json-pointer': { says: 'must be a JSON Pointer', test: (text) => isJsonPointer(text) },
  byte: { says: 'must be base64', test: (text) => text.length % 4 === 0 && base64.test(text) },
  // The rest says something about the width or the use of a value, not about its text.
  int32: { says: 'must be a 32-bit integer', number: (value) => (value | 0) === value },
  int64: { says: 'must be an integer', number: Number.isInteger },
  float: { says: '', number: () => true },
  double: { says: '', number: () => true },
  binary: { says: '', test: () => true },
  password: { says: '', test: () => true },
}

export type Format = { readonly says: string } & (
  | { readonly test: (text: string) => boolean }
  | { readonly number: (value: number) => boolean }
)

const uuid = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i
const ipv4 = /^(?:(?:25[0-5]|2[0-4]\d|1\d\d|[1-9]?\d)(?:\.(?!$)|$)){4}$/
const base64 = /^[A-Za-z0-9+/]*={0,2}$/
const label = /^[a-z0-9](?:[a-z0-9-]*[a-z0-9])?$/i
const uriCharacters = /^[a-z][a-z0-9+.-]*:[\w.~:/?#[\]@!$&'()*+,;=%-]*$/i
const duration = /^P(?=.)(?:\d+W|(?:\d+Y)?(?:\d+M)?(?:\d+D)?(?:T(?=\d)(?:\d+H)?(?:\d+M)?(?:\d+S)?)?)$/

const isDuration = (text: string) => text.length <= 64 && duration.test(text)

const isJsonPointer = (text: string) => (text === '' || text.startsWith('/')) && !/~(?![01])/.test(text)

const isIpv6 = (text: string) => /^[\da-f:.]{2,45}$/i.test(text) && URL.canParse(`http://[${text}]/`)

const isHostname = (text: string) =>
  text.length <= 253 && text.split('.').every((part) => part.length <= 63 && label.test(part))

const isEmail = (text: string) => {
  const [local = '', domain = '', ...more] = text.length <= 254 ? text.split('@') : []
  return more.length === 0 && isLocalPart(local) && isHostname(domain)
}

const isLocalPart = (text: string) =>
  text.length <= 64 && text.split('.').every((part) => /^[a-z0-9!#$%&'*+/=?^_`{|}~-]+$/i.test(part))

const isUri = (text: string) => text.length <= 8192 && uriCharacters.test(text) && URL.canParse(text)
