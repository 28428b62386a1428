import { NarrowUsageError } from './errors.ts'

/**
 * Puts the parameters into the template. Dot segments are refused, also percent-encoded, however often:
 * somewhere between here and the server something may decode them, and then `..` would reach another route
 * with the caller's key. An empty parameter would reach the list instead of the object.
 */
export const fillPath = (template: string, args: readonly unknown[], operation: string): string => {
  let position = 0
  return template.replace(PARAMETER, (_, name: string) => {
    const arg = args[position++]
    const value = typeof arg === 'number' ? String(arg) : arg
    if (typeof value !== 'string' || value === '' || DOTS.test(value)) {
      throw new NarrowUsageError(
        `${operation}: ${name} must be a number or text, and neither empty, "." nor ".."`,
        operation,
      )
    }
    return encodeURIComponent(value)
  })
}

export const countParameters = (template: string): number => template.split('{').length - 1

/** Lists are comma-separated; a nested object, as in `metadata`, becomes `metadata[key]=value`. */
export const toQuery = (query: object): string => {
  const parts: string[] = []
  for (const [name, value] of Object.entries(query)) {
    if (value === undefined || value === null) continue
    if (isPlainObject(value)) {
      for (const [key, inner] of Object.entries(value)) parts.push(pair(`${name}[${key}]`, inner))
    } else parts.push(pair(name, value))
  }
  return parts.length > 0 ? `?${parts.join('&')}` : ''
}

const pair = (name: string, value: unknown): string =>
  `${encodeURIComponent(name)}=${encodeURIComponent(value instanceof Date ? value.toISOString() : String(value))}`

const isPlainObject = (value: unknown): value is object =>
  typeof value === 'object' && value !== null && !Array.isArray(value) && !(value instanceof Date)

const PARAMETER = /\{(\w+)\}/g
const DOTS = /^(\.|%(25)*2e){1,2}$/i
