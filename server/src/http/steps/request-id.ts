import { plainAddress } from '../../addresses.ts'
import type { Deps } from '../../deps.ts'
import { ApiError } from '../../errors.ts'
import { logAccess } from '../access-log.ts'
import { type Request, type Response, setContext } from '../context.ts'

/**
 * The first step of every request: names it, and lists the headers that every answer has. The caller's own
 * X-Request-ID is kept when it is a plain short text, so that their logs and ours can be joined.
 */
export const begin = (deps: Deps, req: Request, res: Response): string[] => {
  const given = req.headers['x-request-id']
  const requestId =
    typeof given === 'string' && /^[A-Za-z0-9_-]{1,64}$/.test(given) ? given : deps.ids.next('req')
  const head = ['X-Request-ID', requestId, 'Cache-Control', 'no-store', 'X-Content-Type-Options', 'nosniff']
  setContext(req, {
    requestId,
    ip: plainAddress(req.socket.remoteAddress),
    userAgent: req.headers['user-agent']?.slice(0, 300) ?? null,
    startedAt: deps.clock.monotonic(),
    key: null,
    token: null,
    trace: null,
    rawBody: noBytes,
    head,
  })
  logAccess(deps, req, res)
  return head
}

/** Refuses what could be read in two ways, before anything else is read of the request. */
export const checkFraming = (req: Request): void => {
  // Node would refuse this too (RFC 9112, section 3.2), but without the body that every error has.
  if (req.headers.host === undefined && req.httpVersion !== '1.0')
    throw new ApiError('invalid_request', 'The header host is required')
  const twice = repeated(req.rawHeaders)
  if (twice !== undefined) throw new ApiError('invalid_request', `The header ${twice} must be sent once`)
}

const noBytes = Buffer.alloc(0)

/**
 * Headers that change what a request means when they stand twice; Node lets some of them through. They differ in
 * length, so a name of another length is passed over without being looked at.
 */
const onlyOnce = new Map(
  ['host', 'if-match', 'content-type', 'authorization', 'content-length'].map((name) => [name.length, name]),
)

const repeated = (rawHeaders: readonly string[]): string | undefined => {
  let seen = 0
  for (let at = 0; at < rawHeaders.length; at += 2) {
    const written = rawHeaders[at] ?? ''
    const name = onlyOnce.get(written.length)
    if (name === undefined || (written !== name && written.toLowerCase() !== name)) continue
    const bit = 1 << name.length
    if ((seen & bit) !== 0) return name
    seen |= bit
  }
  return undefined
}
