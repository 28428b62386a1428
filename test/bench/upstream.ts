import { createServer } from 'node:net'
import { MessageReader } from './http-bytes.ts'
import { announce } from './processes.ts'
import { upstreamAnswer } from './workload.ts'

/** The upstream that everything here calls: reads the whole request, answers the same bytes, counts. */
let served = 0

const answerOf = (body: string): Buffer =>
  Buffer.from(
    `HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: ${Buffer.byteLength(body)}\r\n\r\n${body}`,
  )

const answer = answerOf(upstreamAnswer)

announce(
  createServer({ noDelay: true }, (socket) => {
    const reader = new MessageReader()
    socket.on('data', (chunk: Buffer) => {
      for (const { startLine } of reader.read(chunk)) {
        if (startLine.startsWith('GET /served ')) {
          socket.write(answerOf(String(served)))
        } else {
          served += 1
          socket.write(answer)
        }
      }
    })
    // A peer that ends takes its connections along.
    socket.on('error', () => socket.destroy())
  }),
)
