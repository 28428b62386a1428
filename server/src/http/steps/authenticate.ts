import type { RouteMeta } from '@narrowapi/contract'
import type { Deps } from '../../deps.ts'
import { ApiError } from '../../errors.ts'
import { type Holder, type KeyHolder, refusalOf } from '../../proxy/authority.ts'
import { contextOf, type Request, type Response } from '../context.ts'
import { limitUnknown } from './rate-limit.ts'

/**
 * Finds out who asks. Those who cannot say are counted by their address. Every refusal has one code and one text,
 * so that nothing can be learned by trying; the reason goes to the audit of the credential's workspace. Who is
 * remembered is known at once; only others are worth a promise.
 */
export const identify = (
  deps: Deps,
  req: Request,
  res: Response,
  auth: NonNullable<RouteMeta['auth']>,
): void | Promise<void> => {
  if (auth === 'none') return
  const text = bearer(req.headers.authorization)
  const found = text === null ? null : findHolder(deps, text, auth)
  // While the database is away nobody is known, and nobody is to blame for it.
  return found instanceof Promise
    ? found.then((holder) => admit(deps, req, res, auth, holder))
    : admit(deps, req, res, auth, found)
}

const admit = (
  deps: Deps,
  req: Request,
  res: Response,
  auth: 'key' | 'token',
  holder: KeyHolder | Holder | null,
): void | Promise<void> => {
  const context = contextOf(req)
  const refusal = holder && refusalOf(holder, deps.clock.now(), context.ip)
  if (holder === null || refusal !== null) {
    if (holder !== null && refusal !== null) deps.refusals.note(holder, refusal, context)
    return turnAway(deps, req, res, auth)
  }
  if (holder.kind === 'key') context.key = holder
  else context.token = holder
  deps.usage.touch(holder)
}

const turnAway = async (deps: Deps, req: Request, res: Response, auth: 'key' | 'token'): Promise<never> => {
  await limitUnknown(deps, req, res)
  throw unauthorized(auth)
}

const findHolder = (deps: Deps, text: string, auth: 'key' | 'token') =>
  auth === 'key' ? deps.authority.key(text) : deps.authority.token(text)

/** The scheme is compared without case (RFC 9110, section 11.1). A text with a space in it is no credential. */
const bearer = (header = ''): string | null => {
  if (header.startsWith('Bearer ') && header.charCodeAt(7) !== space) return header.slice(7)
  return /^bearer +(\S+)$/i.exec(header)?.[1] ?? null
}

const space = 0x20

const unauthorized = (auth: 'key' | 'token'): ApiError =>
  new ApiError(
    'unauthorized',
    auth === 'key'
      ? 'Send a valid API key: Authorization: Bearer sk_…'
      : 'Send a valid execution token: Authorization: Bearer sxt_…',
  )
