import { expect, test } from 'vitest'
import { z } from 'zod'
import { createSchemas } from './schemas.ts'

const Leaf = z.strictObject({ size: z.int().default(1) }).meta({ id: 'Leaf' })
const Same = z.string().min(1).meta({ id: 'Same' })
const Branch = z.object({ leaf: Leaf, same: Same }).meta({ id: 'Branch' })

test('names what is sent apart from what is answered, also where only something inside differs', () => {
  const schemas = createSchemas()
  const sent = schemas.toSchema(Branch, 'input')
  const answered = schemas.toSchema(Branch, 'output')
  const settled = schemas.settle({ sent, answered })
  expect(settled.value).toEqual({
    sent: { $ref: '#/components/schemas/BranchInput' },
    answered: { $ref: '#/components/schemas/Branch' },
  })
  expect(Object.keys(settled.schemas)).toEqual(['Branch', 'BranchInput', 'Leaf', 'LeafInput', 'Same'])
  expect(settled.schemas.BranchInput?.properties?.leaf).toEqual({ $ref: '#/components/schemas/LeafInput' })
})

test('keeps the plain name of what is only sent', () => {
  const schemas = createSchemas()
  schemas.toSchema(Leaf, 'input')
  expect(Object.keys(schemas.settle(null).schemas)).toEqual(['Leaf'])
})

test('keeps examples and defaults of inputs that are transformed', () => {
  const schemas = createSchemas()
  const moment = z.string().transform((text) => new Date(text).toISOString())
  const schema = z
    .strictObject({ at: moment.nullable().default(null) })
    .meta({ examples: [{ at: '2027-01-01T00:00:00Z' }] })
  expect(schemas.toSchema(schema, 'input')).toMatchObject({
    examples: [{ at: '2027-01-01T00:00:00Z' }],
    properties: { at: { type: ['string', 'null'], default: null } },
  })
})

test('closes what is sent and leaves open what is answered', () => {
  const schemas = createSchemas()
  expect(schemas.toSchema(z.strictObject({}), 'input').additionalProperties).toBe(false)
  expect(schemas.toSchema(z.strictObject({}), 'output').additionalProperties).toBeUndefined()
  expect(schemas.toSchema(z.record(z.string(), z.unknown()), 'output')).toEqual({
    type: 'object',
    additionalProperties: true,
  })
})
