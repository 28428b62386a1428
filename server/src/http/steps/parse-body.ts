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
  req.body = parseJson(body)
}
