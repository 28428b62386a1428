import type { Socket } from 'node:net'
import type { buildConnector } from 'undici'
import { UpstreamFailure } from './egress-failure.ts'

/**
 * More than an honest answer takes: the largest body that an action may keep, in chunks of three bytes. What is no
 * body is counted nowhere else: a chunk extension may go on for ever, and its parsing would hold up everybody's
 * calls until the deadline.
 */
const maxAnswerBytes = 32 * 1024 * 1024

/** Connections that end when one answer brings too many bytes, of whatever kind. */
export const bounded =
  (connect: buildConnector.connector): buildConnector.connector =>
  (options, callback) =>
    connect(options, (...connected) => {
      // Without a connection it is undefined, whatever its type says.
      if (connected[1]) bound(connected[1])
      callback(...connected)
    })

/** Listens beside the reader and takes nothing. Bytes written since the last look are another request. */
const bound = (socket: Socket): void => {
  let written = 0
  let readBefore = 0
  socket.on('readable', () => {
    const { bytesRead, bytesWritten } = socket
    if (bytesWritten !== written) {
      written = bytesWritten
      readBefore = bytesRead
    } else if (bytesRead - readBefore > maxAnswerBytes) {
      socket.destroy(new UpstreamFailure('invalid', true, 'TOO_MANY_BYTES'))
    }
  })
}
