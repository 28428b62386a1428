/** A JSON Pointer as the function that reads it. Only own members are read; what is not there is undefined. */
export const toReader = (path: string): ((input: unknown) => unknown) => {
  const keys = keysOf(path)
  const [first] = keys
  // Nearly every path is one name long, and this is on the path of every call.
  if (keys.length === 1 && first !== undefined) return (input) => member(input, first)
  return (input) => keys.reduce(member, input)
}

export const keysOf = (path: string): string[] =>
  path
    .split('/')
    .slice(1)
    .map((key) => key.replaceAll('~1', '/').replaceAll('~0', '~'))

const member = (value: unknown, key: string): unknown => {
  if (value === null || typeof value !== 'object') return undefined
  if (Array.isArray(value)) return /^(?:0|[1-9]\d*)$/.test(key) ? value[Number(key)] : undefined
  // The check just before makes this a read of an own member of a plain object parsed from JSON.
  return Object.hasOwn(value, key) ? (value as Record<string, unknown>)[key] : undefined
}
