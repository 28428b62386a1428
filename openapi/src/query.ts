import type { Parameter, Schema } from './openapi.ts'

/** The pattern with which the contract says "a comma-separated choice of these", as in `sort` and `fields`. */
const CHOICE = /^\^\(\?:([\w|-]+)\)\(\?:,\(\?:\1\)\)\*\$$/

/** A query parameter as generators understand it: lists are arrays, maps are `name[key]=value`. */
export const toQueryParameter = (parameter: Parameter): Parameter => {
  const { schema } = parameter
  const choices = CHOICE.exec(schema.pattern ?? '')?.[1]?.split('|')
  if (choices) return { ...parameter, style: 'form', explode: false, schema: toList(schema, choices) }
  if (schema.type === 'object') return { ...parameter, style: 'deepObject', explode: true }
  return parameter
}

const toList = ({ examples }: Schema, choices: string[]): Schema => ({
  type: 'array',
  items: { type: 'string', enum: choices },
  minItems: 1,
  uniqueItems: true,
  ...(examples && { examples: examples.map((example) => String(example).split(',')) }),
})
