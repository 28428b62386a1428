import type { Json } from './openapi.ts'

type Print = (value: Json) => string

/**
 * Values as the text of TypeScript in which what stands in them again and again is written once: as constants, which
 * must come before the rest. An object that begins, ends or goes on with all of another one spreads that.
 */
export const toParts = (values: readonly Json[]): { constants: string; print: Print } => {
  const objects = [...new Set(values.flatMap(all).filter(isObject).map(toText))].sort(longestFirst)
  const bases = new Map(
    objects.flatMap((text) => {
      const base = objects.find((other) => other.length < text.length && isRunOf(other, text))
      return base ? [[text, base]] : []
    }),
  )
  const counts = new Map<string, number>()
  const count = (text: string, times: number): void => {
    counts.set(text, (counts.get(text) ?? 0) + times)
    for (const inner of innerOf(JSON.parse(text), bases)) count(toText(inner), times)
  }
  for (const value of values) count(toText(value), 1)
  const repeated = [...counts.keys()].sort(longestFirst).filter((text) => {
    const times = counts.get(text) ?? 0
    if (times < 2 || text.length < SHORTEST) return false
    // What it holds will stand in its constant only.
    for (const inner of innerOf(JSON.parse(text), bases)) count(toText(inner), 1 - times)
    return true
  })
  const names = new Map(repeated.reverse().map((text, index) => [text, `part${index + 1}`]))
  const print: Print = (value) => names.get(toText(value)) ?? printWhole(value, bases, print)
  const constants = repeated.map(
    (text) => `const ${names.get(text)} = ${printWhole(JSON.parse(text), bases, print)}\n`,
  )
  return { constants: constants.join(''), print }
}

/** In characters; a reference to a constant has some too. */
const SHORTEST = 30

/** By the text of an object, the text of the one that it spreads. */
type Bases = ReadonlyMap<string, string>

const printWhole = (value: Json, bases: Bases, print: Print): string => {
  if (Array.isArray(value)) return `[${value.map(print).join(',')}]`
  if (!isObject(value)) return toText(value)
  const base = bases.get(toText(value))
  const inherited = base === undefined ? [] : Object.keys(JSON.parse(base))
  const members = Object.entries(value).flatMap(([key, inner]) => {
    if (base === undefined || !inherited.includes(key)) return `${toText(key)}:${print(inner)}`
    return key === inherited[0] ? `...${print(JSON.parse(base))}` : []
  })
  return `{${members.join(',')}}`
}

/** The lists and objects that are written where a value is. */
const innerOf = (value: Json, bases: Bases): Json[] => {
  const base = isObject(value) && bases.get(toText(value))
  if (!base) return Object.values(isComposed(value) ? value : {}).filter(isComposed)
  const spread = JSON.parse(base)
  const own = Object.entries(value).flatMap(([key, inner]) => (key in spread ? [] : [inner]))
  return [spread, ...own.filter(isComposed)]
}

/** Whether all members of one object stand in another side by side, so that a spread keeps their order. */
const isRunOf = (part: string, whole: string): boolean =>
  part.length >= SHORTEST && whole.includes(part.slice(1, -1)) && isRun(JSON.parse(part), JSON.parse(whole))

const isRun = (part: object, whole: object): boolean => {
  const members = Object.entries(whole).map(toText)
  const wanted = Object.entries(part).map(toText)
  const start = members.indexOf(wanted[0] ?? '')
  return start >= 0 && wanted.every((member, index) => members[start + index] === member)
}

const all = (value: Json): Json[] => [value, ...Object.values(isComposed(value) ? value : {}).flatMap(all)]
const isComposed = (value: Json): value is object & Json => typeof value === 'object' && value !== null
const isObject = (value: Json): value is { readonly [key: string]: Json } =>
  isComposed(value) && !Array.isArray(value)
const toText = (value: unknown): string => JSON.stringify(value)
const longestFirst = (a: string, b: string): number => b.length - a.length
