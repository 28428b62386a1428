import { limits } from '@narrowapi/contract'
import type { Request } from 'express'
import { ApiError } from '../../errors.ts'
import { checkMediaType, readBody } from '../body.ts'
import { contextOf } from '../context.ts'
import { parseJson } from '../json.ts'

/**
 * Reads and parses the body of a change, after the caller is known. An absent body counts as `{}`, so that what
 * is missing is told field by field. The parsed value keeps the raw bytes beside it for the fingerprint.
 */
export const parseBody = async (req: Request): Promise<void> => {
  if (req.method === 'GET' || req.method === 'HEAD') return
  const body = await readBody(req, limits.bodyBytes)
  contextOf(req).rawBody = body
  if (body.length === 0) {
    req.body = {}
    return
  }
  if (req.method === 'DELETE') throw new ApiError('invalid_request', 'DELETE takes no body')
  checkMediaType(req.headers)
  const value = parseJson(body)
  refuseUncountable(value, [])
  req.body = value
}

/**
 * Zod compares the `length` of whatever stands where a text or a list should, and JavaScript throws for objects whose
 * `toString` is no function. No noun has a member of that name, so nothing useful is lost.
 */
const refuseUncountable = (value: unknown, path: readonly string[]): void => {
  if (typeof value !== 'object' || value === null) return
  for (const [name, member] of Object.entries(value)) {
    const place = [...path, name]
    if (name === 'length' && !isComparable(member)) {
      const field = place.join('.')
      throw new ApiError('validation_failed', 'request body is invalid', {
        details: [{ field, message: 'must not be an object with a member toString or valueOf' }],
      })
    }
    refuseUncountable(member, place)
  }
}

const isComparable = (value: unknown): boolean => {
  try {
    Number(value)
    return true
  } catch {
    return false
  }
}
