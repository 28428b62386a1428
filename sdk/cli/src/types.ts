import type { Constraint } from '@narrowapi/sdk'
import { documentation } from './documentation.ts'
import { arrayOf, intersection, neverType, single, type Type, union, unknownType } from './expression.ts'
import {
  ALL_KINDS,
  allOf,
  choicesOf,
  isBranched,
  isConditional,
  isPlain,
  type Kind,
  kindsOf,
  moreOf,
  propertiesOf,
  requiredOf,
  takesNothing,
} from './facts.ts'
import { typeNameOf } from './names.ts'
import { Problem } from './problem.ts'
import { follow, isEndless, isObject, type JsonSchema, wordOf } from './reference.ts'
import { isAbsent, noRules, type Rules, rulesOf, whole } from './rules.ts'
import { comment, keyText, literal } from './text.ts'

export interface Declared {
  /** `type` declarations, the asked one first. */
  readonly text: string
  /** Whether `{}` has the type. */
  readonly isOptional: boolean
}

export interface Wanted {
  readonly name: string
  readonly schema: JsonSchema
  /** What is sent may have `undefined` where it may be absent, and read-only lists. */
  readonly io: 'input' | 'output'
  readonly constraints: readonly Constraint[]
  /** The first paragraph of its documentation. */
  readonly about: string
  /** A name for a further type that no other has. */
  uniqueName(wish: string): string
}

/**
 * JSON Schema 2020-12 as TypeScript types. A type never refuses what its schema accepts, and accepts as little
 * else as TypeScript can say; the rest is documentation.
 */
