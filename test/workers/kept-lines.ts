import { Writable } from 'node:stream'

/** A place for a log to write to that keeps every line. */
export const keptLines = (): { lines: string[]; destination: Writable } => {
  const lines: string[] = []
  const destination = new Writable({
    write(chunk, _encoding, done) {
      lines.push(String(chunk))
      done()
    },
  })
  return { lines, destination }
}
