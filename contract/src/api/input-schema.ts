import { z } from 'zod'

const FieldName = z
  .string()
  .regex(/^[A-Za-z_][A-Za-z0-9_-]{0,63}$/, 'must begin with a letter and hold only letters, digits, _ and -')
  .refine((name) => name !== '__proto__', 'is a reserved name')

export const InputField = z
  .strictObject({
    name: FieldName,
    type: z.enum(['string', 'number', 'integer', 'boolean', 'array', 'object']),
    required: z.boolean().default(false),
    in: z.enum(['path', 'query', 'header', 'body']).optional(),
    sensitive: z.boolean().default(false),
    description: z.string().max(1000).optional(),
    enum: z
      .array(z.union([z.string().max(2000), z.number(), z.boolean(), z.null()]))
      .min(1)
      .max(1000)
      .optional(),
    format: z.string().max(64).optional(),
    pattern: z.string().max(1000).optional(),
    minimum: z.number().optional(),
    maximum: z.number().optional(),
    min_length: z.int().min(0).optional(),
    max_length: z.int().min(0).optional(),
    max_items: z.int().min(0).optional(),
  })
  .meta({
    id: 'InputField',
    description:
      'One input of an action. `sensitive` values are never stored in executions. Use a JSON Schema instead ' +
      'of a list of fields where the types of items or of nested fields matter.',
  })
export type InputField = z.output<typeof InputField>

export const FieldList = z
  .array(InputField)
  .max(200)
  .refine((fields) => new Set(fields.map((field) => field.name)).size === fields.length, {
    message: 'names must be different from each other',
  })
export type FieldList = z.output<typeof FieldList>

/** Either form is stored as, and answered as, JSON Schema. */
export const InputSchema = z.union([FieldList, z.record(z.string(), z.unknown())]).meta({
  id: 'InputSchema',
  description:
    'A list of fields, or a JSON Schema (2020-12) whose root has `type: object`. References must be local, ' +
    'and keywords outside the 2020-12 vocabularies must begin with `x-`.',
})
export type InputSchema = z.output<typeof InputSchema>
