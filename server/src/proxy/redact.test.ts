import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { readText } from './answer-text.ts'
import { createScrubber, redacted } from './redact.ts'

const canaries: Record<string, string> = {
  plain: 'sk_live_9f8A7b6C5d4E3f2G',
  'six characters': 'kA9_zQ',
  'regex-hostile': String.raw`c.*+?^$\{}()|[]\\end`,
  'with newline': 'first-line\nsecond-line\r\nthird',
  PEM: `-----BEGIN PRIVATE KEY-----\n${'MIIEvQIBADANBgkqhkiG9w0BAQEFAASC\n'.repeat(8)}-----END PRIVATE KEY-----\n`,
  '4 kB': Array.from({ length: 4096 }, (_, at) => String.fromCharCode(33 + ((at ** 3 % 7919) % 94))).join(''),
  'JSON text': '{"type":"service_account","key":"a\\nb\\"c","n":1}',
  'base64 text': 'dGhpcyBpcyBhIGNhbmFyeSBzZWNyZXQ/Pz8+Pj4=',
  unicode: 'pässwörd-日本-😀-ключ',
  spaces: 'correct horse+battery staple',
  'percent signs': '100%41%2f50%zz',
  backslashes: String.raw`a\nb\u0041\\c\"d`,
  entities: `&amp;<b>"'&#65;&lt;`,
}

const every = (text: string, write: (code: number, character: string) => string) =>
  text.replace(/[\s\S]/g, (character) => write(character.charCodeAt(0), character))
