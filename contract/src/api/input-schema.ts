import { z } from 'zod'

const FieldName = z
  .string()
  .regex(/^[A-Za-z_][A-Za-z0-9_-]{0,63}$/, 'must begin with a letter and hold only letters, digits, _ and -')
  .refine((name) => name !== '__proto__', 'is a reserved name')

export const InputField = z
  .strictObject({
    name: FieldName.describe('Its name, as callers send it'),
    type: z
      .enum(['string', 'number', 'integer', 'boolean', 'array', 'object'])
      .describe('The JSON type of its value'),
    required: z.boolean().default(false).describe('Whether it may not be absent'),
    in: z
      .enum(['path', 'query', 'header', 'body'])
      .optional()
      .describe('Where the upstream takes it; absent when the templates say so'),
    sensitive: z.boolean().default(false).describe('Whether its value is hidden in executions'),
    description: z.string().max(1000).optional().describe('What it means, for people and agents'),
    enum: z
      .array(z.union([z.string().max(2000), z.number(), z.boolean(), z.null()]))
      .min(1)
      .max(1000)
      .optional()
      .describe('The only values it may have'),
    format: z.string().max(64).optional().describe('A format of JSON Schema, such as `email`'),
    pattern: z.string().max(1000).optional().describe('A linear-time (RE2) expression it must match'),
    minimum: z.number().optional().describe('The least number it may be'),
    maximum: z.number().optional().describe('The greatest number it may be'),
    min_length: z.int().min(0).optional().describe('How many characters it has at least'),
    max_length: z.int().min(0).optional().describe('How many characters it has at most'),
    max_items: z.int().min(0).optional().describe('How many items it has at most'),
  })
  .meta({
    id: 'InputField',
    description:
      'One input of an action. `sensitive` values are never stored in executions. Use a JSON Schema instead ' +
      'of a list of fields where the types of items or of nested fields matter.',
  })
export type InputField = z.output<typeof InputField>

const FieldList = z
  .array(InputField)
  .max(200)
  .refine((fields) => new Set(fields.map((field) => field.name)).size === fields.length, {
    message: 'names must be different from each other',
  })

/** Either form is stored as, and answered as, JSON Schema. */
export const InputSchema = z.union([FieldList, z.record(z.string(), z.unknown())]).meta({
  id: 'InputSchema',
  description:
    'A list of fields, or a JSON Schema (2020-12) whose root has `type: object`. References must be local, ' +
    'and keywords outside the 2020-12 vocabularies must begin with `x-`.',
})
export type InputSchema = z.output<typeof InputSchema>
