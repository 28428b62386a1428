import { createServer, type ServerResponse } from 'node:http'
import { type Dispatcher, Pool } from 'undici'
import { announce } from './processes.ts'

/**
 * The least that a proxy written in Node can do: the request's body read whole and sent on by undici, the answer's
 * body read whole and sent back in one write. No router, no check, no record.
 */
const [target = ''] = process.argv.slice(2)
const pool = new Pool(target, { connections: 128, pipelining: 1 })

class Forward implements Dispatcher.DispatchHandler {
  readonly #res: ServerResponse
  #status = 502
  #type = ''
  readonly #chunks: Buffer[] = []

  constructor(res: ServerResponse) {
    this.#res = res
  }

  onRequestStart(): void {}

  onResponseStart(
    _controller: unknown,
    status: number,
    headers: Record<string, string | string[] | undefined>,
  ): void {
    this.#status = status
    this.#type = String(headers['content-type'])
  }

  onResponseData(_controller: unknown, chunk: Buffer): void {
    this.#chunks.push(chunk)
  }

  onResponseEnd(): void {
    const body = Buffer.concat(this.#chunks).toString()
    this.#res.writeHead(this.#status, {
      'content-type': this.#type,
      'content-length': Buffer.byteLength(body),
    })
    this.#res.end(body)
  }

  onResponseError(): void {
    this.#res.destroy()
  }
}

const server = createServer((req, res) => {
  const chunks: Buffer[] = []
  req.on('data', (chunk: Buffer) => chunks.push(chunk))
  req.on('end', () => {
    const headers = ['content-type', 'application/json', 'accept', '*/*']
    pool.dispatch(
      { method: 'POST', path: req.url ?? '/', headers, body: Buffer.concat(chunks) },
      new Forward(res),
    )
  })
})

announce(server)
