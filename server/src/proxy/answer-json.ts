export type ParsedAnswer = { isJson: true; value: unknown } | { isJson: false }

/** Far deeper than any real answer, far below where walking or writing a value overflows the stack. */
const maxDepth = 500

/** An answer's body as JSON. What is nested beyond use counts as text, which nothing here walks. */
export const parseAnswer = (bytes: Buffer): ParsedAnswer => {
  if (bytes.length === 0 || isTooDeep(bytes)) return { isJson: false }
  try {
    return { isJson: true, value: JSON.parse(bytes.toString('utf8')) }
  } catch {
    return { isJson: false }
  }
}

const [quote, backslash] = [0x22, 0x5c]
const openings = new Set([0x5b, 0x7b])
const closings = new Set([0x5d, 0x7d])

const isTooDeep = (bytes: Buffer): boolean => {
  if (bytes.length <= maxDepth) return false
  let depth = 0
  let isInString = false
  for (let at = 0; at < bytes.length; at += 1) {
    const byte = bytes[at] ?? 0
    if (byte === quote) isInString = !isInString
    else if (isInString) at += byte === backslash ? 1 : 0
    else if (openings.has(byte)) {
      depth += 1
      if (depth > maxDepth) return true
    } else if (closings.has(byte)) depth -= 1
  }
  return false
}
