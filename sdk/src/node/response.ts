import type { IncomingMessage } from 'node:http'
import { Readable } from 'node:stream'

/**
 * A `Response` whose costly parts are made when they are asked for. What this package asks of most answers, their
 * status, a few headers and their text, needs none of them.
 */
export class NodeResponse {
  /** Whether it has no body, whatever its headers say. */
  static isEmpty({ statusCode = 0 }: IncomingMessage): boolean {
    return [204, 205, 304].includes(statusCode)
  }

  readonly status: number
  readonly ok: boolean
  readonly statusText: string
  readonly redirected = false
  readonly type = 'basic'
  readonly url: string
  readonly #message: IncomingMessage
  readonly #body: Readable
  #headers: Headers | undefined
  #whole: Response | undefined
  #isRead = false

  constructor(message: IncomingMessage, body: Readable, url: URL) {
    this.status = message.statusCode ?? 0
    this.ok = this.status >= 200 && this.status < 300
    this.statusText = message.statusMessage ?? ''
    this.url = url.href
    this.#message = message
    this.#body = body
  }

  get headers(): Headers {
    this.#headers ??= new NodeHeaders(this.#message)
    return this.#headers
  }

  get body(): ReadableStream<Uint8Array> | null {
    return this.#response.body
  }

  get bodyUsed(): boolean {
    return this.#isRead || (this.#whole?.bodyUsed ?? false)
  }

  async text(): Promise<string> {
    if (this.#whole || this.#isRead) return this.#response.text()
    this.#isRead = true
    return readText(this.#body)
  }

  async json(): Promise<unknown> {
    return JSON.parse(await this.text())
  }

  clone(): Response {
    return this.#response.clone()
  }

  arrayBuffer(): Promise<ArrayBuffer> {
    return this.#response.arrayBuffer()
  }

  blob(): Promise<Blob> {
    return this.#response.blob()
  }

  bytes(): Promise<Uint8Array<ArrayBuffer>> {
    return this.#response.bytes()
  }

  formData(): Promise<FormData> {
    return this.#response.formData()
  }

  /** An ordinary one, for everything that is asked for seldom. */
  get #response(): Response {
    if (this.#isRead) throw new TypeError('The body is read already')
    if (!this.#whole) {
      const { status, statusText, headers } = this
      const isEmpty = NodeResponse.isEmpty(this.#message)
      // Nobody else reads it to its end, which is what gives the connection back.
      if (isEmpty) this.#body.resume()
      // The two declarations of such a stream, Node's and the web's, differ in name only.
      const body = isEmpty ? null : (Readable.toWeb(this.#body) as ReadableStream<Uint8Array>)
      this.#whole = new Response(body, { status, statusText, headers })
    }
    return this.#whole
  }
}

// So that `instanceof Response` holds, without the cost of making one.
Object.setPrototypeOf(NodeResponse.prototype, Response.prototype)

/** Looks up what Node has parsed already, and becomes ordinary headers when more than that is wanted. */
class NodeHeaders extends Headers {
  readonly #message: IncomingMessage
  #isFilled = false

  constructor(message: IncomingMessage) {
    super()
    this.#message = message
  }

  override get(name: string): string | null {
    if (this.#isFilled) return super.get(name)
    const { headers } = this.#message
    const key = name.toLowerCase()
    const value = Object.hasOwn(headers, key) ? headers[key] : null
    return Array.isArray(value) ? value.join(', ') : (value ?? null)
  }

  override has(name: string): boolean {
    return this.get(name) !== null
  }

  override append(name: string, value: string): void {
    this.#fill()
    super.append(name, value)
  }

  override set(name: string, value: string): void {
    this.#fill()
    super.set(name, value)
  }

  override delete(name: string): void {
    this.#fill()
    super.delete(name)
  }

  override getSetCookie(): string[] {
    this.#fill()
    return super.getSetCookie()
  }

  override forEach(each: (value: string, name: string, headers: Headers) => void): void {
    this.#fill()
    super.forEach(each)
  }

  override keys() {
    this.#fill()
    return super.keys()
  }

  override values() {
    this.#fill()
    return super.values()
  }

  override entries() {
    this.#fill()
    return super.entries()
  }

  override [Symbol.iterator]() {
    return this.entries()
  }

  #fill(): void {
    if (this.#isFilled) return
    this.#isFilled = true
    const { rawHeaders } = this.#message
    for (let at = 0; at < rawHeaders.length; at += 2)
      super.append(rawHeaders[at] ?? '', rawHeaders[at + 1] ?? '')
  }
}

const readText = (body: Readable): Promise<string> =>
  new Promise((resolve, reject) => {
    const cut = () => reject(new Error('The connection was closed in the middle of the answer'))
    if (body.destroyed) cut()
    const chunks: Buffer[] = []
    body.on('data', (chunk: Buffer) => chunks.push(chunk))
    body.on('end', () => {
      const [first] = chunks
      const whole = chunks.length === 1 && first ? first : Buffer.concat(chunks)
      const text = whole.toString('utf8')
      // As `text()` of a Response does, without the byte order mark.
      resolve(text.startsWith('\uFEFF') ? text.slice(1) : text)
    })
    body.on('error', reject)
    // An error is costly, and this comes after the end as well.
    body.on('close', () => body.readableEnded || cut())
  })
