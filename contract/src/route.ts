import { type AppRoute, type AppRouter, initContract, isAppRoute } from '@ts-rest/core'
import { z } from 'zod'
import type { AuditAction } from './audit.ts'
import { type ErrorCode, errorResponses } from './errors.ts'
import type { Scope } from './scopes.ts'

export const c = initContract()

/** What is true of a route beside its shapes. `scope` and `audit` have no default: each route decides. */
export type RouteMeta = {
  /** The scope a key needs; null for routes that need none. */
  scope: Scope | null
  /** The audit event a success leaves; null for reads and for calls that change nothing. */
  audit: AuditAction | null
  /** Which credential opens it: an API key (`sk_`), an execution token (`sxt_`) or none. */
  auth?: 'key' | 'token' | 'none'
  /** Error codes this route adds to those every route of its kind has. */
  raises?: readonly ErrorCode[]
  /** The object has a `version`: answers carry an ETag, changes honour If-Match. */
  versioned?: true
  /** Served by a file of its own in front of the router, because the handler writes the answer itself. */
  edge?: true
}

type Route = AppRoute & { metadata: RouteMeta }

/** Routes under one prefix, with the errors that every route of their kind can answer added to each. */
export const group = <const P extends string, const R extends Record<string, Route>>(
  prefix: P,
  routes: R,
) => {
  const complete = Object.fromEntries(
    Object.entries(routes).map(([name, route]) => [name, withErrors(route)]),
  )
  // `withErrors` only adds error responses, which handlers throw and never return, so R still describes them.
  return c.router(
    complete as unknown as Parameters<typeof c.router<R, P, { pathPrefix: P; strictStatusCodes: true }>>[0],
    {
      pathPrefix: prefix,
      strictStatusCodes: true,
    },
  )
}

/** Also closes the query of routes that take none: an unknown parameter is refused everywhere. */
const withErrors = (route: Route): AppRoute => ({
  ...route,
  query: route.query ?? z.strictObject({}),
  responses: { ...route.responses, ...errorResponses(raisedBy(route)) },
})

/** Every code a route may answer. */
export const raisedBy = (route: Pick<Route, 'method' | 'path' | 'metadata'>): ErrorCode[] => {
  const { auth = 'key', raises = [], versioned, edge } = route.metadata
  const isChange = route.method !== 'GET'
  const codes: ErrorCode[] = [
    'invalid_request',
    'validation_failed',
    'internal_error',
    'unavailable',
    ...raises,
  ]
  if (auth !== 'none') codes.push('unauthorized', 'rate_limited')
  if (auth === 'key') codes.push('forbidden')
  if (isChange) codes.push('payload_too_large', 'unsupported_media_type')
  if (honoursIdempotencyKey(route)) codes.push('idempotency_in_progress', 'idempotency_key_reused')
  // What is created has no version that anyone could have read.
  if (versioned && isChange && route.path.includes(':')) codes.push('version_conflict')
  if (edge) codes.push('not_found')
  return [...new Set(codes)]
}

/** Whether a repeated key gets the first answer. A dry run changes nothing, so for it a key means nothing. */
export const honoursIdempotencyKey = ({ method, metadata }: Pick<Route, 'method' | 'metadata'>): boolean =>
  method !== 'GET' && ((metadata.auth ?? 'key') === 'key' || metadata.edge === true)

export type ContractRoute = Route
export type NamedRoute = { noun: string; name: string; route: ContractRoute }

/** Every route of a contract with its noun and name, in the order they are declared. */
export const routesOf = (contract: AppRouter): NamedRoute[] =>
  Object.entries(contract).flatMap(([noun, routes]) =>
    // A contract is nouns of routes; `group` is the only maker of both and requires the metadata.
    Object.entries(routes as AppRouter).flatMap(([name, route]) =>
      isAppRoute(route) ? [{ noun, name, route: route as ContractRoute }] : [],
    ),
  )

export type Schema = z.ZodType
