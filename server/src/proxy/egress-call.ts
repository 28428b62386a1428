import type { Dispatcher } from 'undici'
import { decodeBody } from './egress-decode.ts'
import { UpstreamFailure } from './egress-failure.ts'

export type UpstreamRequest = {
  origin: string
  method: string
  /** Path and query as they go on the wire, beginning with a slash. */
  path: string
  /** Names and values in turn. `Host` and connection headers belong to the door and are refused. */
  headers: string[]
  body: string | Buffer | null
  /** For everything together: waiting for a connection, resolving, connecting, and the whole answer. */
  timeoutMs: number
  /** The largest body kept, counted after decoding. */
  maxBytes: number
  signal?: AbortSignal
}

export type UpstreamAnswer = {
  status: number
  /** Names are lower case; a repeated name has several entries. */
  headers: [name: string, value: string][]
  body: Buffer
  /** The body was longer than `maxBytes`; `body` is its beginning. */
  truncated: boolean
  /** Body bytes received, before decoding. */
  bytes: number
  durationMs: number
  /** The door sends once; whoever asks it again counts. */
  attempts: number
}

type Headers = Record<string, string | string[] | undefined>
type Ending = {
  resolve: (answer: UpstreamAnswer) => void
  reject: (failure: UpstreamFailure) => void
  /** Called once, when nothing more will happen. */
  over: () => void
}

const maxInformational = 8
const maxHeaderFields = 256
const maxTimerMs = 2 ** 31 - 1

/**
 * One exchange with an upstream, as the handler that undici calls while it happens. It ends exactly once: by
 * an answer, an error, the deadline or the caller. What undici reports after that is ignored.
 */
export class Call implements Dispatcher.DispatchHandler {
  readonly #request: UpstreamRequest
  readonly #ending: Ending
  readonly #startedAt = performance.now()
  readonly #deadline: NodeJS.Timeout
  readonly #onAbort: (() => void) | undefined

  #controller: Dispatcher.DispatchController | undefined
  #isOver = false
  /** The upstream began an answer, so what goes wrong from here is the answer's fault. */
  #isAnswering = false
  #informational = 0
  #status = 0
  #headers: Headers = {}
  #body: Buffer = empty
  #size = 0
  #bytes = 0

  constructor(request: UpstreamRequest, ending: Ending) {
    this.#request = request
    this.#ending = ending
    this.#deadline = setTimeout(giveUp, Math.min(request.timeoutMs, maxTimerMs), this)
    if (request.signal) {
      this.#onAbort = () => this.stop('aborted')
      request.signal.addEventListener('abort', this.#onAbort)
    }
  }

  /** True from the moment request bytes may have been written. */
  get #isSent(): boolean {
    return this.#controller !== undefined
  }

