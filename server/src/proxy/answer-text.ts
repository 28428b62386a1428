import { isUtf8 } from 'node:buffer'

/** `isBinary`: the text is bytes read as Latin-1, because they are not UTF-8, and can be written back unchanged. */
export type AnswerText = { text: string; isBinary: boolean }

/** An answer's body as text, read once for all that is done with it. */
export const readText = (bytes: Buffer): AnswerText =>
  isUtf8(bytes)
    ? { text: bytes.toString('utf8'), isBinary: false }
    : { text: bytes.toString('latin1'), isBinary: true }

export type ParsedAnswer = { isJson: true; value: unknown } | { isJson: false }

/** Far deeper than any real answer, far below where walking or writing a value overflows the stack. */
const maxDepth = 500

/** An answer's body as JSON. What is nested beyond use counts as text, which nothing here walks. */
export const parseAnswer = (text: string): ParsedAnswer => {
  if (text === '' || isTooDeep(text)) return { isJson: false }
  try {
    return { isJson: true, value: JSON.parse(text) }
  } catch {
    return { isJson: false }
  }
}

/**
 * The value of JSON whose numbers are written again as they came, where a double would make another one of them: an id
 * of 64 bits is the caller's next input. Where there is no such number it is the value that was parsed.
 */
export const exactly = (text: string, parsed: unknown): unknown => {
  if (!mayBeInexact.test(text)) return parsed
  return exact.parse(text, (_key, value, { source }) =>
    typeof value === 'number' && source !== undefined && String(value) !== source
      ? exact.rawJSON(source)
      : value,
  )
}

export const isExact = (value: unknown): boolean => exact.isRawJSON(value)

/** Sixteen digits, also around a point, or an exponent. */
const mayBeInexact = /\d(?:[\d.]{15}|[eE][+-]?\d)/

/** Part of ECMAScript 2026, which the compiler's library does not know of yet. */
const exact = JSON as unknown as {
  parse(text: string, revive: (key: string, value: unknown, context: { source?: string }) => unknown): unknown
  rawJSON(text: string): unknown
  isRawJSON(value: unknown): boolean
}

const [quote, backslash] = [0x22, 0x5c]
const [openBracket, closeBracket, openBrace, closeBrace] = [0x5b, 0x5d, 0x7b, 0x7d]

const isTooDeep = (text: string): boolean => {
  if (text.length <= maxDepth) return false
  let depth = 0
  let isInString = false
  for (let at = 0; at < text.length; at += 1) {
    const code = text.charCodeAt(at)
    if (code === quote) isInString = !isInString
    else if (isInString) at += code === backslash ? 1 : 0
    else if (code === openBracket || code === openBrace) {
      depth += 1
      if (depth > maxDepth) return true
    } else if (code === closeBracket || code === closeBrace) depth -= 1
  }
  return false
}
