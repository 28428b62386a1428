import type { RequestListener } from 'node:http'
import { finished } from 'node:stream'
import { contract, routesOf } from '@narrowapi/contract'
import express, { type Express, type RequestHandler } from 'express'
import type { Deps } from '../deps.ts'
import { mountDocs } from '../edge/docs.ts'
import { createExecute } from '../edge/execute.ts'
import { ApiError } from '../errors.ts'
import { countWhenEnded } from './ended.ts'
import { mountEndpoints } from './endpoints.ts'
import { setHead } from './head.ts'
import { notFound, problem } from './problem.ts'
import { parseQuery } from './query.ts'
import { limitUnknown } from './steps/rate-limit.ts'
import { begin, checkFraming } from './steps/request-id.ts'

/** The whole HTTP surface, once the address is known: calls first, because theirs is the path that must be fast. */
export const createListener = (deps: Deps): RequestListener => {
  const execute = createExecute(deps)
  const app = createApp(deps)
  return (req, res) => {
    // A server that stops takes no call: what says so is the first step of everything else.
    if (deps.isStopping() || !execute(req, res)) app(req, res)
  }
}

/** Everything but calls. */
export const createApp = (deps: Deps): Express => {
  const app = express()
  app.disable('x-powered-by')
  app.disable('etag')
  app.enable('case sensitive routing')
  app.enable('strict routing')
  app.set('query parser', parseQuery)
  app.use((req, res, next) => {
    countWhenEnded(deps, req, res)
    setHead(res, begin(deps, req, res))
    checkFraming(req)
    next()
  })
  app.use(refuseWhileStopping(deps))
  app.use(referenceNames)
  mountEndpoints(app, deps)
  app.use(unknownRoute(deps, mountDocs(app, { publicUrl: deps.publicUrl() })))
  app.use(problem(deps))
  return app
}

/**
 * No new work once a stop was announced, and the connection is not kept for more. Whether the server lives and
 * whether it is ready can still be asked. The body is read first: a close with bytes unread would take the answer
 * from the caller.
 */
const refuseWhileStopping =
  (deps: Deps): RequestHandler =>
  (req, res, next) => {
    if (!deps.isStopping()) return next()
    res.shouldKeepAlive = false
    if (probes.has(req.path)) return next()
    const refusal = new ApiError('unavailable', 'The server is stopping; try again', {
      retry_after_seconds: 1,
    })
    finished(req.resume(), () => next(refusal))
  }

const probes: ReadonlySet<string> = new Set([contract.health.live.path, contract.health.ready.path])

/** Names the references use for what has another path here. The answer names the canonical path. */
const aliases: readonly [alias: string, path: string][] = [['/api/v1/credentials', '/api/v1/secrets']]

/** Clients that were built on a base of `/v1` reach the same routes; a few nouns have a second name. */
const referenceNames: RequestHandler = (req, res, next) => {
  if (req.url.startsWith('/v1/')) req.url = `/api${req.url}`
  for (const [alias, path] of aliases) {
    if (req.path !== alias && !req.path.startsWith(`${alias}/`)) continue
    req.url = path + req.url.slice(alias.length)
    res.setHeader('Link', `<${req.path}>; rel="canonical"`)
  }
  next()
}

const patterns = routesOf(contract).map(({ route }) => ({
  method: route.method,
  pattern: new RegExp(`^${route.path.replaceAll(/:[a-z_]+/g, '[^/]+')}$`),
}))

/**
 * What no route took: a path that exists with other methods is 405 and names them; OPTIONS only asks that. No route,
 * so nobody was asked for a credential: it is counted like those who have none.
 */
const unknownRoute =
  (deps: Deps, documents: readonly string[]): RequestHandler =>
  async (req, res) => {
    await limitUnknown(deps, req, res)
    const known: string[] = patterns
      .filter(({ pattern }) => pattern.test(req.path))
      .map(({ method }) => method)
    if (documents.includes(req.path)) known.push('GET')
    if (known.length === 0) throw notFound()
    const allowed = [...new Set([...known, ...(known.includes('GET') ? ['HEAD'] : []), 'OPTIONS'])]
      .sort()
      .join(', ')
    res.setHeader('Allow', allowed)
    if (req.method !== 'OPTIONS') throw new ApiError('method_not_allowed', `This path takes ${allowed}`)
    res.status(204).end()
  }