export const declareTypes = ({ name, schema, io, constraints, about, uniqueName }: Wanted): Declared => {
  const rules = rulesOf(constraints)
  // A schema that names itself means the whole of it, and never only what the constraints leave.
  const names = new Map<unknown, string>(rules === noRules ? [[schema, name]] : [])
  /** The constraints that stand beside what they speak of. */
  const told = new Set<Constraint>(rules.here)
  let printed = 0
  const waiting: [name: string, schema: unknown][] = []

  const nameOf = (ref: string): string => {
    const target = follow(schema, ref)
    const known = names.get(target)
    if (known !== undefined) return known
    const own = uniqueName(`${name}${typeNameOf(`${wordOf(ref)} type`).replace(/Type$/, '') || 'Part'}`)
    names.set(target, own)
    waiting.push([own, target])
    return own
  }

  const print = (schemaPart: unknown, place: Place): Type => {
    if (place.depth > MAX_DEPTH) throw new Problem(`A schema is nested more than ${MAX_DEPTH} deep`)
    // Definitions that name others twice would double with each of them.
    printed += 1
    if (printed > MAX_PARTS) throw new Problem(`A schema has more than ${MAX_PARTS} parts`)
    if (schemaPart === false) return neverType
    const part = isObject(schemaPart) ? schemaPart : {}
    const here = { ...place, kinds: kindsOfAll(part, place.kinds), depth: place.depth + 1 }
    const branch = {
      ...here,
      isBranch: true,
      isClosed: place.isClosed || part.additionalProperties === false || part.unevaluatedProperties === false,
      inherited: Object.assign({}, place.inherited, ...allOf(part).map(propertiesOf), propertiesOf(part)),
    }
    const alternatives = [part.anyOf, part.oneOf].filter((branches) => Array.isArray(branches))
    return intersection([
      printOwn(part, { ...here, isClosed: branch.isClosed }),
      ...(typeof part.$ref === 'string' ? [printReference(part.$ref, branch)] : []),
      ...allOf(part).map((one) => print(one, branch)),
      ...alternatives.map((branches) => union(branches.map((one: unknown) => print(one, branch)))),
    ])
  }

  /** Also what its references and `allOf` say, since all of them hold. */
  const kindsOfAll = (part: JsonSchema, around: readonly Kind[]): readonly Kind[] => {
    const others = [...allOf(part)]
    if (typeof part.$ref === 'string') others.push(follow(schema, part.$ref))
    return others.filter(isObject).reduce((kinds, one) => kindsOf(one, kinds), kindsOf(part, around))
  }

  const printReference = (ref: string, place: Place): Type => {
    const target = follow(schema, ref)
    if (isEndless(schema, target)) return unknownType
    // Rules speak of one place; a named type may stand at several.
    return place.rules === noRules ? single(nameOf(ref)) : print(target, place)
  }

  /** What a schema says by itself, without its references and branches. */
  const printOwn = (part: JsonSchema, place: Place): Type => {
    const choices = choicesOf(part, place.kinds, place.rules)
    if (choices) return union(choices.map((choice) => printValue(choice)))
    const isSilent = isPlain(part) && part.type === undefined
    if (isSilent && (place.kinds === ALL_KINDS || place.isBranch || isBranched(part))) return unknownType
    return union(
      place.kinds.map((kind) => {
        if (kind === 'integer') return single('number')
        if (kind === 'array') return printArray(part, place)
        if (kind !== 'object') return single(kind)
        // What its branches do not name must not be let in by the rest of it.
        return isPlain(part) && (place.isBranch || isBranched(part)) ? objectType : printObject(part, place)
      }),
    )
  }

  const printArray = (part: JsonSchema, place: Place): Type => {
    const isReadonly = io === 'input'
    const inner = { ...start(place), rules: place.rules.items ?? noRules }
    const first = Array.isArray(part.prefixItems) ? part.prefixItems : []
    if (first.length === 0) return arrayOf(print(part.items, inner), isReadonly)
    const required = typeof part.minItems === 'number' ? part.minItems : 0
    const types = first.map((one) => print(one, inner).text)
    const isEnd = part.items === false || (typeof part.maxItems === 'number' && part.maxItems <= first.length)
    const rest = isEnd ? null : arrayOf(print(part.items, inner), false).text
    // TypeScript calls a type circular that refers to itself in `(T)?`, which has no name, or in the rest of a tuple
    // none of whose items is an alias. `NoInfer` is one and changes nothing.
    const isRecursive = rest !== null && [...names.values()].some((known) => rest.includes(known))
    const items = types.map((text, index) => {
      const label = `item${index + 1}${index < required ? '' : '?'}`
      return `${label}: ${isRecursive && index === 0 ? `NoInfer<${text}>` : text}`
    })
    if (rest !== null) items.push(`...others: ${rest}`)
    return single(`${isReadonly ? 'readonly ' : ''}[${items.join(', ')}]`)
  }

  const printObject = (part: JsonSchema, place: Place): Type => {
    const own = propertiesOf(part)
    const required = requiredOf(part, place.rules)
    const indent = `${place.indent}  `
    const inner = { ...start(place), indent }
    // A name that is only required has its type from around this branch.
    const names = [...new Set([...Object.keys(own), ...required])].filter((key) => key !== '__proto__')
    const values: Type[] = []
    const members = names.map((key) => {
      const isOwn = Object.hasOwn(own, key)
      const memberSchema = isOwn ? own[key] : place.inherited[key]
      const memberRules = place.rules.members.get(key) ?? noRules
      const type = isAbsent(memberRules) ? neverType : print(memberSchema, { ...inner, rules: memberRules })
      const isOptional = !required.has(key)
      const mayBeUndefined = isOptional && io === 'input' && type.text !== 'unknown'
      const shown = mayBeUndefined ? union([type, single('undefined')]) : type
      values.push(shown)
      if (isOwn) for (const rule of memberRules.here) told.add(rule)
      const doc = isOwn ? comment(...documentation(memberSchema, memberRules, part, key), indent) : ''
      return `${doc}${indent}${keyText(key)}${isOptional ? '?' : ''}:${spread(shown, indent)}\n`
    })
    const { isBranch, isClosed } = place
    const others = printOthers(part, { ...inner, isBranch, isClosed }, names.length > 0)
    if (others) {
      // TypeScript wants every named member to have the type of the others too.
      const isMixed = required.size < names.length && io === 'output'
      const all = union([others, ...values, ...(isMixed ? [single('undefined')] : [])])
      members.push(`${indent}[key: string]: ${all.text}\n`)
    }
    if (members.length === 0) return moreOf(part) === false ? single('{ [key: string]: never }') : objectType
    if (names.length === 0) return single(`{ ${members.join('').trim()} }`)
    return single(`{\n${members.join('')}${place.indent}}`)
  }

  /** The type of members without a name; null when there are none to write down. */
  const printOthers = (part: JsonSchema, place: Place, hasNames: boolean): Type | null => {
    const patterns = isObject(part.patternProperties) ? Object.values(part.patternProperties) : []
    const inner = start(place)
    const more = moreOf(part)
    const isOpen = more === undefined ? !place.isClosed || isConditional(part) : more === true
    // Whoever reads an answer gains nothing from members it may have besides.
    if (patterns.length === 0 && !isObject(more) && hasNames && (io === 'output' || !isOpen)) return null
    const types = patterns.map((pattern) => print(pattern, inner))
    // What is named beside this part is of a type of its own.
    const isPart = more === undefined && (place.isBranch || isBranched(part))
    if (isObject(more)) types.push(print(more, inner))
    else if (isOpen || (isPart && patterns.length > 0)) types.push(unknownType)
    return types.length === 0 ? null : union(types)
  }

  const printValue = (value: unknown): Type => {
    if (typeof value === 'string') return single(literal(value))
    if (Array.isArray(value))
      return single(`readonly [${value.map((one) => printValue(one).text).join(', ')}]`)
    if (isObject(value)) {
      const members = Object.entries(value).map(([key, one]) => `${keyText(key)}: ${printValue(one).text}`)
      return single(members.length === 0 ? '{ [key: string]: never }' : `{ ${members.join('; ')} }`)
    }
    // Numbers beyond what JSON can hold arrive as Infinity, which is no literal.
    return single(typeof value === 'number' && !Number.isFinite(value) ? 'number' : JSON.stringify(value))
  }

  const declare = (declared: string, part: unknown, place: Place, about: string): string => {
    const type = isEndless(schema, part) ? endless(part) : print(part, place)
    const [own, tags] = documentation(part, place.rules)
    const untold = place.rules === noRules ? [] : constraints.filter((rule) => !told.has(rule))
    const paragraphs = [about, ...own, ...untold.map((rule) => `Accepted: ${whole(rule)}.`)].filter(
      (one) => one !== '',
    )
    return `${comment(paragraphs, tags, '')}export type ${declared} =${spread(type, '')}\n`
  }

  const place: Place = { ...start({ indent: '', depth: 0 }), rules: noRules }
  const texts = [declare(name, schema, { ...place, rules }, about)]
  for (let next = waiting.shift(); next; next = waiting.shift())
    texts.push(declare(next[0], next[1], place, ''))
  return { text: texts.join('\n'), isOptional: takesNothing(schema, rules) }
}

