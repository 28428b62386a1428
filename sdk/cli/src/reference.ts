import { Problem } from './problem.ts'

export type JsonSchema = { readonly [keyword: string]: unknown }

export const isObject = (value: unknown): value is JsonSchema =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

/** The schema a `$ref` names in its own document. Nothing is fetched and no file is read. */
export const follow = (root: JsonSchema, ref: string): unknown => {
  const name = ref.startsWith('#') ? decoded(ref.slice(1)) : null
  if (name === null)
    throw new Problem(`A schema refers to ${shortened(ref)}; only references inside it are followed`)
  const found = name === '' || name.startsWith('/') ? atPointer(root, name) : atAnchor(root, name)
  if (found === undefined) throw new Problem(`A schema refers to ${shortened(ref)}, which it does not have`)
  return found
}

/** What to call it: the last word of the reference. */
export const wordOf = (ref: string): string => decoded(ref)?.split(/[#/]/).at(-1) ?? ''

/**
 * Whether a schema leads back to itself for one and the same value, through references and branches. Such a
 * schema describes nothing, and TypeScript refuses a type that is defined so.
 */
export const isEndless = (root: JsonSchema, start: unknown): boolean => {
  const seen = new Set<unknown>()
  const leads = (schema: unknown): boolean => {
    if (!isObject(schema) || seen.has(schema)) return false
    seen.add(schema)
    const next = [schema.allOf, schema.anyOf, schema.oneOf].flatMap((branches) =>
      Array.isArray(branches) ? branches : [],
    )
    if (typeof schema.$ref === 'string') next.push(follow(root, schema.$ref))
    return next.some((one) => one === start || leads(one))
  }
  return leads(start)
}

const decoded = (text: string): string | null => {
  try {
    return decodeURIComponent(text)
  } catch {
    return null
  }
}

const atPointer = (root: JsonSchema, pointer: string): unknown =>
  pointer
    .split('/')
    .slice(1)
    .map((part) => part.replaceAll('~1', '/').replaceAll('~0', '~'))
    .reduce<unknown>(
      (at, key) =>
        typeof at === 'object' && at !== null && Object.hasOwn(at, key)
          ? (at as { [key: string]: unknown })[key]
          : undefined,
      root,
    )

const atAnchor = (value: unknown, anchor: string): JsonSchema | undefined => {
  if (typeof value !== 'object' || value === null) return undefined
  if (isObject(value) && value.$anchor === anchor) return value
  for (const inner of Object.values(value)) {
    const found = atAnchor(inner, anchor)
    if (found) return found
  }
  return undefined
}

const shortened = (text: string): string => JSON.stringify(text.slice(0, 200))
