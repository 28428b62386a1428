import { createBrotliDecompress, createGunzip, createInflate, createInflateRaw, constants } from 'node:zlib'

export type DecodedBody = { body: Buffer; truncated: boolean }

/**
 * Decodes a body that an upstream encoded although identity was asked for. Decoding is a stream that stops
 * at `maxBytes`, so a bomb costs no more memory than an honest body of the largest size. Rejects when the
 * coding is unknown (also when several are stacked) or the bytes are not what they claim to be.
 */
export const decodeBody = (coding: string, encoded: Buffer, maxBytes: number): Promise<DecodedBody> =>
  new Promise((resolve, reject) => {
    const decoder = createDecoder(coding.trim().toLowerCase(), encoded)
    const chunks: Buffer[] = []
    let size = 0
    const finish = (truncated: boolean) => {
      decoder.destroy()
      resolve({ body: Buffer.concat(chunks), truncated })
    }
    decoder.on('data', (chunk: Buffer) => {
      const room = maxBytes - size
      chunks.push(chunk.length > room ? chunk.subarray(0, room) : chunk)
      size += chunk.length
      if (size > maxBytes) finish(true)
    })
    decoder.on('end', () => finish(false))
    decoder.on('error', reject)
    decoder.end(encoded)
  })

const createDecoder = (coding: string, encoded: Buffer) => {
  switch (coding) {
    case 'gzip':
    case 'x-gzip':
      return createGunzip()
    case 'br':
      return createBrotliDecompress()
    case 'deflate':
      // RFC 9110 section 8.4.1.2: some senders leave out the zlib wrapper; its first nibble is always 8.
      return ((encoded[0] ?? 0) & 0x0f) === 8 ? createInflate() : createInflateRaw()
    default:
      throw new Error('unknown content coding')
  }
}
