import { holders, isSchemaObject, type JsonSchema, mapSubschemas, referable, referenceName } from './schema-keywords.ts'

/**
 * The form of a checked schema that is handed to ajv.
 *
 * - Only what validates is left: no `$id`, `$anchor`, `x-` keys, titles or defaults, so no schema can name,
 *   shadow or reach another one.
 * - Every reference is `#/$defs/<number>`, so ajv's own reading of URIs decides nothing.
 * - `weight: [own, every]` stands where work can repeat: `own` is spent each time a referenced schema is
 *   entered, `every` for each item or property of the value. See `Budget`.
 */
export const prepareSchema = (root: JsonSchema): { schema: JsonSchema; weight: number } => {
  const references = referable(root)
  const numbers = new Map<unknown, number>()
  const waiting: unknown[] = []

  const numberOf = (target: unknown): number => {
    const known = numbers.get(target)
    if (known !== undefined) return known
    numbers.set(target, numbers.size)
    waiting.push(target)
    return numbers.size - 1
  }

  const prepare = (schema: unknown, isReferenced: boolean): unknown => {
    if (!isSchemaObject(schema)) return schema
    const kept = Object.fromEntries(Object.entries(schema).filter(([keyword]) => validates(keyword)))
    if (typeof kept.$ref === 'string') {
      kept.$ref = `#/$defs/${numberOf(references.get(referenceName(kept.$ref)))}`
    }
    const inner = mapSubschemas(kept, (held) => prepare(held, false))
    const every = weightOfEvery(inner)
    const own = isReferenced ? weightOf(inner) : 0
    return own + every === 0 ? inner : { ...inner, weight: [own, every] }
  }

  const main = prepare(root, false)
  const definitions: Record<string, unknown> = {}
  let weight = weightOf(main) + 0
  for (let next = 0; next < waiting.length; next++) {
    const target = waiting[next]
    // ajv does not resolve references to booleans.
    const asObject = target === true ? {} : target === false ? { not: {} } : target
    definitions[next] = prepare(asObject, true)
    weight += nodes(definitions[next])
  }
  weight += nodes(main)
  return { schema: { ...(isSchemaObject(main) ? main : {}), $defs: definitions }, weight }
}

const annotations = new Set([
  '$schema $id $anchor $comment $defs definitions title description default examples deprecated readOnly',
  'writeOnly contentEncoding contentMediaType contentSchema',
].join(' ').split(' '))

export const isAnnotation = (keyword: string) => annotations.has(keyword) || keyword.startsWith('x-')

const validates = (keyword: string) => !isAnnotation(keyword)