const hex = (code: number, size: number) => code.toString(16).padStart(size, '0')
const bytes = (text: string) => Buffer.from(text, 'utf8')
const percent = (text: string) => [...bytes(text)].map((byte) => `%${hex(byte, 2)}`).join('')
const escapeJson = (text: string) => JSON.stringify(text).slice(1, -1)
const escapeHtml = (text: string) =>
  text.replace(
    /[&<>"']/g,
    (character) => ({ '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;' })[character] ?? '&#39;',
  )

const spellings: Record<string, (secret: string) => string> = {
  raw: (secret) => secret,
  'JSON-escaped': escapeJson,
  'JSON-escaped twice': (secret) => escapeJson(escapeJson(secret)),
  'JSON with escaped slashes': (secret) => escapeJson(secret).replaceAll('/', '\\/'),
  'all \\uXXXX': (secret) => every(secret, (code) => `\\u${hex(code, 4)}`),
  'all \\uXXXX in upper case': (secret) => every(secret, (code) => `\\u${hex(code, 4).toUpperCase()}`),
  'non-ASCII as \\uXXXX': (secret) =>
    escapeJson(secret).replace(/[\u0080-\uffff]/g, (character) => `\\u${hex(character.charCodeAt(0), 4)}`),
  encodeURIComponent: encodeURIComponent,
  'encodeURIComponent in lower case': (secret) =>
    encodeURIComponent(secret).replace(/%../g, (byte) => byte.toLowerCase()),
  'form-encoded': (secret) => new URLSearchParams({ k: secret }).toString().slice(2),
  'every byte percent-encoded': percent,
  'every byte percent-encoded in upper case': (secret) => percent(secret).toUpperCase(),
  'URL-encoded twice': (secret) => encodeURIComponent(encodeURIComponent(secret)),
  'every byte percent-encoded, then URL-encoded': (secret) => encodeURIComponent(percent(secret)),
  'URL-encoded, then JSON-escaped': (secret) => escapeJson(encodeURIComponent(secret)),
  'JSON-escaped, then URL-encoded': (secret) => encodeURIComponent(escapeJson(secret)),
  'escape()': (secret) =>
    every(secret, (code, character) =>
      code > 255 ? `%u${hex(code, 4)}` : /\w/.test(character) ? character : `%${hex(code, 2)}`,
    ),
  HTML: escapeHtml,
  'HTML, then JSON': (secret) => escapeJson(escapeHtml(secret)),
  'decimal entities': (secret) =>
    Array.from(secret, (character) => `&#${character.codePointAt(0)};`).join(''),
  'hexadecimal entities': (secret) =>
    Array.from(secret, (character) => `&#x${character.codePointAt(0)?.toString(16)};`).join(''),
  base64: (secret) => bytes(secret).toString('base64'),
  base64url: (secret) => bytes(secret).toString('base64url'),
  'base64 one byte on': (secret) => bytes(`.${secret}.`).toString('base64'),
  'base64 two bytes on': (secret) => bytes(`..${secret}....`).toString('base64'),
  'basic credentials': (secret) => `Basic ${bytes(`user:${secret}`).toString('base64')}`,
  'base64url of JSON': (secret) => bytes(JSON.stringify({ token: secret })).toString('base64url'),
  'base64 wrapped at 76': (secret) => bytes(secret).toString('base64').replace(/.{76}/g, '$&\r\n'),
  'base64, URL-encoded': (secret) => encodeURIComponent(bytes(secret).toString('base64')),
  'base64 in JSON in JSON': (secret) =>
    escapeJson(JSON.stringify({ a: bytes(secret).toString('base64').replaceAll('/', '\\/') })),
  hex: (secret) => bytes(secret).toString('hex'),
  'hex in upper case': (secret) => bytes(secret).toString('hex').toUpperCase(),
  'hex with colons': (secret) => (bytes(secret).toString('hex').match(/../g) ?? []).join(':'),
  '\\x escapes': (secret) => [...bytes(secret)].map((byte) => `\\x${hex(byte, 2)}`).join(''),
  reversed: (secret) => Array.from(secret).reverse().join(''),
  'reversed, then JSON-escaped': (secret) => escapeJson(Array.from(secret).reverse().join('')),
  'UTF-16 with NUL bytes': (secret) => Buffer.from(secret, 'utf16le').toString('base64'),
}

describe.each(Object.entries(canaries))('a secret (%s)', (_, secret) => {
  const scrubber = createScrubber([secret])

  test.each(Object.entries(spellings))('is taken out when echoed as %s', (name, spell) => {
    const echo = spell(secret)
    const clean = scrubber.text(`before "${echo}" after`)
    expect(clean).toContain(redacted)
    expect(clean).not.toContain(echo)
    // Nothing of it but a few shared bits of a neighbouring byte may be left.
    const left = clean.replaceAll(redacted, '').replace(/^before "|" after$/g, '')
    expect(left.length).toBeLessThan(/JSON|^bas/.test(name) ? 30 : 6)
  })

  test('is taken out of a JSON body and leaves JSON behind', () => {
    const body = { a: `x${secret}y`, [secret]: [secret, { deep: secret }], kept: 'yes', n: 1 }
    const clean = scrubber.body(JSON.stringify(body))
    expect(JSON.parse(clean)).toEqual({
      a: `x${redacted}y`,
      [redacted]: [redacted, { deep: redacted }],
      kept: 'yes',
      n: 1,
    })
  })

  test('is taken out of headers', () => {
    const value = `Bearer ${bytes(secret).toString('latin1')}`
    expect(scrubber.headers([['x-echo', value]])).toEqual([['x-echo', `Bearer ${redacted}`]])
  })

  test('is taken out of a body that is not UTF-8, whose other bytes stay', () => {
    const body = Buffer.concat([Buffer.from([0xff, 0xfe, 0x80]), bytes(secret), Buffer.from([0xc3, 0x28])])
    const { text, isBinary } = readText(body)
    expect(isBinary).toBe(true)
    expect(Buffer.from(scrubber.body(text), 'latin1')).toEqual(
      Buffer.concat([Buffer.from([0xff, 0xfe, 0x80]), bytes(redacted), Buffer.from([0xc3, 0x28])]),
    )
  })

  test('is taken out of a body in UTF-16', () => {
    if (/[^\0-\xff]/.test(secret)) return
    const clean = createScrubber([secret.trim()])
      .body(readText(Buffer.from(`echo: ${secret.trim()}`, 'utf16le')).text)
      .replaceAll('\0', '')
    expect(clean).toBe(`echo: ${redacted}`)
  })
})

describe('a clean answer', () => {
  const scrubber = createScrubber(Object.values(canaries))

  test('comes back as the same text', () => {
    const body = JSON.stringify(
      { a: 'nothing', b: ['%41', '\\', '\u2028', 'c.*'], c: 9007199254740991 },
      null,
      2,
    )
    expect(scrubber.body(body)).toBe(body)
    expect(createScrubber([]).body(body)).toBe(body)
    expect(createScrubber(['']).text('anything')).toBe('anything')
  })

  test('is not damaged by parts that it shares with a secret', () => {
    const jwt = 'eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.'
    const other = `${jwt}eyJzdWIiOiIxIn0.another-signature`
    expect(createScrubber([`${jwt}eyJzdWIiOiIyIn0.this-signature`]).text(other)).toBe(other)
  })
})

describe('JSON that holds a secret outside its strings', () => {
  const scrubber = createScrubber(['123456789', '{"user":"u","key":"k-4711"}'])

  test.each([
    ['{"id":123456789,"ok":true}', { id: redacted, ok: true }],
    ['[99123456789.5, 1]', [redacted, 1]],
    ['{"echo":{"user":"u","key":"k-4711"}}', { echo: redacted }],
    ['{"echo":"\\u0031\\u0032345678\\u0039"}', { echo: redacted }],
    ['123456789', redacted],
  ])('stays JSON: %s', (source, expected) => {
    expect(JSON.parse(scrubber.body(source))).toEqual(expected)
  })

  test('stays JSON when a secret begins inside an escape', () => {
    const body = '{"a":"x\\nabcdef","b":"\\\\nabcdef"}'
    expect(JSON.parse(createScrubber(['nabcdef']).body(body))).toEqual({
      a: `x${redacted}`,
      b: `\\${redacted}`,
    })
  })

  test('is withheld as a whole when the secret cannot be cut out of it', () => {
    const hostile = createScrubber(['"a":"b"'])
    expect(hostile.body('{"a":"b"}')).toBe(JSON.stringify(redacted))
  })
})

describe('a short secret', () => {
  const scrubber = createScrubber(['ab1', 'x'])

  test.each([
    ['{"pin":"ab1"}', `{"pin":"${redacted}"}`],
    ['pin=ab1&y=2', `pin=${redacted}&y=2`],
    ['line\nab1\n', `line\n${redacted}\n`],
    ['"line\\nab1"', `"line\\n${redacted}"`],
    [`{"b":"${btoa('ab1')}"}`, `{"b":"${redacted}"}`],
    ['%61b1', redacted],
    ['x', redacted],
    ['cab1e fab1 xylophone ab12', 'cab1e fab1 xylophone ab12'],
  ])('is taken out only where it stands alone: %s', (source, expected) => {
    expect(scrubber.text(source)).toBe(expected)
  })
})

test('a short secret in every place of a large answer is taken out of each', () => {
  const clean = createScrubber(['7']).body(JSON.stringify(Array(300_000).fill(7)))
  expect(new Set(JSON.parse(clean))).toEqual(new Set([redacted]))
})

test('secrets that overlap in an answer are both taken out whole', () => {
  expect(createScrubber(['abcdefgh', 'ghijklmn']).text('-abcdefghijklmn-')).toBe(`-${redacted}-`)
})

test('a periodic secret against a periodic answer ends soon and lets nothing through', () => {
  const scrubber = createScrubber([`${'a'.repeat(4000)}b`])
  const started = performance.now()
  const clean = scrubber.text('a'.repeat(1_000_000))
  expect(performance.now() - started).toBeLessThan(5_000)
  expect(clean).toBe(redacted)
})

test('no mixture of escapes, character by character, hides a secret', () => {
  const secret = `tok/"en\\ 4&7<1>%1'é`
  const scrubber = createScrubber([secret])
  const writers: ((character: string) => string)[] = [
    (character) => character,
    percent,
    (character) => every(character, (code) => `\\u${hex(code, 4)}`),
    (character) => `&#${character.codePointAt(0)};`,
    (character) => encodeURIComponent(percent(character)),
    escapeJson,
  ]
  const mixture = fc.array(fc.nat(writers.length - 1), { minLength: secret.length, maxLength: secret.length })
  const run = fc.property(mixture, fc.string(), fc.string(), (choices, before, after) => {
    const echo = Array.from(secret, (character, at) => writers[choices[at] ?? 0]?.(character) ?? '').join('')
    fc.pre(!/[\\%&]/.test(before.slice(-12)))
    expect(scrubber.text(`${before} ${echo} ${after}`)).toContain(redacted)
  })
  fc.assert(run, { numRuns: 300 })
})

test('a random secret at a random place is always found and the rest stays', () => {
  const token = fc.string({
    unit: fc.constantFrom(...'ABCDEFGHIJabcdefghij0123456789_-'),
    minLength: 8,
    maxLength: 60,
  })
  const run = fc.property(
    token,
    fc.string({ maxLength: 80 }),
    fc.string({ maxLength: 80 }),
    (secret, before, after) => {
      fc.pre(!`${before} ${after}`.includes(secret))
      expect(createScrubber([secret]).text(`${before} ${secret} ${after}`)).toBe(
        `${before} ${redacted} ${after}`,
      )
    },
  )
  fc.assert(run)
})
