/**
 * Undoes, one layer at a time, the escapes that a text may arrive in: JSON and JavaScript (`\"`, `\/`, `\u0041`,
 * `\x41`, `\u{41}`), URL (`%41`, `%u0041`), HTML (`&amp;`, `&#65;`, `&#x41;`). Line breaks and NUL are dropped,
 * which joins wrapped base64 and reads UTF-16 as ASCII. Searching the layers of a text for a secret finds it
 * however its characters were escaped, singly or all, once or several times.
 *
 * Texts are arrays of UTF-16 code units here: an answer full of escapes is decoded without making a string.
 */
export type Units = Uint16Array

/** For each decoded unit, where in the undecoded text it began and ended. Filled only when a match needs it. */
export type Origin = { readonly starts: Int32Array; readonly ends: Int32Array }

/** Copies in one step; the byte order is that of every platform Node is published for but one (s390x). */
export const toUnits = (text: string): Units => {
  const units = new Uint16Array(text.length)
  Buffer.from(units.buffer).write(text, 'utf16le')
  return units
}

/**
 * The same in memory that the next call uses again: for a search that is over before anything else is. A new
 * array for every answer costs more than searching it.
 */
export const unitsForNow = (text: string): Units => {
  if (text.length > reused.length) return toUnits(text)
  reusedBytes.write(text, 'utf16le')
  return reused.subarray(0, text.length)
}

const reused = new Uint16Array(32_768)
const reusedBytes = Buffer.from(reused.buffer)

/** The text and its decoded layers, outermost first. Deeper nesting than this is not an accident of echoing. */
export const decodeLayers = (source: Units): Units[] => {
  const layers = [source]
  for (let outer: Units | null = source; outer !== null && layers.length < 6; ) {
    outer = decodeLayer(outer)
    if (outer !== null) layers.push(outer)
  }
  return layers
}

/** Null when the text holds nothing to decode. */
export const decodeLayer = (source: Units, origin?: Origin): Units | null => {
  let next = nextEscape(source, 0)
  if (next === null) return null
  // No escape is shorter than what it stands for.
  const decoded = new Uint16Array(source.length)
  let length = 0
  let at = 0
  while (at < source.length) {
    const start: number = next?.start ?? source.length
    if (origin) fillOrigin(origin, length, at, start)
    for (; at < start; at += 1) {
      decoded[length] = source[at] ?? 0
      length += 1
    }
    if (next === null) break
    const written = writePoint(decoded, length, next.point)
    for (; length < written; length += 1) {
      if (!origin) continue
      origin.starts[length] = start
      origin.ends[length] = next.end
    }
    length = written
    at = next.end
    next = nextEscape(source, at)
  }
  return decoded.subarray(0, length)
}

const fillOrigin = ({ starts, ends }: Origin, from: number, start: number, end: number): void => {
  for (let at = start; at < end; at += 1) {
    starts[from + at - start] = at
    ends[from + at - start] = at + 1
  }
}

const writePoint = (units: Units, at: number, point: number): number => {
  if (point < 0) return at
  if (point <= 0xffff) {
    units[at] = point
    return at + 1
  }
  units[at] = 0xd800 + ((point - 0x10000) >> 10)
  units[at + 1] = 0xdc00 + ((point - 0x10000) & 0x3ff)
  return at + 2
}

const special = new Uint8Array(0x5d)
for (const unit of toUnits('\\%&\r\n\0')) special[unit] = 1

/** The code point that stands from `start` to `end`; -1 for none. */
type Escape = { readonly start: number; readonly point: number; readonly end: number }

const nextEscape = (source: Units, from: number): Escape | null => {
  for (let at = from; at < source.length; at += 1) {
    const unit = source[at] ?? 0
    if (unit > 0x5c || special[unit] === 0) continue
    const found = readEscape(source, at, unit)
    if (found !== null) return found
  }
  return null
}

