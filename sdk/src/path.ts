/**
 * Puts the parameters into the template. Dot segments are refused, also percent-encoded, however often:
 * somewhere between here and the server something may decode them, and then `..` would reach another route
 * with the caller's key. An empty parameter would reach the list instead of the object.
 */
export const fillPath = (template: string, args: readonly unknown[]): string => {
  let position = 0
  return template.replace(/\{(\w+)\}/g, (_, name: string) => {
    const arg = args[position++]
    const value = typeof arg === 'number' ? `${arg}` : arg
    if (typeof value !== 'string' || DOTS.test(value)) {
      throw new TypeError(`${name} must not be "${value}"`)
    }
    return encodeURIComponent(value)
  })
}

/** Lists are comma-separated; a nested object, as in `metadata`, becomes `metadata[key]=value`. */
export const toQuery = (json = '{}'): string => {
  const text = toPairs(JSON.parse(json)).join('&')
  return text && `?${text}`
}

const toPairs = (value: unknown, name = ''): string[] => {
  if (value === null) return []
  if (Object(value) !== value || Array.isArray(value)) {
    return [`${encodeURIComponent(name)}=${encodeURIComponent(`${value}`)}`]
  }
  return Object.entries(value as object).flatMap(([key, inner]) =>
    toPairs(inner, name ? `${name}[${key}]` : key),
  )
}

/** Nothing, `.` or `..`. */
const DOTS = /^(\.|%(25)*2e){0,2}$/i
