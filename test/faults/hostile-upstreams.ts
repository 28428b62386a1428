import { once } from 'node:events'
import { createServer, type Socket } from 'node:net'
import { gzipSync } from 'node:zlib'

export type Hostile = {
  /** What it does, to follow "an upstream that". */
  does: string
  /** Status and code that the caller gets; a code of null is the upstream's own answer. */
  told: `${number} ${string}`
  /** What it does with each connection. */
  behave: (socket: Socket) => void
  method?: 'HEAD'
  scheme?: 'https'
}

/** Listens on loopback and does as it is told with every connection. */
export const startHostile = async (behave: (socket: Socket) => void) => {
  const sockets = new Set<Socket>()
  const server = createServer((socket) => {
    sockets.add(socket.on('error', () => {}))
    socket.on('close', () => sockets.delete(socket))
    behave(socket)
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  return {
    authority: `127.0.0.1:${typeof address === 'object' ? address?.port : 0}`,
    stop: () => {
      for (const socket of sockets) socket.destroy()
      server.close()
    },
  }
}

type Piece = string | Buffer

/** Answers the first bytes of a request with these bytes, then does what `after` says. */
const answering =
  (answer: Piece, after: (socket: Socket) => void = () => {}) =>
  (socket: Socket): void => {
    socket.once('data', () => socket.write(answer, () => after(socket)))
  }

/** Sends a piece again and again, as fast as it is taken or with a pause, until the other side has enough. */
const forever =
  (piece: Piece, pauseMs = 0) =>
  (socket: Socket): void => {
    const next = (): void => {
      if (socket.destroyed) return
      socket.write(piece, () => (pauseMs === 0 ? setImmediate(next) : setTimeout(next, pauseMs)))
    }
    next()
  }

const head = 'HTTP/1.1 200 OK\r\n'
const json = `${head}content-type: application/json\r\n`
const hang = (): void => {}
const close = (socket: Socket): void => void socket.destroy()
const block = Buffer.alloc(65_536, 0x61)
const chunk = Buffer.concat([Buffer.from('10000\r\n'), block, Buffer.from('\r\n')])
const bomb = gzipSync(Buffer.alloc(200_000_000))
const withBody = (body: Piece, headers = json) =>
  Buffer.concat([
    Buffer.from(`${headers}content-length: ${Buffer.byteLength(body)}\r\n\r\n`),
    Buffer.from(body),
  ])

/** Told of whatever the deadline of the call ended. */
export const timeout = '504 upstream_timeout'
const unusable = '502 invalid_upstream_response'
const unknown = '502 upstream_outcome_unknown'

export const hostile: readonly Hostile[] = [
  { does: 'accepts and says nothing', told: timeout, behave: hang },
  { does: 'reads nothing and says nothing', told: timeout, behave: (socket) => void socket.pause() },
  { does: 'closes at once', told: unknown, behave: answering('', close) },
  { does: 'hangs after its headers', told: timeout, behave: answering(`${json}content-length: 9\r\n\r\n`) },
  { does: 'hangs in its headers', told: timeout, behave: answering(`${head}x-a: b`) },
  { does: 'trickles its headers', told: timeout, behave: answering(`${head}x-a: `, forever('b', 50)) },
  {
    does: 'trickles its body',
    told: timeout,
    behave: answering(`${json}content-length: 100000\r\n\r\n`, forever('b', 50)),
  },
  {
    does: 'sends a gigabyte',
    told: unusable,
    behave: answering(`${json}content-length: 1073741824\r\n\r\n`, forever(block)),
  },
  {
    does: 'never ends its chunks',
    told: unusable,
    behave: answering(`${json}transfer-encoding: chunked\r\n\r\n`, forever(chunk)),
  },
  {
    does: 'never ends a chunk extension',
    told: unusable,
    behave: answering(`${json}transfer-encoding: chunked\r\n\r\n1;`, forever(block)),
  },
  {
    does: 'sends less than its length',
    told: unusable,
    behave: answering(`${json}content-length: 100\r\n\r\n{"half`, close),
  },
  {
    does: 'sends more than its length',
    told: '200 null',
    behave: answering(`${json}content-length: 2\r\n\r\n{}HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\n"bad"`),
  },
  {
    does: 'closes in the middle of a chunk',
    told: unusable,
    behave: answering(`${json}transfer-encoding: chunked\r\n\r\n10\r\nhalf`, close),
  },
  { does: 'speaks no HTTP', told: unusable, behave: answering('SSH-2.0-OpenSSH_9.2\r\n', close) },
  {
    does: 'answers before it has read the body',
    told: '200 null',
    behave: (socket) => void socket.once('data', () => socket.pause().write(withBody('{}'))),
  },
  {
    does: 'floods with early hints',
    told: unusable,
    behave: answering('', forever('HTTP/1.1 103 Early Hints\r\n\r\n')),
  },
  { does: 'answers TLS with garbage', scheme: 'https', told: '502 upstream_error', behave: answering(block) },
  { does: 'never ends its TLS handshake', scheme: 'https', told: timeout, behave: hang },
  {
    does: 'sends a gzip bomb',
    told: unusable,
    behave: answering(withBody(bomb, `${json}content-encoding: gzip\r\n`)),
  },
  {
    does: 'sends 64 kB of one header',
    told: unusable,
    behave: answering(`${head}x-a: ${'a'.repeat(65_536)}\r\n\r\n`),
  },
  {
    does: 'sends a thousand cookies',
    told: unusable,
    behave: answering(`${head}${'set-cookie: a=b\r\n'.repeat(1_000)}\r\n`),
  },
  { does: 'puts a CR into a header', told: unusable, behave: answering(`${head}x-a: b\rc: d\r\n\r\n`) },
  {
    does: 'sends a body with 204',
    told: '204 null',
    behave: answering('HTTP/1.1 204 No Content\r\ncontent-length: 2\r\n\r\n{}'),
  },
  {
    does: 'sends a body with 304',
    told: '304 null',
    behave: answering('HTTP/1.1 304 Not Modified\r\ncontent-length: 2\r\n\r\n{}'),
  },
  {
    does: 'switches protocols',
    told: unusable,
    behave: answering('HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: h2c\r\n\r\n'),
  },
  {
    does: 'sends a body to HEAD',
    method: 'HEAD',
    told: '200 null',
    behave: answering(withBody('{"not":"wanted"}')),
  },
  {
    does: 'sends invalid UTF-8',
    told: '200 null',
    behave: answering(withBody(Buffer.from([0x22, 0xff, 0xfe, 0x22]))),
  },
  { does: 'sends a byte order mark', told: '200 null', behave: answering(withBody('\ufeff{"a":1}')) },
  { does: 'sends NUL', told: '200 null', behave: answering(withBody('{"a":"\\u0000\0"}')) },
  { does: 'sends a lone surrogate', told: '200 null', behave: answering(withBody('{"a":"\\ud800"}')) },
]
