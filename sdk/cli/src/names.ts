import { Problem } from './problem.ts'

/** `refund-a-charge` as a function: `refundACharge`. A word that JavaScript gives a meaning gets a `_` behind it. */
const functionNameOf = (slug: string): string => {
  const name = joined(slug)
  const lower = `${name.charAt(0).toLowerCase()}${name.slice(1)}`
  return RESERVED.has(lower) ? `${lower}_` : asStart(lower)
}

/** `refund-a-charge` as a type: `RefundACharge`. */
export const typeNameOf = (slug: string): string => asStart(joined(slug))

/** The name each action gets; the given ones win. Two of one name would hide each other, so that is refused. */
export const nameFunctions = (
  slugs: readonly string[],
  given: ReadonlyMap<string, string>,
): Map<string, string> => {
  const names = new Map<string, string>()
  const owners = new Map<string, string>()
  for (const slug of slugs) {
    const name = given.get(slug) ?? functionNameOf(slug)
    const owner = owners.get(typeNameOf(name))
    if (owner !== undefined) {
      throw new Problem(
        `The actions ${quoted(owner)} and ${quoted(slug)} would both be the function ${name}. ` +
          'Give one of them another name: --name <slug>=<function>',
      )
    }
    owners.set(typeNameOf(name), slug)
    names.set(slug, name)
  }
  for (const slug of given.keys()) {
    if (!names.has(slug)) throw new Problem(`--name: this token may run no action ${quoted(slug)}`)
  }
  return names
}

export const isFunctionName = (name: string): boolean =>
  /^[A-Za-z_$][\w$]*$/.test(name) && !RESERVED.has(name) && !IMPORTED.includes(name)

/** What a written file has from `@narrowapi/sdk`. */
export const IMPORTED = ['Call', 'NarrowAPI', 'RequestOptions']

/** A name that no earlier call was given. */
export const uniqueNames = (taken: Iterable<string>): ((wish: string) => string) => {
  const used = new Set(taken)
  return (wish) => {
    let name = wish
    for (let number = 2; used.has(name); number += 1) name = `${wish}${number}`
    used.add(name)
    return name
  }
}

export const quoted = (text: string): string => JSON.stringify(text.slice(0, 100))

/** Whatever cannot stand in a name parts words. */
const joined = (slug: string): string => {
  const words = slug.normalize('NFC').match(/[\p{L}\p{Nl}\p{Nd}]+/gu)
  if (words === null)
    throw new Problem(`The action ${quoted(slug)} has no letter or digit to name a function by`)
  return words.map((word) => `${word.charAt(0).toUpperCase()}${word.slice(1)}`).join('')
}

const asStart = (name: string): string => (/^[\p{Nd}]/u.test(name) ? `_${name}` : name)

/** Words of the language, and `then`: `await import` calls what a module exports by that name. */
const RESERVED = new Set(
  `arguments await break case catch class const continue debugger default delete do else enum eval export exports
  extends   false finally for function if implements import in instanceof interface let new null package private protected
  public require return static super switch then this throw true try typeof undefined var void while with yield`.split(
    /\s+/,
  ),
)
