/**
 * Headers that belong to the connection, and `Host`, which the door derives from the checked origin: another
 * value would also choose the name that the certificate is verified against.
 */
const ownedByTheDoor: ReadonlySet<string> = new Set([
  'host',
  'connection',
  'keep-alive',
  'proxy-connection',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
  'expect',
])

/**
 * The flat list as it is sent, or null when it names a header that a caller may not set. Values are checked
 * by undici before anything is written. Unless the caller wants otherwise, no content coding is asked for:
 * the body is searched for secrets next, and that needs plain bytes.
 */
export const headersToSend = (headers: readonly string[]): string[] | null => {
  let asksForCoding = false
  for (let i = 0; i < headers.length; i += 2) {
    const name = headers[i]?.toLowerCase() ?? ''
    if (ownedByTheDoor.has(name)) return null
    if (name === 'accept-encoding') asksForCoding = true
  }
  return asksForCoding ? [...headers] : [...headers, 'accept-encoding', 'identity']
}
