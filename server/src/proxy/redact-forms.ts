import { decodeLayers, toUnits, type Units } from './redact-decode.ts'

/**
 * A spelling of a secret to search for. `before` and `after` count the base64 characters beside it that carry
 * bits of the secret mixed with bits of what surrounds it.
 */
export type Form = { readonly text: string; readonly before: 0 | 1; readonly after: 0 | 1 }

/**
 * Every spelling that decoding layers (see redact-decode.ts) does not undo: base64 and base64url at the three
 * positions a secret can have within a longer encoded text, hexadecimal, reversal, `+` for a space, and UTF-8
 * taken for Latin-1. Each is listed at every depth of decoding, because a layer that undoes the escapes around
 * a secret also undoes what looks like an escape inside it.
 */
export const formsOf = (secret: string): Form[] => {
  const texts = spellings(secret)
  const plain = [
    ...texts,
    ...texts.map((text) => text.replaceAll(' ', '+')),
    Array.from(secret).reverse().join(''),
    secret.split('').reverse().join(''),
    bytesOf(secret).toString('latin1'),
    ...texts.flatMap((text) => hexForms(bytesOf(text))),
  ].flatMap((text) =>
    decodeLayers(toUnits(text)).map((units) => ({ text: textOf(units), before: 0, after: 0 }) as const),
  )
  const encoded = texts.flatMap((text) => base64Forms(bytesOf(text)))
  const wide = base64Forms(Buffer.from(secret, 'utf16le'))
  const forms = [...plain, ...encoded, ...wide].filter(({ text }) => text !== '')
  return [...new Map(forms.map((form) => [form.text, form])).values()]
}

/** The ways to write the secret that may themselves have been encoded as a whole. */
const spellings = (secret: string): string[] => [
  ...new Set([
    secret,
    JSON.stringify(secret).slice(1, -1),
    encodeURIComponent(secret.toWellFormed()),
    ...compactJson(secret),
  ]),
]

/** A secret that is JSON, such as a key file, comes back reformatted when an upstream parses and prints it. */
const compactJson = (secret: string): string[] => {
  if (!secret.trimStart().startsWith('{')) return []
  try {
    return [JSON.stringify(JSON.parse(secret))]
  } catch {
    return []
  }
}

const base64Forms = (bytes: Buffer): Form[] =>
  [0, 1, 2].flatMap((offset) => {
    const encoded = Buffer.concat([Buffer.alloc(offset), bytes]).toString('base64')
    const start = Math.ceil((offset * 8) / 6)
    const end = Math.floor(((offset + bytes.length) * 8) / 6)
    const text = encoded.slice(start, end)
    const before = offset === 0 ? 0 : 1
    const after = (offset + bytes.length) % 3 === 0 ? 0 : 1
    return [
      { text, before, after },
      { text: text.replaceAll('+', '-').replaceAll('/', '_'), before, after },
    ] as const
  })

const hexForms = (bytes: Buffer): string[] => {
  const lower = bytes.toString('hex')
  return [lower, lower.toUpperCase()].flatMap((hex) => {
    const pairs = hex.match(/../g) ?? []
    return [hex, pairs.join(' '), pairs.join(':')]
  })
}

const bytesOf = (text: string): Buffer => Buffer.from(text, 'utf8')

const textOf = (units: Units): string => Array.from(units, (unit) => String.fromCharCode(unit)).join('')
