import { createHash } from 'node:crypto'
import { limits } from '@narrowapi/contract'
import { readIdempotencyKey, type StoredReply } from '../db/idempotency.ts'
import type { LimitState } from '../db/rate-limit.ts'
import type { Deps } from '../deps.ts'
import { ApiError } from '../errors.ts'
import { checkMediaType, readBody } from '../http/body.ts'
import { callName } from '../http/call-name.ts'
import { contextOf, headerValues, type Request, type Response } from '../http/context.ts'
import { countCall } from '../http/ended.ts'
import { setHead } from '../http/head.ts'
import { parseJson } from '../http/json.ts'
import { sendProblem } from '../http/problem.ts'
import { parseQuery } from '../http/query.ts'
import { identify } from '../http/steps/authenticate.ts'
import { begin, checkFraming } from '../http/steps/request-id.ts'
import { requestTrace } from '../http/trace.ts'
import type { Holder } from '../proxy/authority.ts'
import type { CallRequest } from '../proxy/call.ts'
import { execute } from '../proxy/execute.ts'
import { limitHeaders } from '../rate-headers.ts'
import type { Trace } from '../trace.ts'

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
    deps.metrics.requests.inFlight += 1
    run(deps, name, req, res).catch((thrown: unknown) => fail(deps, req, res, thrown))
    return true
  }

const run = async (deps: Deps, name: string, req: Request, res: Response): Promise<void> => {
  begin(deps, req, res)
  checkFraming(req)
  const waiting = identify(deps, req, res, 'token')
  if (waiting) await waiting
  const { token, head } = contextOf(req)
  if (!token) throw new Error('A call ran without a token')
  const body = await readWhole(req, head)
  answer(res, head, await execute(deps, new CallOfRequest(deps, req, token, name, body)))
  countCall(deps, req, res)
}

/** A call as it came by HTTP. What becomes known of it while it runs is told in the headers of its answer. */
class CallOfRequest implements CallRequest {
  readonly holder: Holder
  /** Names need no encoding; what is encoded names nothing. */
  readonly name: string
  readonly trace: Trace
  readonly cdnLoop: string | undefined
  readonly #deps: Deps
  readonly #req: Request
  readonly #head: string[]
  readonly #body: Buffer | ApiError

  constructor(deps: Deps, req: Request, holder: Holder, name: string, body: Buffer | ApiError) {
    this.holder = holder
    this.name = name
    this.trace = requestTrace(deps, req)
    this.cdnLoop = req.headers['cdn-loop']?.toString()
    this.#deps = deps
    this.#req = req
    this.#head = contextOf(req).head
    this.#body = body
  }

  idempotencyKey(): string | null {
    if (this.#req.headers['idempotency-key'] === undefined) return null
    return readIdempotencyKey(headerValues(this.#req, 'idempotency-key'))
  }

  fingerprint(): string {
    return createHash('sha256').update(this.#wholeBody()).digest('hex')
  }

  /** An absent body is an empty input. */
  parseInput(): unknown {
    const { url = '', headers } = this.#req
    if (url.includes('?')) refuseQuery(url)
    const body = this.#wholeBody()
    if (body.length === 0) return {}
    checkMediaType(headers)
    return parseJson(body)
  }

  tellLimits(state: LimitState): void {
    this.#head.push(...limitHeaders(state, this.#deps.clock.now().getTime()))
  }

  tellExecution(id: string): void {
    this.#head.push('X-Execution-ID', id)
  }

  tellReplay(): void {
    this.#head.push('Idempotent-Replayed', 'true')
  }

  #wholeBody(): Buffer {
    if (this.#body instanceof ApiError) throw this.#body
    return this.#body
  }
}

/**
 * Reads the body before anything is decided, because an answer sent in the middle of one spoils the connection.
 * What is wrong with it is said when it is asked for, after the refusals that come first.
 */
const readWhole = async (req: Request, head: string[]): Promise<Buffer | ApiError> => {
  try {
    return await readBody(req, limits.executeBodyBytes)
  } catch (refusal) {
    if (!(refusal instanceof ApiError)) throw refusal
    // What is left of it stays unread, so the connection cannot carry another request.
    head.push('Connection', 'close')
    return refusal
  }
}

const refuseQuery = (url: string): void => {
  const [unknown] = Object.keys(parseQuery(url.slice(url.indexOf('?') + 1)))
  if (unknown === undefined) return
  throw new ApiError('validation_failed', 'Send the input as a JSON body', {
    details: [{ field: unknown, message: 'is not a query parameter of this call' }],
  })
}

/**
 * All headers are given at once, which spares Node a list of its own, and head and body leave in one write,
 * because the body is a string. Nothing an upstream sends may act on our origin as a page.
 */
const answer = (res: Response, head: string[], { status, headers, body, isBinary }: StoredReply): void => {
  for (const [name, value] of headers) head.push(name, value)
  head.push('Content-Security-Policy', "sandbox; default-src 'none'")
  if (status === 204 || status === 304 || body === null) {
    res.writeHead(status, head).end()
    return
  }
  const encoding = isBinary ? 'latin1' : 'utf8'
  head.push('Content-Length', String(Buffer.byteLength(body, encoding)))
  res.writeHead(status, head).end(body, encoding)
}

const fail = (deps: Deps, req: Request, res: Response, thrown: unknown): void => {
  if (thrown instanceof ApiError && thrown.code === 'not_found') {
    const context = contextOf(req)
    if (context.token) deps.refusals.note(context.token, 'action not granted', context)
  }
  if (res.headersSent) {
    const names = { request_id: contextOf(req).requestId, trace_id: requestTrace(deps, req).traceId }
    deps.log.error({ error: thrown, ...names }, 'an answer broke off')
    res.destroy()
  } else {
    setHead(res, contextOf(req).head)
    sendProblem(deps, req, res, thrown)
  }
  countCall(deps, req, res)
}
