import { plainAddress } from '../../addresses.ts'
import type { Deps } from '../../deps.ts'
import { ApiError } from '../../errors.ts'
import { logAccess } from '../access-log.ts'
import { type Request, type Response, setContext } from '../context.ts'

/** Headers that change what a request means when they stand twice; Node lets some of them through. */
const onlyOnce = new Set(['host', 'authorization', 'content-type', 'content-length', 'if-match'])

/**
 * The first step of every request: names it, and sets the headers that every answer has. The caller's own
 * X-Request-ID is kept when it is a plain short text, so that their logs and ours can be joined.
 */
export const begin = (deps: Deps, req: Request, res: Response): void => {
  const given = req.headers['x-request-id']
  const requestId =
    typeof given === 'string' && /^[A-Za-z0-9_-]{1,64}$/.test(given) ? given : deps.ids.next('req')
  setContext(req, {
    requestId,
    ip: plainAddress(req.socket.remoteAddress),
    userAgent: req.headers['user-agent']?.slice(0, 300) ?? null,
    startedAt: deps.clock.monotonic(),
    key: null,
    token: null,
    trace: null,
    rawBody: noBytes,
  })
  res.setHeader('X-Request-ID', requestId)
  res.setHeader('Cache-Control', 'no-store')
  res.setHeader('X-Content-Type-Options', 'nosniff')
  logAccess(deps, req, res)
  // Node would refuse this too (RFC 9112, section 3.2), but without the body that every error has.
  if (req.headers.host === undefined && req.httpVersion !== '1.0')
    throw new ApiError('invalid_request', 'The header host is required')
  const twice = repeated(req.rawHeaders)
  if (twice !== undefined) throw new ApiError('invalid_request', `The header ${twice} must be sent once`)
}

const noBytes = Buffer.alloc(0)

const repeated = (rawHeaders: readonly string[]): string | undefined => {
  const seen = new Set<string>()
  for (let at = 0; at < rawHeaders.length; at += 2) {
    const name = rawHeaders[at]?.toLowerCase() ?? ''
    if (seen.has(name)) return name
    if (onlyOnce.has(name)) seen.add(name)
  }
  return undefined
}
