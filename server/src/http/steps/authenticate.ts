import type { RouteMeta } from '@narrowapi/contract'
import type { Deps } from '../../deps.ts'
import { ApiError } from '../../errors.ts'
import { refusalOf } from '../../proxy/authority.ts'
import { contextOf, type Request, type Response } from '../context.ts'
import { limitUnknown } from './rate-limit.ts'

/** Finds out who asks. Those who cannot say are counted by their address. */
export const identify = async (
  deps: Deps,
  req: Request,
  res: Response,
  auth: NonNullable<RouteMeta['auth']>,
): Promise<void> => {
  try {
    await authenticate(deps, req, auth)
  } catch (refusal) {
    // While the database is away nobody is known, and nobody is to blame for it.
    if (refusal instanceof ApiError) limitUnknown(deps, req, res)
    throw refusal
  }
}

/**
 * Who asks. Every refusal has one code and one text, so that nothing can be learned by trying; the reason goes
 * to the audit of the credential's workspace.
 */
const authenticate = async (
  deps: Deps,
  req: Request,
  auth: NonNullable<RouteMeta['auth']>,
): Promise<void> => {
  if (auth === 'none') return
  const context = contextOf(req)
  const text = bearer(req.headers.authorization)
  const holder = text === null ? null : await findHolder(deps, text, auth)
  if (holder === null) throw unauthorized(auth)
  const refusal = refusalOf(holder, deps.clock.now().toISOString(), context.ip)
  if (refusal !== null) {
    deps.refusals.note(holder, refusal, context)
    throw unauthorized(auth)
  }
  if (holder.kind === 'key') context.key = holder
  else context.token = holder
  deps.usage.touch(holder)
}

const findHolder = (deps: Deps, text: string, auth: 'key' | 'token') =>
  auth === 'key' ? deps.authority.key(text) : deps.authority.token(text)

/** The scheme is compared without case (RFC 9110, section 11.1). */
const bearer = (header: string | undefined): string | null =>
  /^bearer +(\S+)$/i.exec(header ?? '')?.[1] ?? null

const unauthorized = (auth: 'key' | 'token'): ApiError =>
  new ApiError(
    'unauthorized',
    auth === 'key'
      ? 'Send a valid API key: Authorization: Bearer sk_…'
      : 'Send a valid execution token: Authorization: Bearer sxt_…',
  )
