import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'

export type ReceivedSpan = {
  traceId: string
  spanId: string
  parentSpanId: string
  traceState: string
  name: string
  /** 2 is a server's, 3 a client's. */
  kind: number
  /** 2 is an error. */
  status: number
  attributes: Record<string, string | number>
  /** Of the process that sent it. */
  resource: Record<string, string | number>
}

export type OtlpReceiver = {
  url: string
  spans: ReceivedSpan[]
  /** Path and headers of each export. */
  requests: { path: string; headers: NodeJS.Dict<string | string[]> }[]
  stop(): Promise<void>
}

/** A receiver of OTLP over HTTP that keeps the spans it is sent, decoded from protobuf. */
export const startOtlpReceiver = async (): Promise<OtlpReceiver> => {
  const receiver: OtlpReceiver = { url: '', spans: [], requests: [], stop: async () => {} }
  const server = createServer((req, res) => {
    const chunks: Buffer[] = []
    req.on('data', (chunk: Buffer) => chunks.push(chunk))
    req.on('end', () => {
      receiver.requests.push({ path: req.url ?? '', headers: req.headers })
      receiver.spans.push(...spansOf(Buffer.concat(chunks)))
      res.writeHead(200, { 'content-type': 'application/x-protobuf' }).end()
    })
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  // A server that listens on a port has an AddressInfo.
  receiver.url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  receiver.stop = () =>
    new Promise((resolve) => {
      server.close(() => resolve())
      server.closeAllConnections()
    })
  return receiver
}

// Field numbers of opentelemetry/proto/trace/v1/trace.proto and common/v1/common.proto.
const spansOf = (request: Buffer): ReceivedSpan[] =>
  messages(request, 1).flatMap((resourceSpans) => {
    const resource = attributesOf(messages(resourceSpans, 1).flatMap((message) => messages(message, 1)))
    return messages(resourceSpans, 2)
      .flatMap((scopeSpans) => messages(scopeSpans, 2))
      .map((span) => ({ ...spanOf(span), resource }))
  })

const spanOf = (span: Buffer): Omit<ReceivedSpan, 'resource'> => ({
  traceId: messages(span, 1)[0]?.toString('hex') ?? '',
  spanId: messages(span, 2)[0]?.toString('hex') ?? '',
  traceState: messages(span, 3)[0]?.toString() ?? '',
  parentSpanId: messages(span, 4)[0]?.toString('hex') ?? '',
  name: messages(span, 5)[0]?.toString() ?? '',
  kind: numberOf(span, 6),
  attributes: attributesOf(messages(span, 9)),
  status: numberOf(messages(span, 15)[0] ?? Buffer.alloc(0), 3),
})

const attributesOf = (pairs: readonly Buffer[]): Record<string, string | number> =>
  Object.fromEntries(
    pairs.map((pair) => {
      const [key] = messages(pair, 1)
      const [value = Buffer.alloc(0)] = messages(pair, 2)
      return [key?.toString() ?? '', messages(value, 1)[0]?.toString() ?? numberOf(value, 3)]
    }),
  )

const messages = (message: Buffer, field: number): Buffer[] =>
  [...fields(message)].flatMap((read) =>
    read.field === field && Buffer.isBuffer(read.value) ? [read.value] : [],
  )

const numberOf = (message: Buffer, field: number): number => {
  for (const read of fields(message))
    if (read.field === field && typeof read.value === 'number') return read.value
  return 0
}

/** The wire format: a tag, then a varint, eight or four bytes, or a length and as many bytes. */
const fields = function* (message: Buffer): Iterable<{ field: number; value: number | Buffer }> {
  let at = 0
  const varint = (): number => {
    let value = 0
    for (let scale = 1; ; scale *= 128) {
      const byte = message.readUInt8(at)
      at += 1
      value += (byte & 127) * scale
      if (byte < 128) return value
    }
  }
  const bytes = (length: number): Buffer => {
    at += length
    return message.subarray(at - length, at)
  }
  while (at < message.length) {
    const tag = varint()
    const [field, type] = [tag >>> 3, tag & 7]
    if (type === 0) yield { field, value: varint() }
    else if (type === 1) yield { field, value: bytes(8) }
    else if (type === 2) yield { field, value: bytes(varint()) }
    else if (type === 5) yield { field, value: bytes(4) }
    else throw new Error(`Wire type ${type} is not of this version`)
  }
}