  /** Ends the call from our side and closes its connection. */
  stop(reason: 'timeout' | 'aborted' | 'invalid', code?: string): void {
    if (this.#isOver) return
    this.#fail(new UpstreamFailure(reason, this.#isSent, code))
    this.#controller?.abort(hangUp)
  }

  /** Called in the same tick as, and just before, the request is written to a connection. */
  onRequestStart(controller: Dispatcher.DispatchController): void {
    // Throwing takes the request out of the queue and leaves the connection whole, where aborting would
    // close it. A second start would be a resend, which is never wanted.
    if (this.#isOver || this.#isSent) throw hangUp
    this.#controller = controller
  }

  onResponseStarted(): void {
    this.#isAnswering = true
  }

  onResponseStart(controller: Dispatcher.DispatchController, status: number, headers: Headers): void {
    if (this.#isOver) return
    if (status < 200) {
      this.#informational += 1
      if (this.#informational > maxInformational) this.stop('invalid', 'TOO_MANY_INFORMATIONAL')
      return
    }
    // Two entries, a name and a value, for each field.
    if (Array.isArray(controller.rawHeaders) && controller.rawHeaders.length > 2 * maxHeaderFields) {
      this.stop('invalid', 'TOO_MANY_HEADERS')
      return
    }
    this.#status = status
    this.#headers = headers
  }

  onResponseData(controller: Dispatcher.DispatchController, chunk: Buffer): void {
    if (this.#isOver) return
    this.#bytes += chunk.length
    const room = this.#request.maxBytes - this.#size
    if (chunk.length <= room) {
      this.#keep(chunk)
      return
    }
    this.#keep(chunk.subarray(0, room))
    this.#finish(true)
    controller.abort(hangUp)
  }

  onResponseEnd(): void {
    if (!this.#isOver) this.#finish(false)
  }

  onResponseError(_controller: Dispatcher.DispatchController | null, error: Error): void {
    if (!this.#isOver) this.#fail(this.#explain(error))
  }

  #explain(error: Error & { code?: unknown }): UpstreamFailure {
    if (error instanceof UpstreamFailure) return error
    const code = typeof error.code === 'string' ? error.code : undefined
    if (this.#isSent) {
      const isUnusable = this.#isAnswering || code?.startsWith('HPE_') || code === 'UND_ERR_HEADERS_OVERFLOW'
      return new UpstreamFailure(isUnusable ? 'invalid' : 'unreachable', true, code)
    }
    if (code === 'UND_ERR_CONNECT_TIMEOUT' || code === 'ETIMEDOUT') {
      return new UpstreamFailure('timeout', false, code)
    }
    return new UpstreamFailure(unsendable.has(code ?? '') ? 'invalid' : 'unreachable', false, code)
  }

  /**
   * One growing buffer, not a list of chunks: an upstream that sends a byte per chunk would otherwise make
   * us keep an object of a hundred bytes for each. The usual body, one chunk, is kept without a copy.
   */
  #keep(chunk: Buffer): void {
    const size = this.#size + chunk.length
    if (this.#size === 0) {
      this.#body = chunk
    } else {
      if (size > this.#body.length) {
        const grown = Buffer.allocUnsafeSlow(Math.min(this.#request.maxBytes, Math.max(size, 2 * this.#size)))
        this.#body.copy(grown, 0, 0, this.#size)
        this.#body = grown
      }
      chunk.copy(this.#body, this.#size)
    }
    this.#size = size
  }

  #finish(truncated: boolean): void {
    this.#close()
    const body = this.#body.length === this.#size ? this.#body : this.#body.subarray(0, this.#size)
    const coding = this.#headers['content-encoding']
    if (coding === undefined || coding === 'identity' || body.length === 0) {
      this.#answer(body, truncated)
      return
    }
    decodeBody(String(coding), body, { maxBytes: this.#request.maxBytes, isCut: truncated }).then(
      (decoded) => {
        // These two describe the encoded body, which nobody will see.
        const { 'content-encoding': _coding, 'content-length': _length, ...headers } = this.#headers
        this.#headers = headers
        this.#answer(decoded.body, decoded.truncated)
      },
      () => {
        this.#ending.over()
        this.#ending.reject(new UpstreamFailure('invalid', true, 'BAD_CONTENT_ENCODING'))
      },
    )
  }

  #answer(body: Buffer, truncated: boolean): void {
    this.#ending.over()
    this.#ending.resolve({
      status: this.#status,
      headers: listHeaders(this.#headers),
      body,
      truncated,
      bytes: this.#bytes,
      durationMs: performance.now() - this.#startedAt,
      attempts: 1,
    })
  }

  #fail(failure: UpstreamFailure): void {
    this.#close()
    this.#ending.over()
    this.#ending.reject(failure)
  }

  #close(): void {
    this.#isOver = true
    clearTimeout(this.#deadline)
    if (this.#onAbort) this.#request.signal?.removeEventListener('abort', this.#onAbort)
  }
}

const empty = Buffer.alloc(0)
/** Told to undici when we leave; never shown to anybody. */
const hangUp = new Error('the call is over')
const giveUp = (call: Call) => call.stop('timeout')

/** What undici says of a request that it cannot write. */
const unsendable: ReadonlySet<string> = new Set([
  'UND_ERR_INVALID_ARG',
  'UND_ERR_NOT_SUPPORTED',
  'UND_ERR_REQ_CONTENT_LENGTH_MISMATCH',
])

const listHeaders = (headers: Headers): [string, string][] => {
  const list: [string, string][] = []
  for (const name of Object.keys(headers)) {
    const value = headers[name]
    if (typeof value === 'string') list.push([name, value])
    else if (value !== undefined) for (const one of value) list.push([name, one])
  }
  return list
}
