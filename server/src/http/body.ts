import type { IncomingHttpHeaders, IncomingMessage } from 'node:http'
import { ApiError } from '../errors.ts'

/** Reads a whole body, counting bytes as they come, so that a lying Content-Length gains nothing. */
export const readBody = (req: IncomingMessage, maxBytes: number): Promise<Buffer> => {
  const coding = req.headers['content-encoding']
  if (coding !== undefined && coding.toLowerCase() !== 'identity') {
    return Promise.reject(new ApiError('unsupported_media_type', 'Send the body without a content encoding'))
  }
  if (Number(req.headers['content-length'] ?? 0) > maxBytes) return Promise.reject(tooLarge(maxBytes))
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = []
    let size = 0
    req.on('data', (chunk: Buffer) => {
      size += chunk.length
      if (size <= maxBytes) chunks.push(chunk)
      else {
        // The rest is read and dropped: a close with bytes unread would take the answer from the caller.
        chunks.length = 0
        reject(tooLarge(maxBytes))
      }
    })
    req.on('end', () => resolve(chunks.length === 1 && chunks[0] ? chunks[0] : Buffer.concat(chunks)))
    // Comes after the end too. An aborted request says `error` before it closes, but only to those who listen.
    req.on('close', () => {
      if (!req.readableEnded) reject(cutShort())
    })
  })
}

const tooLarge = (maxBytes: number) =>
  new ApiError('payload_too_large', `The body may have at most ${maxBytes} bytes`)

const cutShort = () => new ApiError('invalid_request', 'The body ended before its length')

/** `application/json`, in any case, alone or with `charset=utf-8`. */
export const checkMediaType = (headers: IncomingHttpHeaders): void => {
  const type = headers['content-type'] ?? ''
  if (/^application\/json[ \t]*(?:;[ \t]*charset[ \t]*=[ \t]*(?:utf-8|"utf-8")[ \t]*)?;?[ \t]*$/i.test(type))
    return
  throw new ApiError('unsupported_media_type', 'Send the body as application/json in UTF-8')
}
