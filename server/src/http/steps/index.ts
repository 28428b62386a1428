import type { RouteMeta } from '@narrowapi/contract'
import type { Request, RequestHandler, Response } from 'express'
import type { Deps } from '../../deps.ts'
import { identify } from './authenticate.ts'
import { parseBody } from './parse-body.ts'
import { limitHolder } from './rate-limit.ts'
import { checkScope } from './scope.ts'

/**
 * Everything before validation, in this order: who asks, how often, may they, and only then what they say, so
 * that strangers cost no body. ts-rest puts the matched route on the request.
 */
export const steps = (deps: Deps): RequestHandler[] => [
  (req, res, next) => {
    run(deps, req, res, metadataOf(req)).then(() => next(), next)
  },
]

const run = async (deps: Deps, req: Request, res: Response, meta: RouteMeta): Promise<void> => {
  await identify(deps, req, res, meta.auth ?? 'key')
  await limitHolder(deps, req, res)
  checkScope(deps, req, meta.scope)
  await parseBody(req)
}

const metadataOf = (req: Request): RouteMeta => {
  const route: unknown = Reflect.get(req, 'tsRestRoute')
  if (typeof route === 'object' && route !== null && 'metadata' in route) {
    // Every route of the contract is made by `group`, which requires RouteMeta.
    return route.metadata as RouteMeta
  }
  throw new Error('The steps ran outside a contract route')
}
