/**
 * Host names compared as a network sees them: parsed, in lower case, in IDNA's ASCII form, without the dot of
 * the root. Where two programs might read a text differently (user information, a backslash, a quoted local
 * part, two at signs, a percent sign in a host) it has no host at all, and a constraint on its host refuses it.
 */
export const hostOfUrl = (text: string): string | null => {
  if (!/^[a-z][a-z0-9+.-]*:\/\/[^/?#]/i.test(text) || hasUnsafe(text)) return null
  const authority = /^[^:]*:\/\/([^/?#]*)/.exec(text)?.[1] ?? ''
  if (/[@%]/.test(authority) || !URL.canParse(text)) return null
  return normalHost(new URL(text).hostname)
}

export const domainOfEmail = (text: string): string | null => {
  const [local = '', domain = '', ...more] = text.split('@', 3)
  if (more.length > 0 || text.length > 320 || hasUnsafe(text) || !localPart.test(local)) return null
  return normalHost(domain)
}

/** The ASCII form of a host name, or null when it is none. */
const normalHost = (host: string): string | null => {
  if (host === '' || host.length > 255 || !/^(?:[\p{L}\p{M}\p{N}._-]+|\[[\da-f:.]+\])$/iu.test(host))
    return null
  const url = `http://${host}/`
  if (!URL.canParse(url)) return null
  const name = new URL(url).hostname.replace(/\.$/, '')
  return name === '' || name.split('.').includes('') ? null : name
}

/** Entries are exact names, or `*.` and a name for every name below it. */
export const toHostList = (entries: readonly string[]): ((host: string) => boolean) => {
  const exact = new Set<string>()
  const above: string[] = []
  for (const entry of entries) {
    const name = normalHost(entry.replace(/^\*\./, ''))
    if (name !== null && entry.startsWith('*.')) above.push(`.${name}`)
    else if (name !== null) exact.add(name)
  }
  return (host) =>
    exact.has(host) || above.some((suffix) => host.length > suffix.length && host.endsWith(suffix))
}

/** Whether an entry of `host_in` or `domain_in` can ever match. */
export const isHostEntry = (entry: string): boolean => normalHost(entry.replace(/^\*\./, '')) !== null

// Neither `%` nor `!`: old mail servers read both as routes to another host.
const localPart = /^[\p{L}\p{N}#$&'*+/=?^_`{|}~-]+(?:\.[\p{L}\p{N}#$&'*+/=?^_`{|}~-]+)*$/u

const hasUnsafe = (text: string) => /[\s\\\p{Cc}\p{Cf}]/u.test(text)
