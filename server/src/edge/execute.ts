import { createHash } from 'node:crypto'
import { limits } from '@narrowapi/contract'
import { readIdempotencyKey, type StoredReply } from '../db/idempotency.ts'
import type { Deps } from '../deps.ts'
import { ApiError } from '../errors.ts'
import { checkMediaType, readBody } from '../http/body.ts'
import { callName } from '../http/call-name.ts'
import { contextOf, headerValues, type Request, type Response } from '../http/context.ts'
import { parseJson } from '../http/json.ts'
import { sendProblem } from '../http/problem.ts'
import { parseQuery } from '../http/query.ts'
import { identify } from '../http/steps/authenticate.ts'
import { begin } from '../http/steps/request-id.ts'
import { execute } from '../proxy/execute.ts'
import { limitHeaders } from '../rate-headers.ts'

/**
 * `POST /x/{action_id}`, in front of the router: the answer is the upstream's own bytes and status, which no
 * handler of the contract could return, and nothing but this work is on its path. Says whether it took the
 * request.
 */
export const createExecute =
  (deps: Deps) =>
  (req: Request, res: Response): boolean => {
    const name = callName(req)
    if (name === null) return false
    run(deps, name, req, res).catch((thrown: unknown) => fail(deps, req, res, thrown))
    return true
  }

const run = async (deps: Deps, name: string, req: Request, res: Response): Promise<void> => {
  begin(deps, req, res)
  await identify(deps, req, res, 'token')
  const context = contextOf(req)
  const { token } = context
  if (!token) throw new Error('A call ran without a token')
  const body = await readWhole(req, res)
  const reply = await execute(deps, {
    holder: token,
    // Names need no encoding; what is encoded names nothing.
    name,
    cdnLoop: req.headers['cdn-loop']?.toString(),
    idempotencyKey: () => readIdempotencyKey(headerValues(req, 'idempotency-key')),
    fingerprint: () => createHash('sha256').update(body()).digest('hex'),
    parseInput: () => parseInput(req, body()),
    tellLimits: (state) => {
      for (const [name, value] of limitHeaders(state, deps.clock.now().getTime())) res.setHeader(name, value)
    },
    tellExecution: (id) => res.setHeader('X-Execution-ID', id),
    tellReplay: () => res.setHeader('Idempotent-Replayed', 'true'),
  })
  answer(res, reply)
}

/**
 * Reads the body before anything is decided, because an answer sent in the middle of one spoils the connection.
 * What is wrong with it is said when it is asked for, after the refusals that come first.
 */
const readWhole = async (req: Request, res: Response): Promise<() => Buffer> => {
  try {
    const body = await readBody(req, limits.executeBodyBytes)
    return () => body
  } catch (refusal) {
    // What is left of it stays unread, so the connection cannot carry another request.
    res.setHeader('Connection', 'close')
    return () => {
      throw refusal
    }
  }
}

/** An absent body is an empty input. */
const parseInput = (req: Request, body: Buffer): unknown => {
  const [, query = ''] = (req.url ?? '').split('?', 2)
  const [unknown] = Object.keys(parseQuery(query))
  if (unknown !== undefined) {
    throw new ApiError('validation_failed', 'Send the input as a JSON body', {
      details: [{ field: unknown, message: 'is not a query parameter of this call' }],
    })
  }
  if (body.length === 0) return {}
  checkMediaType(req.headers)
  return parseJson(body)
}

/** Head and body leave in one write, because the body is a string. Nothing an upstream sends may act on our origin as a page. */
const answer = (res: Response, { status, headers, body, isBinary }: StoredReply): void => {
  for (const [name, value] of headers) res.appendHeader(name, value)
  res.setHeader('Content-Security-Policy', "sandbox; default-src 'none'")
  const hasBody = status !== 204 && status !== 304 && body !== null
  const encoding = isBinary ? 'latin1' : 'utf8'
  if (hasBody) res.setHeader('Content-Length', Buffer.byteLength(body, encoding))
  res.writeHead(status)
  if (hasBody) res.end(body, encoding)
  else res.end()
}

const fail = (deps: Deps, req: Request, res: Response, thrown: unknown): void => {
  if (thrown instanceof ApiError && thrown.code === 'not_found') {
    const context = contextOf(req)
    if (context.token) deps.refusals.note(context.token, 'action not granted', context)
  }
  if (!res.headersSent) {
    sendProblem(deps, req, res, thrown)
    return
  }
  deps.log.error({ error: thrown }, 'an answer broke off')
  res.destroy()
}
