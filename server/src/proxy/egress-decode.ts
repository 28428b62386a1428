import { constants, createBrotliDecompress, createGunzip, createInflate, createInflateRaw } from 'node:zlib'

export type DecodedBody = { body: Buffer; truncated: boolean }

/**
 * Decodes a body that an upstream encoded although identity was asked for. Decoding is a stream that stops
 * at `maxBytes`, so a bomb costs no more memory than an honest body of the largest size. `isCut` says that
 * the encoded bytes end early; what they hold is then decoded and the result is truncated. Rejects when the
 * coding is unknown (also when several are stacked) or the bytes are not what they claim to be.
 */
export const decodeBody = (
  coding: string,
  encoded: Buffer,
  { maxBytes, isCut }: { maxBytes: number; isCut: boolean },
): Promise<DecodedBody> =>
  new Promise((resolve, reject) => {
    const decoder = createDecoder(coding.trim().toLowerCase(), encoded, isCut)
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
    decoder.on('end', () => finish(isCut))
    decoder.on('error', reject)
    decoder.end(encoded)
  })

const createDecoder = (coding: string, encoded: Buffer, isCut: boolean) => {
  // Flushing instead of finishing accepts a stream without its end.
  const zlib = isCut ? { finishFlush: constants.Z_SYNC_FLUSH } : {}
  switch (coding) {
    case 'gzip':
    case 'x-gzip':
      return createGunzip(zlib)
    case 'br':
      return createBrotliDecompress(isCut ? { finishFlush: constants.BROTLI_OPERATION_FLUSH } : {})
    case 'deflate':
      // RFC 9110 section 8.4.1.2: some senders leave out the zlib wrapper, whose first nibble is always 8.
      return ((encoded[0] ?? 0) & 0x0f) === 8 ? createInflate(zlib) : createInflateRaw(zlib)
    default:
      throw new Error('unknown content coding')
  }
}
