import { createHash } from 'node:crypto'
import { limits } from '@narrowapi/contract'
import type { Express, NextFunction, Request, Response } from 'express'
import { readIdempotencyKey, type StoredReply } from '../db/idempotency.ts'
import type { Deps } from '../deps.ts'
import { ApiError } from '../errors.ts'
import { checkMediaType, readBody } from '../http/body.ts'
import { contextOf, headerValues } from '../http/context.ts'
import { parseJson } from '../http/json.ts'
import { authenticate } from '../http/steps/authenticate.ts'
import { limitUnknown } from '../http/steps/rate-limit.ts'
import { execute } from '../proxy/execute.ts'
import { limitHeaders } from '../rate-headers.ts'

/**
 * `POST /x/{action_id}`, in front of the router: the answer is the upstream's own bytes and status, which no
 * handler of the contract could return, and nothing but this work is on its path.
 */
export const mountExecute = (app: Express, deps: Deps): void => {
  app.post('/x/:action_id', (req, res, next) => {
    run(deps, req, res).catch((thrown: unknown) => fail(deps, req, thrown, next))
  })
}

const run = async (deps: Deps, req: Request, res: Response): Promise<void> => {
  await identify(deps, req, res)
  const context = contextOf(req)
  const { token } = context
  if (!token) throw new Error('A call ran without a token')
  const idempotencyKey = readIdempotencyKey(headerValues(req, 'idempotency-key'))
  // Read whole before anything is decided: an answer sent in the middle of a body spoils the connection.
  const body = await readBody(req, limits.executeBodyBytes)
  const reply = await execute(deps, {
    holder: token,
    name: String(req.params.action_id),
    idempotencyKey,
    fingerprint: () => createHash('sha256').update(body).digest('hex'),
    parseInput: () => parseInput(req, body),
    tellLimits: (state) => {
      for (const [name, value] of limitHeaders(state, deps.clock.now().getTime())) res.setHeader(name, value)
    },
    tellExecution: (id) => res.setHeader('X-Execution-ID', id),
  })
  answer(res, reply)
}

const identify = async (deps: Deps, req: Request, res: Response): Promise<void> => {
  try {
    await authenticate(deps, req, 'token')
  } catch (refusal) {
    limitUnknown(deps, req, res)
    throw refusal
  }
}

/** An absent body is an empty input. */
const parseInput = (req: Request, body: Buffer): unknown => {
  if (body.length === 0) return {}
  checkMediaType(req.headers)
  return parseJson(body)
}

/** Head and body leave in one write. Nothing an upstream sends may act on our origin as a page. */
const answer = (res: Response, { status, headers, body, isBinary }: StoredReply): void => {
  for (const [name, value] of headers) res.appendHeader(name, value)
  res.setHeader('Content-Security-Policy', "sandbox; default-src 'none'")
  const hasBody = status !== 204 && status !== 304 && body !== null
  const bytes = hasBody ? Buffer.from(body, isBinary ? 'latin1' : 'utf8') : null
  if (bytes) res.setHeader('Content-Length', bytes.length)
  res.writeHead(status)
  res.end(bytes)
}

const fail = (deps: Deps, req: Request, thrown: unknown, next: NextFunction): void => {
  if (thrown instanceof ApiError && thrown.code === 'not_found') {
    const context = contextOf(req)
    if (context.token) deps.refusals.note(context.token, 'action not granted', context)
  }
  next(thrown)
}