/** Where a schema stands: what is known about its value from around it. */
interface Place {
  readonly indent: string
  readonly depth: number
  readonly kinds: readonly Kind[]
  /** Whether it is a branch of a schema that speaks of the same value. */
  readonly isBranch: boolean
  /** Whether a schema around this branch refuses members it does not name. */
  readonly isClosed: boolean
  /** The properties that schemas around this branch declare for the same value. */
  readonly inherited: JsonSchema
  readonly rules: Rules
}

/** The place of a part of the value, of which nothing is known yet. */
const start = ({ indent, depth }: Pick<Place, 'indent' | 'depth'>): Place => ({
  indent,
  depth,
  kinds: ALL_KINDS,
  isBranch: false,
  isClosed: false,
  inherited: {},
  rules: noRules,
})

/** Behind a colon or an equals sign; a long union gets a line for each part. */
const spread = ({ text, kind, parts }: Type, indent: string): string =>
  kind === 'union' && text.length > 80 && !text.includes('\n')
    ? parts.map((part) => `\n${indent}  | ${part}`).join('')
    : ` ${text}`

const objectType = single('object')

/** What leads back to itself says no more than its `type`. */
const endless = (part: unknown): Type => (isObject(part) && part.type === 'object' ? objectType : unknownType)

const MAX_DEPTH = 100
const MAX_PARTS = 50_000
