import { z } from 'zod'
import { ApiError, type ErrorDetail } from '../errors.ts'

type Issue = z.core.$ZodIssue

/** Words for what Zod finds, where a schema has none of its own. */
z.config({
  customError: (issue) => {
    if (issue.input === undefined && (issue.code === 'invalid_type' || issue.code === 'invalid_union'))
      return 'is required'
    switch (issue.code) {
      case 'invalid_type':
        return `must be ${article(issue.expected)}`
      case 'too_small':
        return tooSmall(issue.origin, Number(issue.minimum))
      case 'too_big':
        return tooBig(issue.origin, Number(issue.maximum))
      case 'invalid_value':
        return issue.values.length === 1 ? `must be ${JSON.stringify(issue.values[0])}` : oneOf(issue.values)
      case 'invalid_union':
        return Array.isArray(issue.options) ? oneOf(issue.options) : undefined
      case 'invalid_format':
        return formats[issue.format] ?? 'is not of the right form'
      case 'not_multiple_of':
        return `must be a multiple of ${issue.divisor}`
      default:
        return undefined
    }
  },
})

const oneOf = (values: readonly unknown[]): string => `must be one of ${values.map(String).join(', ')}`

const formats: Record<string, string> = {
  datetime: 'must be an RFC 3339 date and time such as 2027-01-01T00:00:00.000Z',
  url: 'must be a URL',
  ipv4: 'must be an IP address or a CIDR range',
  ipv6: 'must be an IP address or a CIDR range',
  cidrv4: 'must be an IP address or a CIDR range',
  cidrv6: 'must be an IP address or a CIDR range',
}

const article = (type: string): string =>
  ({ int: 'an integer', array: 'a list', object: 'an object', record: 'an object', null: 'null' })[type] ??
  `a ${type}`

const tooSmall = (origin: string, minimum: number): string =>
  origin === 'string'
    ? `must have at least ${minimum} characters`
    : origin === 'array'
      ? `must have at least ${minimum} entries`
      : `must be at least ${minimum}`

const tooBig = (origin: string, maximum: number): string =>
  origin === 'string'
    ? `must have at most ${maximum} characters`
    : origin === 'array'
      ? `must have at most ${maximum} entries`
      : `must be at most ${maximum}`

/** At most this many problems are listed; a body may have thousands. */
const maxDetails = 50

export const detailsOf = (issues: readonly unknown[]): ErrorDetail[] =>
  // ts-rest hands on the issues of the schema that refused, and every schema of the contract is Zod.
  (issues as Issue[]).flatMap((issue) => flatten(issue, [])).slice(0, maxDetails)

const flatten = (issue: Issue, prefix: readonly PropertyKey[]): ErrorDetail[] => {
  const path = [...prefix, ...issue.path]
  if (issue.code === 'unrecognized_keys') {
    return issue.keys.map((key) => ({ field: nameOf([...path, key]), message: 'is not a known field' }))
  }
  if (issue.code === 'invalid_union' && issue.errors.length > 0) {
    // The alternative that came furthest says most: a discriminated union has one, others may be many.
    const closest = [...issue.errors].sort(
      (left, right) => depth(right) - depth(left) || left.length - right.length,
    )[0]
    if (closest && depth(closest) > 0) return closest.flatMap((inner) => flatten(inner, path))
    const said = issue.errors[0]?.[0]?.message
    return [{ field: nameOf(path), message: said ?? issue.message }]
  }
  if (issue.code === 'invalid_key' || issue.code === 'invalid_element') {
    return [{ field: nameOf(path), message: issue.issues[0]?.message ?? issue.message }]
  }
  return [{ field: nameOf(path), message: issue.message }]
}

const depth = (issues: readonly Issue[]): number => Math.max(0, ...issues.map((issue) => issue.path.length))

/** A hostile name would make a hostile answer: only its beginning is repeated. */
const nameOf = (path: readonly PropertyKey[]): string =>
  path
    .map((part) => String(part).slice(0, 100))
    .join('.')
    .slice(0, 500)

export const refuseBody = (issues: readonly unknown[]): ApiError =>
  new ApiError('validation_failed', 'request body is invalid', { details: detailsOf(issues) })

export const refuseQuery = (issues: readonly unknown[]): ApiError =>
  new ApiError('validation_failed', 'query parameters are invalid', { details: detailsOf(issues) })
