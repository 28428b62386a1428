import { contract, routesOf } from '@narrowapi/contract'
import type { AppRouter } from '@ts-rest/core'
import { createExpressEndpoints } from '@ts-rest/express'
import type { Express } from 'express'
import { handlers } from '../api/index.ts'
import type { Deps } from '../deps.ts'
import { around } from './around.ts'
import { problem } from './problem.ts'
import { steps } from './steps/index.ts'

/**
 * Puts every route of the contract on the app. The contract is walked, not the handlers, so that a route
 * without a handler fails at start. The router's types end here: `Handlers<Contract>` has checked each pair.
 */
export const mountEndpoints = (app: Express, deps: Deps): void => {
  const routes: Record<string, Record<string, unknown>> = {}
  const implementations: Record<string, Record<string, unknown>> = {}
  for (const { noun, name, route } of routesOf(contract)) {
    if (route.metadata.edge) continue
    const handler: unknown = Reflect.get(Reflect.get(handlers, noun) ?? {}, name)
    if (typeof handler !== 'function') throw new Error(`${noun}.${name} has no handler`)
    routes[noun] = { ...routes[noun], [name]: route }
    // Handlers<Contract> says that this function takes this route's input.
    const typed = handler as Parameters<typeof around>[4]
    implementations[noun] = { ...implementations[noun], [name]: around(deps, noun, name, route, typed) }
  }
  // The two records have the same keys, a route beside its handler; the middleware is plain Express.
  createExpressEndpoints(routes as AppRouter, implementations as never, app, {
    globalMiddleware: steps(deps) as never,
    requestValidationErrorHandler: problem(deps) as never,
  })
}
