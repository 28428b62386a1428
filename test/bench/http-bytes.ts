/**
 * HTTP/1.1 as far as a benchmark needs it: whole messages with a Content-Length on plain sockets. A load
 * generator or an upstream made of `node:http` costs as much as what is measured, and takes it from the same
 * two cores: with those, the part of the machine that is left decides the figures and not the peer.
 */
export type Message = {
  /** Request line or status line. */
  startLine: string
  body: Buffer
}

/** Cuts the bytes of one connection into messages. They may arrive in any pieces. */
export class MessageReader {
  #rest: Buffer = nothing

  read(chunk: Buffer): Message[] {
    const bytes = this.#rest.length === 0 ? chunk : Buffer.concat([this.#rest, chunk])
    const messages: Message[] = []
    let at = 0
    while (at < bytes.length) {
      const headEnd = bytes.indexOf('\r\n\r\n', at)
      if (headEnd === -1) break
      const head = bytes.toString('latin1', at, headEnd)
      const bodyAt = headEnd + 4
      const bodyEnd = bodyAt + contentLength(head)
      if (bodyEnd > bytes.length) break
      messages.push({ startLine: head.slice(0, head.indexOf('\r\n')), body: bytes.subarray(bodyAt, bodyEnd) })
      at = bodyEnd
    }
    this.#rest = bytes.subarray(at)
    return messages
  }
}

const nothing = Buffer.alloc(0)

const contentLength = (head: string): number => {
  const found = /\r\ncontent-length: *(\d+)/i.exec(head)
  if (found) return Number(found[1])
  if (/\r\ntransfer-encoding:/i.test(head)) throw new Error('A peer sent chunks, which are not read here')
  return 0
}
