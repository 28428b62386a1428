import { isUtf8 } from 'node:buffer'
import { ApiError } from '../errors.ts'

export type JsonLimits = {
  /** Objects and arrays inside each other. `JSON.stringify` and `structuredClone` fail near 5000. */
  maxDepth: number
  /** Members of one object. */
  maxMembers: number
  /** Values in the whole body, each object, array and scalar counted once. */
  maxValues: number
  /** Characters of one number. */
  maxDigits: number
}

const defaultLimits: JsonLimits = { maxDepth: 64, maxMembers: 10_000, maxValues: 100_000, maxDigits: 1_000 }

/**
 * Reads JSON that every later part can treat alike: validator, store, fingerprint and upstream see the same
 * value, and PostgreSQL can hold it. `JSON.parse` alone would let pass: repeated names (it keeps the last),
 * numbers it cannot represent, NUL and lone surrogates, any depth, and `__proto__`; and its messages quote
 * the body. So one scan checks the text first, and `JSON.parse` builds the value after it.
 *
 * A leading byte order mark is refused (RFC 8259, section 8.1, forbids sending one). `constructor`, `toJSON`
 * and the like are ordinary names here: whoever looks names up must ask for own properties. Decimals and
 * numbers with an exponent are read as the nearest double, as everywhere in JavaScript.
 */
export const parseJson = (bytes: Buffer, limits: Partial<JsonLimits> = {}): unknown => {
  const text = decodeUtf8(bytes)
  new Scan(text, { ...defaultLimits, ...limits }).document()
  try {
    return JSON.parse(text)
  } catch {
    // Cannot happen, and the original error would carry a piece of the body into the log.
    throw new Error('The JSON scan accepted what JSON.parse refuses')
  }
}

const decodeUtf8 = (bytes: Buffer): string => {
  if (!isUtf8(bytes)) refuse(firstInvalidByte(bytes), '', 'the bytes are not valid UTF-8')
  const text = bytes.toString('utf8')
  if (text.charCodeAt(0) === 0xfeff) refuse(0, '', 'leave out the byte order mark')
  return text
}

/** Lenient decoding puts U+FFFD at the first invalid byte, so that is where the two texts part. */
const firstInvalidByte = (bytes: Buffer): number => {
  const repaired = Buffer.from(bytes.toString('utf8'))
  const index = bytes.findIndex((byte, position) => byte !== repaired[position])
  return index === -1 ? bytes.length : index
}

const refuse = (byte: number, field: string, reason: string): never => {
  const where = field === '' ? `at byte ${byte}` : `at byte ${byte}, in ${field}`
  const details = field === '' ? {} : { details: [{ field, message: reason }] }
  throw new ApiError('invalid_request', `The JSON body is refused ${where}: ${reason}`, details)
}

const quote = 0x22
const backslash = 0x5c
const comma = 0x2c
const colon = 0x3a
const openBrace = 0x7b
const closeBrace = 0x7d
const openBracket = 0x5b
const closeBracket = 0x5d
const minus = 0x2d
const plus = 0x2b
const dot = 0x2e
const zero = 0x30
const nine = 0x39
const lowerE = 0x65
const upperE = 0x45
const lowerU = 0x75

/** Up to this many characters an integer is below 10^15 and a decimal cannot overflow or vanish. */
const harmlessNumberLength = 15

/** Up to so many, looking through a list takes a fifth of the time of building a Set. */
const fewNames = 12

/** One walk over the text, by the grammar of RFC 8259. It accepts exactly what `JSON.parse` does, less our rules. */
class Scan {
  private readonly text: string
  private readonly limits: JsonLimits
  private at = 0
  private values = 0
  /** The member name or index at each level; null while a name is still to come. */
  private readonly path: (string | number | null)[] = []

  constructor(text: string, limits: JsonLimits) {
    this.text = text
    this.limits = limits
  }

  document(): void {
    this.value()
    if (this.at < this.text.length) this.fail('nothing may follow the value')
  }

  /** Also skips the white space on both sides, so every caller finds the next sign at once. */
  private value(): void {
    const first = this.skipSpace()
    this.values += 1
    if (this.values > this.limits.maxValues) this.fail(`at most ${this.limits.maxValues} values are allowed`)
    if (first === quote) this.string()
    else if (first === openBrace) this.object()
    else if (first === openBracket) this.array()
    else if (first === minus || isDigit(first)) this.number()
    else if (this.text.startsWith('true', this.at) || this.text.startsWith('null', this.at)) this.at += 4
    else if (this.text.startsWith('false', this.at)) this.at += 5
    else this.fail('a value is expected')
    this.skipSpace()
  }

  private object(): void {
    const level = this.enter()
    const names: string[] = []
    let manyNames: Set<string> | undefined
    if (this.skipSpace() !== closeBrace) {
      do {
        this.path[level] = null
        if (this.skipSpace() !== quote) this.fail('a name in double quotes is expected')
        const start = this.at
        const name = this.name()
        this.path[level] = name
        if (name === '__proto__') this.fail('the name __proto__ is not allowed', start)
        if (names.length === fewNames) manyNames = new Set(names)
        if (manyNames?.has(name) ?? names.includes(name))
          this.fail('the same name is given twice in one object', start)
        if (names.length === this.limits.maxMembers) {
          this.fail(`at most ${this.limits.maxMembers} members are allowed in one object`, start)
        }
        names.push(name)
        manyNames?.add(name)
        if (this.skipSpace() !== colon) this.fail('a colon is expected')
        this.at += 1
        this.value()
      } while (this.another())
      if (this.code(this.at) !== closeBrace) this.fail('a comma or a closing brace is expected')
    }
    this.leave()
  }

