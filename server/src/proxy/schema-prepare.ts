import {
  holders,
  isObject,
  isSchemaObject,
  type JsonSchema,
  mapSubschemas,
  referable,
  referenceName,
  subschemas,
} from './schema-keywords.ts'

/**
 * The form of a checked schema that is handed to ajv.
 *
 * - Only what validates is left: no `$id`, `$anchor`, `x-` keys, titles or defaults, so no schema can name,
 *   shadow or reach another one.
 * - Every reference is `#/$defs/<number>`, so ajv's own reading of URIs decides nothing.
 * - Where some `unevaluated…` asks what was looked at, keywords are put in an order and a form in which ajv tells
 *   that rightly (`forTracking`).
 * - `weight: [own, every]` stands where work can repeat: `own` is spent each time a referenced schema is
 *   entered, `every` for each item or property of the value (see `schema-budget.ts`). A flat schema has none
 *   and pays nothing.
 *
 * `size` counts the parts of the whole and, with the number of `definitions`, bounds the time to compile it.
 */
export const prepareSchema = (root: JsonSchema): Prepared => {
  const references = referable(root)
  const tracks = asksWhatWasLookedAt(root)
  const targets: unknown[] = []

  const numberOf = (ref: string): number => {
    const target = references.get(referenceName(ref))
    const known = targets.indexOf(target)
    return known >= 0 ? known : targets.push(target) - 1
  }

  const prepare = (schema: unknown, isReferenced = false): unknown => {
    if (!isSchemaObject(schema)) return schema
    const kept = Object.entries(schema).filter(([keyword]) => !isAnnotation(keyword))
    const inner = mapSubschemas(Object.fromEntries(kept), (held) => prepare(held))
    const ref = typeof inner.$ref === 'string' ? { $ref: `#/$defs/${numberOf(inner.$ref)}` } : {}
    const own = isReferenced ? callWeight * weightOf(inner) : 0
    const every = weightOfEvery(inner)
    const whole = { ...inner, ...ref, ...(own + every > 0 && { weight: [own, every] }) }
    return tracks ? forTracking(whole) : whole
  }

  const main = prepare(root)
  const definitions: Record<string, unknown> = {}
  // Preparing one target may find further ones, which then stand at the end of the list.
  for (let next = 0; next < targets.length; next++) {
    definitions[next] = prepare(asObject(targets[next]), true)
  }
  const schema = { ...(isObject(main) ? main : {}), $defs: definitions }
  return { schema, size: countParts(schema), definitions: targets.length, tracks }
}

export type Prepared = { schema: JsonSchema; size: number; definitions: number; tracks: boolean }

const asksWhatWasLookedAt = (schema: unknown): boolean =>
  isSchemaObject(schema) &&
  (Object.hasOwn(schema, 'unevaluatedProperties') ||
    Object.hasOwn(schema, 'unevaluatedItems') ||
    subschemas(schema).some((inner) => asksWhatWasLookedAt(inner.schema)))

/**
 * ajv loses track in two places. After a branch that may not have been taken, `patternProperties` marks what it saw
 * on nothing and throws: so what stands beside a branch goes first, and `allOf` keeps the order. And `if` without
 * `then` is not looked into, while one that failed with an `else` counts as having looked: so a condition becomes
 * the choice that it stands for.
 */
const forTracking = (schema: JsonSchema): JsonSchema => {
  const { if: condition, then = true, else: otherwise = true, ...others } = schema
  const choice = condition !== undefined && {
    anyOf: [{ allOf: [condition, then] }, { allOf: [{ not: condition }, otherwise] }],
  }
  const pick = (...keywords: string[]) =>
    Object.fromEntries(Object.entries(others).filter(([keyword]) => keywords.includes(keyword)))
  const branches = [choice || {}, ...['anyOf', 'oneOf', 'dependentSchemas', '$ref'].map((one) => pick(one))]
  const parts = [pick('properties', 'patternProperties', 'additionalProperties'), ...branches].filter(
    (part) => Object.keys(part).length > 0,
  )
  const taken = new Set(parts.flatMap((part) => Object.keys(part)))
  const rest = Object.fromEntries(Object.entries(others).filter(([keyword]) => !taken.has(keyword)))
  // As it was checked: `allOf` holds a list.
  const all = [...parts, ...((rest.allOf as unknown[] | undefined) ?? [])]
  return all.length === 0 ? rest : { ...rest, allOf: all }
}

const annotations = new Set(
  `$schema $id $anchor $comment $defs definitions title description default examples deprecated readOnly
  writeOnly contentEncoding contentMediaType contentSchema`.split(/\s+/),
)

/** Keywords that say something about a value and never refuse one. */
const isAnnotation = (keyword: string): boolean => annotations.has(keyword) || keyword.startsWith('x-')

// ajv does not resolve references to booleans.
const asObject = (schema: unknown): unknown =>
  typeof schema === 'boolean' ? (schema ? {} : { not: {} }) : schema

// Entering a referenced schema is a function call that passes its errors on, far dearer than a part in line.
const callWeight = 15

const weightOf = (schema: unknown): number => countParts(schema, 'every')

const weightOfEvery = (schema: JsonSchema): number =>
  subschemas(schema)
    .filter((inner) => inner.place === 'every')
    .reduce((sum, inner) => sum + weightOf(inner.schema), countsMembers(schema) ? 1 : 0)

const countsMembers = (schema: JsonSchema) =>
  Object.hasOwn(schema, 'minProperties') || Object.hasOwn(schema, 'maxProperties')

const countParts = (value: unknown, except?: 'every'): number => {
  if (!isObject(value)) return 1
  let parts = 1
  for (const [key, part] of Object.entries(value)) {
    if (except !== undefined && Object.hasOwn(holders, key) && holders[key]?.place === except) continue
    // However many values an enum has, they are looked up at once.
    parts += key === 'enum' ? 1 : countParts(part, except)
  }
  return parts
}
