/**
 * Dates and times as RFC 3339 writes them, read strictly: `2026-02-30`, a missing offset and a leap second are
 * refused, because an upstream and we might disagree on what they mean.
 */
export type InstantKind = 'date' | 'date-time'

const date = /^(\d{4})-(\d{2})-(\d{2})$/
const dateTime =
  /^(\d{4}-\d{2}-\d{2})[Tt]([01]\d|2[0-3]):[0-5]\d:[0-5]\d(?:\.\d{1,9})?(?:[Zz]|[+-](?:[01]\d|2[0-3]):[0-5]\d)$/

export const instantKind = (text: string): InstantKind | null => {
  if (isDate(text)) return 'date'
  return isDateTime(text) ? 'date-time' : null
}

export const isDate = (text: string): boolean => {
  const [, year, month, day] = date.exec(text) ?? []
  if (year === undefined) return false
  const millis = Date.parse(`${text}T00:00:00Z`)
  return !Number.isNaN(millis) && new Date(millis).getUTCMonth() + 1 === Number(month) && day !== '00'
}

export const isDateTime = (text: string): boolean => {
  const [, day] = dateTime.exec(text) ?? []
  return day !== undefined && isDate(day)
}

/** Milliseconds since 1970 in UTC, with whatever is finer than a millisecond as the fraction. */
export const instantOf = (text: string): number | null => {
  const kind = instantKind(text)
  if (kind === null) return null
  if (kind === 'date') return Date.parse(`${text}T00:00:00Z`)
  const fraction = /\.(\d+)/.exec(text)?.[1] ?? ''
  const whole = Date.parse(text.replace(/\.\d+/, '').toUpperCase())
  return whole + Number(fraction.padEnd(9, '0')) / 1_000_000
}