const readEscape = (source: Units, at: number, unit: number): Escape | null => {
  switch (unit) {
    case 0x5c:
      return readBackslash(source, at)
    case 0x25:
      return readPercent(source, at)
    case 0x26:
      return readEntity(source, at)
    default:
      return { start: at, point: -1, end: at + 1 }
  }
}

/** The control characters that a letter after a backslash stands for. */
const controls = new Map([
  [0x62, 0x08],
  [0x66, 0x0c],
  [0x6e, 0x0a],
  [0x72, 0x0d],
  [0x74, 0x09],
])

const readBackslash = (source: Units, at: number): Escape | null => {
  const kind = source[at + 1]
  // What is dropped from between the two (UTF-16, wrapping) must go first: the next layer reads them together.
  if (kind === undefined || kind === 0 || kind === 0x0a || kind === 0x0d) return null
  if (kind === 0x75 || kind === 0x78) {
    if (source[at + 2] === 0x7b) {
      const close = source.subarray(at, at + 10).indexOf(0x7d)
      const point = readHex(source, at + 3, at + close)
      if (point >= 0 && point <= 0x10ffff) return { start: at, point, end: at + close + 1 }
    }
    const end = at + (kind === 0x75 ? 6 : 4)
    const point = readHex(source, at + 2, end)
    if (point >= 0) return { start: at, point, end }
  }
  return { start: at, point: controls.get(kind) ?? kind, end: at + 2 }
}

const readPercent = (source: Units, at: number): Escape | null => {
  const first = readHex(source, at + 1, at + 3)
  if (first < 0) {
    const point = source[at + 1] === 0x75 ? readHex(source, at + 2, at + 6) : -1
    return point < 0 ? null : { start: at, point, end: at + 6 }
  }
  const size = first >= 0xf0 ? 4 : first >= 0xe0 ? 3 : first >= 0xc2 ? 2 : 1
  let point = size === 1 ? first : first & (0xff >> (size + 1))
  for (let index = 1; index < size; index += 1) {
    const from = at + index * 3
    const next = source[from] === 0x25 ? readHex(source, from + 1, from + 3) : -1
    // Not UTF-8 after all: an upstream that wrote Latin-1.
    if (next < 0x80 || next > 0xbf) return { start: at, point: first, end: at + 3 }
    point = (point << 6) | (next & 0x3f)
  }
  return point > 0x10ffff
    ? { start: at, point: first, end: at + 3 }
    : { start: at, point, end: at + size * 3 }
}

const entities = new Map([
  ['amp', 0x26],
  ['apos', 0x27],
  ['gt', 0x3e],
  ['lt', 0x3c],
  ['quot', 0x22],
])

const readEntity = (source: Units, at: number): Escape | null => {
  const semicolon = source.subarray(at, at + 12).indexOf(0x3b)
  if (semicolon < 0) return null
  const name = String.fromCharCode(...source.subarray(at + 1, at + semicolon)).toLowerCase()
  const end = at + semicolon + 1
  const named = entities.get(name)
  if (named !== undefined) return { start: at, point: named, end }
  const [, hexadecimal, decimal] = /^#(?:x([0-9a-f]+)|([0-9]+))$/.exec(name) ?? []
  const point = hexadecimal ? Number.parseInt(hexadecimal, 16) : Number(decimal)
  return point <= 0x10ffff ? { start: at, point, end } : null
}

/** The number that the hexadecimal digits from `start` to `end` write, or -1 when they are not all such. */
const readHex = (source: Units, start: number, end: number): number => {
  if (end > source.length || start >= end) return -1
  let value = 0
  for (let at = start; at < end; at += 1) {
    const unit = (source[at] ?? 0) | 0x20
    const digit = unit >= 0x30 && unit <= 0x39 ? unit - 0x30 : unit >= 0x61 && unit <= 0x66 ? unit - 0x57 : -1
    if (digit < 0) return -1
    value = value * 16 + digit
  }
  return value
}
