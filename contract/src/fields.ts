import { z } from 'zod'
import { limits } from './limits.ts'

/** Field types that every noun shares. Lengths count Unicode code points, as JSON Schema does. */
const lengthInCodePoints = (value: string): number => {
  let length = 0
  for (const _ of value) length += 1
  return length
}

export const text = (max: number, min = 1) =>
  z
    .string()
    .check((ctx) => {
      const length = lengthInCodePoints(ctx.value)
      if (length < min || length > max) {
        ctx.issues.push({
          code: 'custom',
          input: ctx.value,
          message:
            length < min
              ? min === 1
                ? 'must not be empty'
                : `must have at least ${min} characters`
              : `must have at most ${max} characters`,
        })
      }
    })
    .meta(min > 0 ? { minLength: min, maxLength: max } : { maxLength: max })

/**
 * An integer as it stands in a URL: decimal digits only, where `Number` would also take `0x10`, `1e1` and ` 7`.
 * `In` is what callers of a typed client write.
 */
export const integerInUrl = <In extends string | number>(integer: z.ZodNumber) =>
  z
    .transform(
      (written: In) =>
        // What is not a number by now is refused by the schema behind.
        (typeof written === 'string' && /^-?\d{1,15}$/.test(written) ? Number(written) : written) as number,
    )
    .pipe(integer)

const oldest = '1970-01-01T00:00:00.000Z'
const newest = '9999-12-31T23:59:59.999Z'

/** A moment in an answer: RFC 3339, UTC, milliseconds. */
export const Timestamp = z.iso
  .datetime({ precision: 3 })
  .meta({ description: 'RFC 3339, UTC, milliseconds', examples: ['2026-01-15T10:30:00.000Z'] })

/** A moment in a request: any offset, 1970 to 9999, normalised to UTC milliseconds. */
export const TimestampInput = z.iso
  .datetime({ offset: true })
  .transform((value, ctx) => {
    const time = new Date(value)
    const normal = Number.isNaN(time.getTime()) ? '' : time.toISOString()
    if (normal.length === newest.length && normal >= oldest && normal <= newest) return normal
    ctx.issues.push({ code: 'custom', input: value, message: 'must be between 1970 and 9999' })
    return z.NEVER
  })
  .meta({
    description: 'RFC 3339 with an offset, between 1970 and 9999',
    examples: ['2027-01-01T00:00:00.000Z'],
  })

const { keys, keyLength, valueLength } = limits.metadata

export const Metadata = z
  .record(text(keyLength), text(valueLength, 0))
  .refine((value) => Object.keys(value).length <= keys, `must have at most ${keys} keys`)
  .meta({
    id: 'Metadata',
    description: `Your own key-value pairs: at most ${keys} keys of ${keyLength} characters, values of ${valueLength}. Replaced as a whole by an update.`,
    maxProperties: keys,
    examples: [{ internal_id: 'abc123' }],
  })

/** A change may say in its body too what it was made from, beside If-Match. */
export const ReadVersion = z
  .int()
  .min(1)
  .describe('The version you read; another one now is `version_conflict`')

export const JsonObject = z.record(z.string(), z.unknown())

/** The fields that every object of a workspace has. */
export const common = <O extends string>(object: O) => ({
  object: z.literal(object).describe('The type of this object'),
  workspace_id: z.string().describe('The workspace it belongs to'),
  metadata: Metadata,
  created_at: Timestamp.describe('When it was created'),
  updated_at: Timestamp.describe('When it was last changed'),
})
