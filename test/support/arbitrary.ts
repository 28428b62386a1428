import fc from 'fast-check'
import type { JSONSchema } from 'zod/v4/core'

type Schema = JSONSchema.JSONSchema

/** Values to use for a property, where a schema says less than what would make a request work. */
export type Known = (property: string, schema: Schema) => readonly unknown[] | null

/** Requests that a JSON Schema describes: mostly what it allows, so that they come past the validation. */
export const arbitraryOf = (root: Schema, known: Known): fc.Arbitrary<unknown> => {
  const of = (schema: Schema | boolean, property: string, depth: number): fc.Arbitrary<unknown> => {
    if (typeof schema === 'boolean' || depth > 6) return anything
    const choices = known(property, schema)
    if (choices && choices.length > 0) return fc.constantFrom(...choices)
    if (schema.$ref !== undefined) return of(definition(root, schema.$ref), property, depth + 1)
    if (schema.const !== undefined) return fc.constant(schema.const)
    if (schema.enum) return fc.constantFrom(...schema.enum)
    const alternatives = schema.anyOf ?? schema.oneOf
    if (alternatives) return fc.oneof(...alternatives.map((one) => of(one, property, depth + 1)))
    switch (schema.type) {
      case 'string':
        return textOf(schema)
      case 'integer':
        return fc.integer({ min: boundOf(schema.minimum, 0), max: boundOf(schema.maximum, 1000) })
      case 'number':
        return fc.double({ min: schema.minimum ?? 0, max: schema.maximum ?? 1000, noNaN: true })
      case 'boolean':
        return fc.boolean()
      case 'null':
        return fc.constant(null)
      case 'array': {
        const item = Array.isArray(schema.items) ? true : (schema.items ?? true)
        return fc.array(of(item, property, depth + 1), { minLength: schema.minItems ?? 0, maxLength: 3 })
      }
      case 'object':
        return objectOf(schema, depth)
      default:
        return anything
    }
  }
  const objectOf = (schema: Schema, depth: number): fc.Arbitrary<unknown> => {
    const members = Object.entries(schema.properties ?? {})
    if (members.length > 0) {
      const model = Object.fromEntries(members.map(([name, member]) => [name, of(member, name, depth + 1)]))
      return fc.record(model, { requiredKeys: schema.required ?? [] })
    }
    if (schema.additionalProperties === false) return fc.constant({})
    return fc.dictionary(
      fc.string({ minLength: 1, maxLength: 8 }),
      of(schema.additionalProperties ?? true, '', depth + 1),
      {
        maxKeys: 3,
        noNullPrototype: true,
      },
    )
  }
  return of(root, '', 0)
}

/** The same value with one thing wrong: a member replaced, added or left out, or something else altogether. */
export const broken = (valid: fc.Arbitrary<unknown>): fc.Arbitrary<unknown> =>
  fc
    .tuple(valid, fc.nat(), anything, fc.constantFrom('replace', 'add', 'remove', 'other'))
    .map(([value, seed, odd, how]) => {
      if (how === 'other' || typeof value !== 'object' || value === null || Array.isArray(value)) return odd
      const names = Object.keys(value)
      const name = names[seed % Math.max(1, names.length)] ?? 'unknown'
      if (how === 'add') return { ...value, [`extra_${seed % 10}`]: odd }
      const rest = Object.fromEntries(Object.entries(value).filter(([key]) => key !== name))
      return how === 'remove' ? rest : { ...rest, [name]: odd }
    })

const anything = fc.oneof(
  fc.jsonValue({ maxDepth: 3 }),
  fc.constantFrom('', '\u0001', "'; select 1", '{{name}}', '__proto__', -1, 2 ** 53 - 1, [], {}, [[[[]]]]),
)

const textOf = (schema: Schema): fc.Arbitrary<unknown> => {
  if (schema.format === 'date-time')
    return fc.constantFrom(
      '2030-01-01T00:00:00Z',
      '2029-06-30T12:00:00.5+02:00',
      '9999-12-31T23:59:59.999Z',
      '1970-01-01T00:00:00Z',
    )
  if (schema.pattern !== undefined) return patterned(schema.pattern)
  const minLength = schema.minLength ?? 0
  const maxLength = Math.min(schema.maxLength ?? 30, Math.max(30, minLength))
  return fc.oneof(fc.string({ minLength, maxLength }), fc.string({ unit: 'grapheme', minLength, maxLength }))
}

const patterned = (pattern: string): fc.Arbitrary<unknown> => {
  try {
    return fc.stringMatching(new RegExp(pattern))
  } catch {
    // Look-around and the like, which cannot be generated from.
    return fc.string({ maxLength: 30 })
  }
}

const boundOf = (bound: number | undefined, otherwise: number): number =>
  bound === undefined || Math.abs(bound) > 2 ** 31 ? otherwise : bound

const definition = (root: Schema, ref: string): Schema => {
  if (ref === '#') return root
  const found = root.$defs?.[ref.replace('#/$defs/', '')]
  if (!found) throw new Error(`The schema has no definition ${ref}`)
  return found
}
