import { z } from 'zod'
import { integerInUrl, TimestampInput, text } from './fields.ts'
import { limits } from './limits.ts'

/**
 * Lists are cursor pages. A cursor is opaque and bound to the list, its filters and its order: sent anywhere
 * else it is `invalid_cursor`. Totals and offsets are not offered, because their cost grows with the table.
 */
export const pageQuery = {
  limit: integerInUrl<number>(z.int().min(1).max(limits.page.max))
    .default(limits.page.default)
    .describe(`How many objects a page has at most: 1 to ${limits.page.max}`),
  // The longest holds a name of 255 control characters, each six in JSON, in base64: about 2200.
  cursor: z.string().min(1).max(4096).optional().describe('`next_cursor` of the previous page'),
}

export const pageOf = <T extends z.ZodType>(item: T, name: string) =>
  z
    .object({
      object: z.literal('list').describe('Always `list`'),
      data: z.array(item).describe('The objects of this page'),
      has_more: z.boolean().meta({ description: 'Whether another page follows', examples: [false] }),
      next_cursor: z
        .string()
        .nullable()
        .describe('What to send as `cursor` for the next page; null on the last'),
    })
    .meta({ id: `${name}List`, description: `A page of the list of ${name} objects` })

export const createdFilters = {
  created_after: TimestampInput.optional().describe('Only objects created at this moment or later'),
  created_before: TimestampInput.optional().describe('Only objects created before this moment'),
}

export const updatedFilters = {
  updated_after: TimestampInput.optional().describe('Only objects changed at this moment or later'),
  updated_before: TimestampInput.optional().describe('Only objects changed before this moment'),
}

export const searchFilter = {
  search: text(200).optional().describe('Only objects whose name contains this text, in any case'),
}

export const metadataFilter = {
  metadata: z
    .record(z.string(), z.string())
    .optional()
    .describe('Only objects with these metadata values, sent as `metadata[key]=value`'),
}

/** A comma-separated choice from a fixed set, each at most once. */
const choiceOf = (allowed: readonly string[]) => {
  const pattern = `^(?:${allowed.join('|')})(?:,(?:${allowed.join('|')}))*$`
  return z
    .string()
    .regex(new RegExp(pattern), `must be a comma-separated list of ${allowed.join(', ')}`)
    .refine((value) => {
      const names = value.split(',').map((name) => name.replace(/^-/, ''))
      return new Set(names).size === names.length
    }, 'must name each field once')
}

const sortBy = <const F extends readonly string[]>(fields: F) =>
  choiceOf(fields.flatMap((field) => [field, `-${field}`]))
    .optional()
    .meta({
      description: `Order by ${fields.join(', ')}; \`-\` before a name for descending. Newest first when absent.`,
      examples: [`-${fields[0]}`],
    })

/** Keeps only these fields of each object, and `id` and `object`. */
export const fieldsOf = (item: z.ZodObject) =>
  choiceOf(Object.keys(item.shape))
    .optional()
    .meta({
      description: 'Only these fields; `id` and `object` stay',
      examples: ['id,created_at'],
    })

/** The query of a list: page, order, projection and the list's own filters; anything else is refused. */
export const listQuery = <const S extends readonly string[], F extends Record<string, z.ZodType>>(options: {
  of: z.ZodObject
  sort: S
  filters: F
}) =>
  z.strictObject({
    ...pageQuery,
    sort: sortBy(options.sort),
    fields: fieldsOf(options.of),
    ...options.filters,
  })
