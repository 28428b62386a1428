import { decodeLayer, decodeLayers, toUnits, type Units, unitsForNow } from './redact-decode.ts'
import type { Form } from './redact-forms.ts'

export type Range = { start: number; end: number }

/** A form shorter than this would be found by chance in ordinary text. */
const shortestFreeForm = 6

const blockLength = 4
const tableSize = 8192

/**
 * Finds many texts at once. Every occurrence of a form covers a whole block of four characters that starts at a
 * multiple of the stride, so it is enough to look at those blocks: a clean text costs one table look-up per
 * stride and layer. The answer is sorted and without overlaps.
 */
export const createSearch = (forms: readonly Form[]): ((text: string) => Range[]) => {
  if (forms.length === 0) return () => none
  const shortest = shortestOf(forms)
  const findLong = createBlockSearch(forms.filter(({ text }) => text.length >= shortestFreeForm))
  const short = forms.filter(({ text }) => text.length < shortestFreeForm).map(({ text }) => toUnits(text))
  return (text) => {
    // Escapes only make a text longer, so nothing hides in one that is shorter than what is searched for.
    if (text.length < shortest) return none
    const layers = decodeLayers(unitsForNow(text))
    const found: Range[] = []
    for (const [depth, layer] of layers.entries()) {
      const here: Range[] = []
      const report: Report = (start, end) => here.push({ start, end })
      findLong(layer, report)
      for (const token of short) findTokens(layer, token, report)
      if (here.length === 0) continue
      for (const range of toSource(here, layers, depth)) found.push(range)
    }
    return found.length === 0 ? none : merge(found)
  }
}

const none: Range[] = []

const shortestOf = (forms: readonly Form[]): number =>
  forms.reduce((least, { text }) => Math.min(least, text.length), Number.POSITIVE_INFINITY)

type Report = (start: number, end: number) => void

/** Ranges of a layer as ranges of the text it was decoded from, layer by layer. */
const toSource = (ranges: readonly Range[], layers: readonly Units[], depth: number): Range[] => {
  let mapped = merge(ranges)
  for (const outer of layers.slice(0, depth).reverse()) {
    const origin = { starts: new Int32Array(outer.length), ends: new Int32Array(outer.length) }
    decodeLayer(outer, origin)
    mapped = mapped.map(({ start, end }) => ({
      start: origin.starts[start] ?? 0,
      end: origin.ends[end - 1] ?? outer.length,
    }))
  }
  return mapped
}

const createBlockSearch = (forms: readonly Form[]): ((text: Units, report: Report) => void) => {
  if (forms.length === 0) return () => undefined
  const stride = Math.min(shortestOf(forms) - blockLength + 1, 64)
  // One chain per block hash: heads index into entries, each entry names the next.
  const heads = new Int32Array(tableSize).fill(-1)
  const entries: { form: Form; units: Units; offset: number; next: number }[] = []
  for (const form of forms) {
    const units = toUnits(form.text)
    for (let offset = 0; offset < stride; offset += 1) {
      const slot = hashBlock(units, offset)
      entries.push({ form, units, offset, next: heads[slot] ?? -1 })
      heads[slot] = entries.length - 1
    }
  }

  return (text, report) => {
    // A periodic secret (aaaa…) against a periodic answer would compare without end. Past this many steps,
    // which honest text never needs, the whole text counts as found: slow is worse than redacted.
    let steps = 16 * text.length + 1_000_000
    for (let at = 0; at + blockLength <= text.length; at += stride) {
      let index = heads[hashBlock(text, at)] ?? -1
      while (index !== -1) {
        const entry = entries[index]
        if (!entry) break
        index = entry.next
        const { form, units } = entry
        const start = at - entry.offset
        const agreed = agreement(text, start, units)
        steps -= agreed + 1
        if (agreed === units.length) {
          const end = start + agreed
          report(
            form.before === 1 && isBase64(text[start - 1]) ? start - 1 : start,
            form.after === 1 && isBase64(text[end]) ? end + 1 : end,
          )
        }
        if (steps < 0) return report(0, text.length)
      }
    }
  }
}

const hashBlock = (units: Units, at: number): number =>
  ((units[at] ?? 0) * 5 +
    (units[at + 1] ?? 0) * 67 +
    (units[at + 2] ?? 0) * 523 +
    (units[at + 3] ?? 0) * 2311) &
  (tableSize - 1)

/** How many units of `form` stand at `start`, compared until the first that differs. */
const agreement = (text: Units, start: number, form: Units): number => {
  if (start < 0 || start + form.length > text.length) return 0
  let agreed = 0
  while (agreed < form.length && text[start + agreed] === form[agreed]) agreed += 1
  return agreed
}

/** A short form counts only where it is a token of its own: no letter, digit or underscore touches it. */
const findTokens = (text: Units, token: Units, report: Report): void => {
  const [first = 0] = token
  for (let at = text.indexOf(first); at !== -1; at = text.indexOf(first, at + 1)) {
    const end = at + token.length
    if (agreement(text, at, token) < token.length) continue
    if (!isWord(text[at - 1]) && !isWord(text[end])) report(at, end)
  }
}

const isDigitOrLetter = (unit: number): boolean =>
  (unit >= 0x30 && unit <= 0x39) || (unit >= 0x41 && unit <= 0x5a) || (unit >= 0x61 && unit <= 0x7a)

const isWord = (unit = 0): boolean => isDigitOrLetter(unit) || unit === 0x5f || unit >= 0x80

/** The alphabets of base64 and base64url. */
const isBase64 = (unit = 0): boolean =>
  isDigitOrLetter(unit) || unit === 0x2b || unit === 0x2f || unit === 0x2d || unit === 0x5f

const merge = (ranges: readonly Range[]): Range[] => {
  const merged: Range[] = []
  for (const range of ranges.toSorted((a, b) => a.start - b.start)) {
    const last = merged.at(-1)
    if (last && range.start <= last.end) last.end = Math.max(last.end, range.end)
    else merged.push({ ...range })
  }
  return merged
}