  private array(): void {
    const level = this.enter()
    let index = 0
    if (this.skipSpace() !== closeBracket) {
      do {
        this.path[level] = index
        this.value()
        index += 1
      } while (this.another())
      if (this.code(this.at) !== closeBracket) this.fail('a comma or a closing bracket is expected')
    }
    this.leave()
  }

  private enter(): number {
    const level = this.path.length
    if (level === this.limits.maxDepth)
      this.fail(`at most ${this.limits.maxDepth} levels of nesting are allowed`)
    this.path.push(null)
    this.at += 1
    return level
  }

  private leave(): void {
    this.path.pop()
    this.at += 1
  }

  private another(): boolean {
    if (this.code(this.at) !== comma) return false
    this.at += 1
    return true
  }

  /** Names are compared as they will be read, so an escape cannot hide a repetition. */
  private name(): string {
    const start = this.at
    const hasEscapes = this.string()
    if (!hasEscapes) return this.text.slice(start + 1, this.at - 1)
    return JSON.parse(this.text.slice(start, this.at)) as string // a JSON string, just scanned
  }

  /** Returns whether the string has escapes. Unescaped lone surrogates cannot occur: the bytes were UTF-8. */
  private string(): boolean {
    const text = this.text
    let at = this.at + 1
    let hasEscapes = false
    for (let code = text.charCodeAt(at); code !== quote; code = text.charCodeAt(at)) {
      if (code === backslash) {
        hasEscapes = true
        at = this.escape(at)
      } else if (code >= 0x20) at += 1
      else this.fail(at < text.length ? 'control characters must be escaped' : 'a string is not closed', at)
    }
    this.at = at + 1
    return hasEscapes
  }

  /** Checks the escape whose backslash is at `start` and returns where it ends. */
  private escape(start: number): number {
    if (this.code(start + 1) !== lowerU) {
      if (!'"\\/bfnrt'.includes(this.text.charAt(start + 1) || ' '))
        this.fail('this escape is unknown', start)
      return start + 2
    }
    const unit = this.unit(start)
    if (unit === 0) this.fail('the character NUL is not allowed', start)
    if (unit < 0xd800 || unit > 0xdfff) return start + 6
    const paired = unit < 0xdc00 && this.code(start + 6) === backslash && this.code(start + 7) === lowerU
    const low = paired ? this.unit(start + 6) : 0
    if (low < 0xdc00 || low > 0xdfff) this.fail('a surrogate is not part of a pair', start)
    return start + 12
  }

  /** The UTF-16 unit of the `\uXXXX` at `start`. */
  private unit(start: number): number {
    let unit = 0
    for (let at = start + 2; at < start + 6; at += 1) {
      const digit = hexDigit(this.code(at))
      if (digit === -1) this.fail('four hexadecimal digits are expected', start)
      unit = unit * 16 + digit
    }
    return unit
  }

  private number(): void {
    const start = this.at
    let at = this.code(start) === minus ? start + 1 : start
    at = this.code(at) === zero ? at + 1 : this.digits(at)
    if (this.code(at) === dot) at = this.digits(at + 1)
    const hasExponent = this.code(at) === lowerE || this.code(at) === upperE
    if (hasExponent) {
      const sign = this.code(at + 1)
      at = this.digits(sign === plus || sign === minus ? at + 2 : at + 1)
    }
    this.at = at
    if (hasExponent || at - start > harmlessNumberLength) this.magnitude(start, hasExponent)
  }

  /** Skips at least one digit and returns what comes after the last. */
  private digits(start: number): number {
    const text = this.text
    let at = start
    while (isDigit(text.charCodeAt(at))) at += 1
    if (at === start) this.fail('a digit is expected', at)
    return at
  }

  private magnitude(start: number, hasExponent: boolean): void {
    if (this.at - start > this.limits.maxDigits) {
      this.fail(`a number may have at most ${this.limits.maxDigits} characters`, start)
    }
    const written = this.text.slice(start, this.at)
    const value = Number(written)
    // Whoever writes all digits of a large number means all of them; 6.022e23 is an approximation anyway.
    if (!Number.isFinite(value) || (!hasExponent && Math.abs(value) > Number.MAX_SAFE_INTEGER)) {
      this.fail('the number is too large to be kept exactly: send it as a string', start)
    }
    if (value === 0 && /^[^eE]*[1-9]/.test(written)) {
      this.fail('the number is too small to be told from zero: send it as a string', start)
    }
  }

  /** Returns the code it stops at, NaN at the end of the text. */
  private skipSpace(): number {
    const text = this.text
    let at = this.at
    let code = text.charCodeAt(at)
    while (code === 0x20 || code === 0x0a || code === 0x0d || code === 0x09) {
      at += 1
      code = text.charCodeAt(at)
    }
    this.at = at
    return code
  }

  private code(at: number): number {
    return this.text.charCodeAt(at)
  }

  private fail(reason: string, at = this.at): never {
    return refuse(Buffer.byteLength(this.text.slice(0, at)), this.field(), reason)
  }

  /** Names come from the caller too: what does not look like a field name is shown as `*`. */
  private field(): string {
    return this.path
      .filter((step) => step !== null)
      .map((step) => (/^[\w$-]{1,40}$/.test(String(step)) ? step : '*'))
      .join('.')
  }
}

const isDigit = (code: number): boolean => code >= zero && code <= nine

const hexDigit = (code: number): number => {
  if (isDigit(code)) return code - zero
  const letter = code | 0x20 // lower case
  return letter >= 0x61 && letter <= 0x66 ? letter - 0x57 : -1
}
