import type { ContractRoute } from '@narrowapi/contract'
import type { Request, Response } from 'express'
import { z } from 'zod'
import type { Deps } from '../deps.ts'
import { locationOf } from './location.ts'

export type AnyReply = { status: number; body: unknown }
export type AnyInput = { params: unknown; query: unknown; body: unknown; req: Request; res: Response }

/** Holds a handler's reply to the contract, and sets the headers that follow from it. */
export const finish = (
  deps: Deps,
  route: ContractRoute,
  { req, res, query }: AnyInput,
  reply: AnyReply,
): AnyReply => {
  const { status } = reply
  if (reply.body === undefined) return reply
  const schema = replySchema(route, status)
  const body = deps.config.checkReplies
    ? checked(route, schema, reply.body)
    : declaredOnly(schema, reply.body)
  const version = memberOf(body, 'version')
  if (route.metadata.versioned && typeof version === 'number') res.setHeader('ETag', `"${version}"`)
  const location = status === 201 ? locationOf(body) : null
  if (location) res.setHeader('Location', location)
  const next = memberOf(body, 'next_cursor')
  if (typeof next === 'string') res.appendHeader('Link', `<${nextPage(req, next)}>; rel="next"`)
  return { status, body: project(body, fieldsOf(query)) }
}

const replySchema = (route: ContractRoute, status: number): z.ZodType => {
  // Success responses of the contract are Zod schemas; `c.noBody()` never comes here.
  const schema = route.responses[status] as z.ZodType | undefined
  if (!schema) throw new Error(`The contract has no reply ${status} for ${route.method} ${route.path}`)
  return schema
}

/** A reply that breaks the contract is our fault, and never leaves: it might show what nobody may see. */
const checked = (route: ContractRoute, schema: z.ZodType, body: unknown): unknown => {
  const result = schema.safeParse(body)
  if (result.success) return result.data
  throw new Error(`The reply of ${route.method} ${route.path} does not fit the contract`, {
    cause: result.error,
  })
}

/**
 * In production the whole check would cost as much as the rest of a list, and every test has made it. What
 * the schema does not name still never leaves: members of the object, or of each object of a page.
 */
const declaredOnly = (schema: z.ZodType, body: unknown): unknown => cutFor(schema)(body)

type Cut = (body: unknown) => unknown

const cuts = new WeakMap<z.ZodType, Cut>()

/** Made once for each schema. */
const cutFor = (schema: z.ZodType): Cut => {
  const known = cuts.get(schema)
  if (known) return known
  const cut = toCut(schema)
  cuts.set(schema, cut)
  return cut
}

const toCut = (schema: z.ZodType): Cut => {
  if (schema instanceof z.ZodArray) {
    // Zod's own type of an element is its core; every schema of the contract is a full one.
    const cut = cutFor(schema.element as z.ZodType)
    return (body) => (Array.isArray(body) ? body.map(cut) : body)
  }
  if (!(schema instanceof z.ZodObject)) return (body) => body
  const members = Object.entries<z.ZodType>(schema.shape).map(([name, member]) => ({
    name,
    cut: cutFor(member),
  }))
  return (body) => {
    if (typeof body !== 'object' || body === null) return body
    const kept: Record<string, unknown> = {}
    for (const { name, cut } of members)
      if (Object.hasOwn(body, name)) kept[name] = cut(Reflect.get(body, name))
    return kept
  }
}

const nextPage = (req: Request, cursor: string): string => {
  const parameters = new URLSearchParams(req.originalUrl.split('?', 2)[1] ?? '')
  parameters.set('cursor', cursor)
  return `${req.path}?${parameters}`
}

const fieldsOf = (query: unknown): ReadonlySet<string> | null => {
  const fields = memberOf(query, 'fields')
  return typeof fields === 'string' ? new Set(['id', 'object', ...fields.split(',')]) : null
}

const project = (body: unknown, fields: ReadonlySet<string> | null): unknown => {
  if (!fields || typeof body !== 'object' || body === null) return body
  const data = memberOf(body, 'data')
  if (Array.isArray(data)) return { ...body, data: data.map((item) => project(item, fields)) }
  return Object.fromEntries(Object.entries(body).filter(([name]) => fields.has(name)))
}

export const memberOf = (value: unknown, name: string): unknown =>
  typeof value === 'object' && value !== null && Object.hasOwn(value, name)
    ? Reflect.get(value, name)
    : undefined
