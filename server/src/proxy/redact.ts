import { formsOf } from './redact-forms.ts'
import { createSearch, type Range } from './redact-search.ts'

/** Stands wherever a secret or a sensitive value stood. */
export const redacted = '[redacted]'

export type Header = readonly [name: string, value: string]

/**
 * Takes known secrets out of what an upstream answers, however it spelled them. `body` comes first, on the
 * whole text, before parsing: everything made of the answer afterwards (reply, record, log) is clean.
 */
export type Scrubber = {
  text(text: string): string
  headers(headers: readonly Header[]): readonly Header[]
  /** JSON stays JSON. The same text comes back when it is clean. */
  body(text: string): string
}

/**
 * A secret of six characters or more is found anywhere. A shorter one would also be found in ordinary words,
 * so it counts only as a token of its own: `{"pin":"1234"}` and `pin=1234` are redacted, `91234` is not.
 * Making a scrubber costs more than using it; keep one per action version and secret version.
 */
export const createScrubber = (secrets: readonly string[]): Scrubber => {
  const search = createSearch([...new Set(secrets)].flatMap(formsOf))

  const text = (source: string): string => {
    const ranges = search(source)
    return ranges.length === 0 ? source : replaceRanges(source, ranges, redacted)
  }

  return {
    text,
    headers: (headers) => headers.map(([name, value]) => [text(name), text(value)]),
    body(source) {
      const ranges = search(source)
      if (ranges.length === 0) return source
      return isJson(source) ? replaceInJson(source, ranges) : replaceRanges(source, ranges, redacted)
    },
  }
}

const isJson = (text: string): boolean => {
  try {
    JSON.parse(text)
    return true
  } catch {
    return false
  }
}

const replaceRanges = (text: string, ranges: readonly Range[], replacement: string): string => {
  let clean = ''
  let copied = 0
  for (const { start, end } of ranges) {
    clean += text.slice(copied, start) + replacement
    copied = end
  }
  return clean + text.slice(copied)
}

/**
 * Within a string the replacement is plain; a number, or a whole object, becomes a string. What cannot be cut
 * out so, such as a secret that begins in one string and ends in the next, takes the document with it.
 */
const replaceInJson = (text: string, ranges: readonly Range[]): string => {
  let clean = ''
  let copied = 0
  let at = 0
  let isInString = false
  for (const { start, end } of ranges) {
    for (; at < start; at += 1) {
      const character = text[at]
      if (character === '"') isInString = !isInString
      else if (character === '\\') at += 1
    }
    if (isInString) {
      // The loop stepped past an escape that the range begins inside of: the escape goes as a whole.
      const from = at > start ? start - 1 : start
      clean += text.slice(copied, Math.max(from, copied)) + redacted
      copied = end
      at = end
    } else {
      const from = scalarStart(text, start)
      clean += text.slice(copied, Math.max(from, copied)) + JSON.stringify(redacted)
      copied = scalarEnd(text, end)
      at = copied
    }
  }
  clean += text.slice(copied)
  return isJson(clean) ? clean : JSON.stringify(redacted)
}

const isScalar = (character: string | undefined): boolean =>
  character !== undefined && /[-+.0-9A-Za-z]/.test(character)

const scalarStart = (text: string, start: number): number => {
  let from = start
  while (isScalar(text[from]) && isScalar(text[from - 1])) from -= 1
  return from
}

const scalarEnd = (text: string, end: number): number => {
  let to = end
  while (isScalar(text[to - 1]) && isScalar(text[to])) to += 1
  return to
}
