/** Digits in ASCII order, so that numbers of equal width sort as text the way they sort as numbers. */
export const base62Digits = '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz'

export type Ids = {
  next: (prefix: string) => string
  /** Random hexadecimal digits, two for each byte, as traces and spans are named. */
  hex: (bytes: 8 | 16) => string
}

/**
 * Makes ids such as `act_` + the 22 base62 digits of a UUIDv7 (RFC 9562). Text order is creation order within
 * this process, also inside one millisecond and when the clock steps back. Across processes the order is that
 * of their clocks: the database's, to within half a round trip.
 *
 * Layout: 48 bits of milliseconds, a 42-bit counter in rand_a and the upper half of rand_b (section 6.2,
 * method 1), 32 fresh random bits. The counter starts each millisecond at a random number below 2^41, so it
 * has 2^41 steps to go: when the clock steps back, the last millisecond is kept until the clock is past it.
 */
export const createIds = (clock: () => number, random: (bytes: number) => Buffer): Ids => {
  const word = randomWords(random)
  let milliseconds = -1
  let counterHigh = 0 // the 12 bits of rand_a
  let counterLow = 0 // the 30 upper bits of rand_b

  const advance = (): void => {
    const now = Math.floor(clock())
    if (now > milliseconds) {
      milliseconds = now
      counterHigh = word() >>> 21
      counterLow = word() >>> 2
      return
    }
    counterLow += 1
    if (counterLow < 2 ** 30) return
    counterLow = 0
    counterHigh += 1
    if (counterHigh < 2 ** 12) return
    counterHigh = 0
    milliseconds += 1
  }

  return {
    next(prefix) {
      advance()
      const digits = base62(
        Math.floor(milliseconds / 2 ** 16),
        (milliseconds % 2 ** 16) * 2 ** 16 + 0x7000 + counterHigh,
        2 ** 31 + counterLow,
        word(),
      )
      return `${prefix}_${digits}`
    },
    hex: randomDigits(random),
  }
}

/** When an id was made, according to the clock of the server that made it. */
export const idTime = (id: string): Date => {
  const digits = /_([0-9A-Za-z]{22})$/.exec(id)?.[1]
  if (digits === undefined) throw new Error('Not an id')
  let uuid = 0n
  for (const digit of digits) uuid = uuid * 62n + BigInt(base62Digits.indexOf(digit))
  if (uuid >> 128n !== 0n) throw new Error('Not an id')
  return new Date(Number(uuid >> 80n))
}

/** One call for many words: asking the system for four bytes at a time costs more than the whole id. */
const randomWords = (random: (bytes: number) => Buffer): (() => number) => {
  const wordBytes = 4
  const poolBytes = 8192
  let pool = random(poolBytes)
  let used = 0
  return () => {
    if (used === poolBytes) {
      pool = random(poolBytes)
      used = 0
    }
    used += wordBytes
    return pool.readUInt32BE(used - wordBytes)
  }
}

/** Written in one go as well: a slice of a long text costs a tenth of turning sixteen bytes into one. */
const randomDigits = (random: (bytes: number) => Buffer): ((bytes: number) => string) => {
  const poolBytes = 4096
  let pool = ''
  let used = 0
  return (bytes) => {
    if (used + 2 * bytes > pool.length) {
      pool = random(poolBytes).toString('hex')
      used = 0
    }
    used += 2 * bytes
    return pool.slice(used - 2 * bytes, used)
  }
}

const threeDigits = 62 ** 3

/**
 * 128 bits, given as four 32-bit words, in 22 base62 digits. School division by 62^3, because a remainder and
 * a word together stay below 2^53 and need no BigInt, which takes four times as long.
 */
const base62 = (first: number, second: number, third: number, fourth: number): string => {
  let text = ''
  for (let group = 0; group < 7; group += 1) {
    const a = Math.floor(first / threeDigits)
    const withSecond = (first - a * threeDigits) * 2 ** 32 + second
    const b = Math.floor(withSecond / threeDigits)
    const withThird = (withSecond - b * threeDigits) * 2 ** 32 + third
    const c = Math.floor(withThird / threeDigits)
    const withFourth = (withThird - c * threeDigits) * 2 ** 32 + fourth
    const d = Math.floor(withFourth / threeDigits)
    text = lastThreeDigits(withFourth - d * threeDigits) + text
    first = a
    second = b
    third = c
    fourth = d
  }
  // 62^21 is above 2^125: what remains is one digit.
  return base62Digits.charAt(fourth) + text
}

const lastThreeDigits = (value: number): string =>
  base62Digits.charAt(Math.floor(value / 62 ** 2)) +
  base62Digits.charAt(Math.floor(value / 62) % 62) +
  base62Digits.charAt(value % 62)
