import { Ajv2020, type ErrorObject } from 'ajv/dist/2020.js'
import { canonicalText } from '../canonical-json.ts'
import { Budget, BudgetSpent, costOfMembers } from './schema-budget.ts'
import { formats } from './schema-format.ts'
import { isMultipleOf } from './schema-number.ts'
import { compilePattern } from './schema-pattern.ts'
import type { Prepared } from './schema-prepare.ts'

/** The errors found in a value, none when it is valid, or null when looking on would cost too much. */
export type Check = (value: unknown) => readonly ErrorObject[] | null

/**
 * Compiles a prepared schema with ajv. The keywords that ajv checks in more than linear time (`uniqueItems`),
 * in binary fractions (`multipleOf`) or by calling what the value holds (`enum`, `const`: an own `valueOf` in
 * the value would be called) are replaced by ours.
 */
export const compileWithAjv = ({ schema, tracks }: Prepared, mode: 'first-error' | 'all-errors'): Check => {
  const { ajv, units } = engines[tracks ? 'tracking' : 'plain'][mode]
  try {
    const validate = ajv.compile(schema)
    return (value) => {
      budget.fill(units)
      try {
        return validate(value) ? [] : (validate.errors ?? [])
      } catch (error) {
        if (error instanceof BudgetSpent) return null
        throw error
      }
    }
  } finally {
    // ajv keeps every schema it has seen; our own cache decides how long ours live.
    ajv.removeSchema(schema)
  }
}

// Validation is synchronous, so one budget serves all validators one after the other.
const budget = new Budget()

const regExp = Object.assign(
  (source: string) => {
    const pattern = compilePattern(source)
    return {
      test: (text: string) => {
        budget.spend((text.length + 1) * pattern.size)
        return pattern.test(text)
      },
      // ajv shares one engine among the patterns of equal text.
      toString: () => source,
    }
  },
  { code: 'linear' },
)

const createAjv = (allErrors: boolean, tracks: boolean) => {
  const ajv = new Ajv2020({
    allErrors,
    // The schema has been checked by `checkSchema`, which is stricter and names the place.
    strict: false,
    validateSchema: false,
    meta: false,
    ownProperties: true,
    inlineRefs: false,
    coerceTypes: false,
    strictNumbers: true,
    logger: false,
    // Errors then carry the keyword's value, which the messages name. The data they also carry is never shown.
    verbose: true,
    // Optimised code runs no faster here and takes twice as long to make.
    code: { regExp, optimize: false },
    formats: Object.fromEntries(
      Object.entries(formats).map(([name, format]) => [
        name,
        'number' in format ? { type: 'number', validate: format.number } : { validate: format.test },
      ]),
    ),
  })
  // This class sets it whatever its options say. Noting what was looked at costs time and is rarely asked for.
  ajv.opts.unevaluated = tracks
  for (const keyword of ['enum', 'const', 'uniqueItems', 'multipleOf']) ajv.removeKeyword(keyword)
  ajv.addKeyword({
    keyword: 'weight',
    before: '$ref',
    schemaType: 'array',
    errors: false,
    validate: ([own, every]: [number, number], value: unknown) => {
      budget.spend(own + (every === 0 ? 0 : every * costOfMembers(value)))
      return true
    },
  })
  ajv.addKeyword({ keyword: 'enum', schemaType: 'array', errors: false, compile: isOneOf })
  ajv.addKeyword({ keyword: 'const', errors: false, compile: (value: unknown) => isOneOf([value]) })
  ajv.addKeyword({
    keyword: 'uniqueItems',
    type: 'array',
    schemaType: 'boolean',
    errors: false,
    compile: (isOn: boolean) => (items: unknown[]) => !isOn || areUnique(items),
  })
  ajv.addKeyword({
    keyword: 'multipleOf',
    type: 'number',
    schemaType: 'number',
    errors: false,
    compile: (step: number) => (value: number) => isMultipleOf(value, step),
  })
  return ajv
}

const isOneOf = (accepted: unknown[]) => {
  const texts = new Set(accepted.map(canonicalText))
  const hasComposite = accepted.some(isComposite)
  return (value: unknown) => (!isComposite(value) || hasComposite) && texts.has(spendOnText(value))
}

const areUnique = (items: readonly unknown[]) => {
  const seen = new Set<string>()
  for (const item of items) seen.add(spendOnText(item))
  return seen.size === items.length
}

const spendOnText = (value: unknown): string => {
  const text = canonicalText(value)
  budget.spend(text.length)
  return text
}

const isComposite = (value: unknown) => value !== null && typeof value === 'object'

const createEngines = (tracks: boolean) => ({
  'first-error': { ajv: createAjv(false, tracks), units: 8_000_000 },
  // Every error is an object, so the second look at a refused value has a smaller budget.
  'all-errors': { ajv: createAjv(true, tracks), units: 200_000 },
})

const engines = { plain: createEngines(false), tracking: createEngines(true) }
