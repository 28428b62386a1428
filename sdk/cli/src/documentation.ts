import { isObject, type JsonSchema } from './reference.ts'
import { count, inWords, type Rules } from './rules.ts'
import { code, sentence, type Tag, valueText } from './text.ts'

/** What a type cannot say of a value, in words, for `comment`. */
export const documentation = (
  schema: unknown,
  rules: Rules,
  parent: JsonSchema = {},
  name = '',
): [paragraphs: string[], tags: Tag[]] => {
  if (!isObject(schema)) return [accepted(rules), []]
  const { title, description, deprecated } = schema
  const about = isText(description) ? description : isText(title) ? title : ''
  const bounds = [...boundsOf(schema), ...needs(parent, name)]
  const paragraphs = [sentence(about), bounds.join(' '), ...accepted(rules)]
  const tags: Tag[] = deprecated === true ? [['deprecated', '']] : []
  if ('default' in schema) tags.push(['default', valueText(schema.default)])
  if (Array.isArray(schema.examples)) {
    tags.push(...schema.examples.slice(0, 3).map((example): Tag => ['example', valueText(example)]))
  }
  return [paragraphs.filter((paragraph) => paragraph !== ''), tags]
}

/** Rules that the type shows are not said again. */
const accepted = ({ here }: Rules): string[] => {
  const said = here.filter(({ op }) => !['eq', 'in', 'required', 'absent'].includes(op))
  return said.length === 0 ? [] : [`Accepted: ${said.map(inWords).join('; ')}.`]
}

const boundsOf = (schema: JsonSchema): string[] => {
  const { pattern, format, uniqueItems, contentEncoding, contentMediaType, multipleOf } = schema
  const unit = isText(schema['x-unit']) ? schema['x-unit'] : undefined
  const said = [
    range(schema.minimum, schema.maximum, (value) => `${value}`),
    isNumber(schema.exclusiveMinimum) ? `More than ${schema.exclusiveMinimum}.` : '',
    isNumber(schema.exclusiveMaximum) ? `Less than ${schema.exclusiveMaximum}.` : '',
    isNumber(multipleOf) ? `A multiple of ${multipleOf}.` : '',
    schema.type === 'integer' && !isNumber(multipleOf) ? 'A whole number.' : '',
    unit === undefined ? '' : `In ${unit}.`,
    range(schema.minLength, schema.maxLength, (value) => count(value, 'character')),
    isText(pattern) ? `Matches ${code(pattern)}.` : '',
    isText(format) ? `Format: ${code(format)}.` : '',
    isText(contentEncoding) ? `Encoding: ${code(contentEncoding)}.` : '',
    isText(contentMediaType) ? `Holds ${code(contentMediaType)}.` : '',
    range(schema.minItems, schema.maxItems, (value) => count(value, 'item')),
    uniqueItems === true ? 'No item twice.' : '',
    range(schema.minProperties, schema.maxProperties, (value) => count(value, 'member')),
  ]
  return said.filter((one) => one !== '')
}

const range = (least: unknown, most: unknown, shown: (value: number) => string): string => {
  if (isNumber(least) && isNumber(most)) {
    return least === most ? `Exactly ${shown(least)}.` : `From ${least} to ${shown(most)}.`
  }
  if (isNumber(least)) return `At least ${shown(least)}.`
  return isNumber(most) ? `At most ${shown(most)}.` : ''
}

const needs = ({ dependentRequired }: JsonSchema, name: string): string[] => {
  const others =
    isObject(dependentRequired) && Object.hasOwn(dependentRequired, name) ? dependentRequired[name] : []
  return Array.isArray(others) && others.length > 0
    ? [`Needs ${others.map((other) => code(String(other))).join(' and ')} too.`]
    : []
}

const isText = (value: unknown): value is string => typeof value === 'string' && value !== ''
const isNumber = (value: unknown): value is number => typeof value === 'number'
