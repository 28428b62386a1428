import { connect, type Socket } from 'node:net'

/** One answer as it came over the wire. */
export type RawAnswer = { status: number; headers: Map<string, string>; body: string }

export type Exchange = {
  answers: RawAnswer[]
  /** Whether the server ended the connection; if not, it was still open when nothing more came. */
  closed: boolean
  /** Everything that was received. */
  text: string
}

/**
 * Sends bytes just as they are, because an HTTP client would repair or refuse them, and reads what comes back:
 * until the server closes, until `answers` whole answers are there, or until `quietMs` pass without a byte. Where
 * answers are awaited, a busy machine may take its time.
 */
export const exchange = (
  url: string,
  bytes: string | Buffer | readonly (string | Buffer)[],
  options: { answers?: number; quietMs?: number; end?: boolean } = {},
): Promise<Exchange> => {
  const { answers: wanted = Number.POSITIVE_INFINITY, end = false } = options
  const { quietMs = Number.isFinite(wanted) ? 5_000 : 400 } = options
  const { hostname, port } = new URL(url)
  return new Promise((resolve) => {
    const chunks: Buffer[] = []
    const socket: Socket = connect({ host: hostname, port: Number(port), allowHalfOpen: true })
    const finish = (closed: boolean): void => {
      clearTimeout(timer)
      const text = Buffer.concat(chunks).toString('latin1')
      resolve({ answers: parseAnswers(text), closed, text })
      socket.destroy()
    }
    const timer = setTimeout(() => finish(false), quietMs)
    socket.on('data', (chunk) => {
      chunks.push(chunk)
      timer.refresh()
      if (parseAnswers(Buffer.concat(chunks).toString('latin1')).length >= wanted) finish(false)
    })
    socket.on('end', () => finish(true))
    // A reset while we still write is a close as well; what was read before it counts.
    socket.on('error', () => finish(true))
    for (const part of Array.isArray(bytes) ? bytes : [bytes]) socket.write(part)
    if (end) socket.end()
  })
}

/** The whole answers at the start of a text; an unfinished one is left out, interim ones are kept. */
const parseAnswers = (text: string): RawAnswer[] => {
  const answers: RawAnswer[] = []
  let rest = text
  for (;;) {
    const headEnd = rest.indexOf('\r\n\r\n')
    if (headEnd === -1) return answers
    const [statusLine = '', ...lines] = rest.slice(0, headEnd).split('\r\n')
    const status = Number(/^HTTP\/1\.1 (\d{3})/.exec(statusLine)?.[1])
    const headers = new Map(
      lines.map((line): [string, string] => {
        const colon = line.indexOf(':')
        return [line.slice(0, colon).toLowerCase(), line.slice(colon + 1).trim()]
      }),
    )
    const after = rest.slice(headEnd + 4)
    const hasBody = status >= 200 && status !== 204 && status !== 304
    const length = hasBody ? Number(headers.get('content-length') ?? 0) : 0
    if (after.length < length) return answers
    answers.push({ status, headers, body: Buffer.from(after.slice(0, length), 'latin1').toString('utf8') })
    rest = after.slice(length)
  }
}

/** The head and body of a request, with its length said. */
export const request = (
  line: string,
  headers: Readonly<Record<string, string>> = {},
  body: string | Buffer = '',
): Buffer => {
  const bytes = Buffer.from(body)
  const all = {
    Host: 'localhost',
    ...headers,
    ...(bytes.length > 0 ? { 'Content-Length': String(bytes.length) } : {}),
  }
  const lines = Object.entries(all).map(([name, value]) => `${name}: ${value}`)
  return Buffer.concat([Buffer.from(`${line} HTTP/1.1\r\n${lines.join('\r\n')}\r\n\r\n`, 'latin1'), bytes])
}
