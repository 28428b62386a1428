import { connect, type Socket } from 'node:net'
import { MessageReader } from './http-bytes.ts'

/** So many requests, each answer compared with the right one. */
export type Load = {
  url: string
  method: 'GET' | 'POST'
  headers: Record<string, string>
  body?: string
  connections: number
  amount: number
  /** What every answer must be: a status, 200 unless said, and its exact body or, where answers differ, a pattern. */
  status?: number
  answer: string | { pattern: string }
}

export type LoadResult = { seconds: number; wrong: number; p50: number; p99: number }

/** The load generator, a process of its own: takes a load from its parent, answers how it went. */
const run = async (load: Load): Promise<LoadResult> => {
  const request = bytesOf(load)
  const isRight = checkOf(load)
  const sockets = await Promise.all(Array.from({ length: load.connections }, () => open(load.url)))
  const times: number[] = []
  let sent = 0
  let wrong = 0
  const startedAt = performance.now()
  /** One connection's caller: sends, waits for the answer, and sends again while there is something to send. */
  const call = (socket: Socket): Promise<void> =>
    new Promise((resolve, reject) => {
      const reader = new MessageReader()
      let sentAt = 0
      const next = (): void => {
        if (sent === load.amount) {
          resolve()
          return
        }
        sent += 1
        sentAt = performance.now()
        socket.write(request)
      }
      socket.on('data', (chunk: Buffer) => {
        for (const { startLine, body } of reader.read(chunk)) {
          times.push(performance.now() - sentAt)
          if (!isRight(startLine, body)) wrong += 1
          next()
        }
      })
      socket.once('error', reject)
      socket.once('close', () => reject(new Error(`${load.url} closed a connection`)))
      socket.setTimeout(30_000, () => socket.destroy(new Error(`${load.url} does not answer`)))
      next()
    })
  await Promise.all(sockets.map(call))
  const seconds = (performance.now() - startedAt) / 1000
  for (const socket of sockets) socket.removeAllListeners().destroy()
  times.sort((left, right) => left - right)
  const at = (share: number) => times[Math.floor(times.length * share)] ?? Number.NaN
  return { seconds, wrong, p50: at(0.5), p99: at(0.99) }
}

const checkOf = ({ status = 200, answer }: Load): ((startLine: string, body: Buffer) => boolean) => {
  const start = `HTTP/1.1 ${status} `
  if (typeof answer === 'string') {
    const bytes = Buffer.from(answer)
    return (startLine, body) => startLine.startsWith(start) && body.equals(bytes)
  }
  const pattern = new RegExp(answer.pattern)
  return (startLine, body) => startLine.startsWith(start) && pattern.test(body.toString())
}

const bytesOf = ({ url, method, headers, body = '' }: Load): Buffer => {
  const { host, pathname, search } = new URL(url)
  const length = method === 'GET' ? {} : { 'content-length': String(Buffer.byteLength(body)) }
  const lines = Object.entries({ host, ...headers, ...length }).map(([name, value]) => `${name}: ${value}`)
  return Buffer.from(`${[`${method} ${pathname}${search} HTTP/1.1`, ...lines].join('\r\n')}\r\n\r\n${body}`)
}

const open = (url: string): Promise<Socket> =>
  new Promise((resolve, reject) => {
    const { hostname, port } = new URL(url)
    const socket = connect({ host: hostname, port: Number(port), noDelay: true })
    socket.once('connect', () => resolve(socket.off('error', reject)))
    socket.once('error', reject)
  })

process.on('message', (load: Load) => {
  run(load).then(
    (result) => process.send?.(result),
    (error: unknown) => {
      throw error
    },
  )
})
process.on('disconnect', () => process.exit(0))
