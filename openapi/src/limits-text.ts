import type { Schema } from './openapi.ts'
import type { Io } from './schemas.ts'

/** What a schema asks beyond its type, in words for whoever reads a comment instead of the schema; else nothing. */
export const limitsOf = (schema: Schema, io: Io, field: string): string => {
  const { format, minimum, maximum, minItems, maxItems, minLength, maxLength } = schema
  const types = [schema.type].flat()
  if (format === 'date-time') return `RFC 3339${io === 'input' ? ' with an offset' : ', UTC'}`
  const unit = unitOf(field)
  if (types.includes('integer') || types.includes('number')) {
    const range = io === 'input' && rangeOf(minimum, maximum, unit)
    return range || (unit && `In ${unit}`)
  }
  if (io === 'output') return ''
  if (types.includes('array')) {
    return [rangeOf(minItems, maxItems, 'items'), schema.uniqueItems && 'each at most once']
      .filter(Boolean)
      .join(', ')
  }
  return types.includes('string') ? rangeOf(minLength, maxLength, 'characters') : ''
}

/** Nothing for a least of one alone, which goes without saying. */
const rangeOf = (least: number | undefined, most: number | undefined, unit: string): string => {
  const ofUnit = unit && ` ${unit}`
  // Zod writes the bounds of what a number can hold exactly, which say nothing.
  const low = least === Number.MIN_SAFE_INTEGER ? undefined : least
  const high = most === Number.MAX_SAFE_INTEGER ? undefined : most
  if (high === undefined) return low !== undefined && low > 1 ? `at least ${low}${ofUnit}` : ''
  return low === undefined ? `at most ${high}${ofUnit}` : `${low} to ${high}${ofUnit}`
}

const units: readonly (readonly [ending: RegExp, unit: string])[] = [
  [/(^|_)ms$/, 'milliseconds'],
  [/(^|_)seconds$/, 'seconds'],
  [/(^|_)hours$/, 'hours'],
  [/(^|_)days$/, 'days'],
  [/(^|_)bytes$/, 'bytes'],
]

const unitOf = (field: string): string => units.find(([ending]) => ending.test(field))?.[1] ?? ''
