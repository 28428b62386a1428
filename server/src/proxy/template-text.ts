import { ApiError, type ErrorDetail } from '../errors.ts'
import { declaredProperties, isRecord, keywordOf, type Schema } from './template-schema.ts'

export type Input = Readonly<Record<string, unknown>>
export type Method = 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE' | 'HEAD'
export type Placement = 'path' | 'query' | 'header' | 'body'

/** A place in the input that a template names: a declared property, or a dotted path into objects. */
export type Reference = {
  readonly name: string
  readonly path: readonly string[]
  readonly schemas: Schema[]
}
export type Part = string | Reference

/** What the compilation of one template shares: the declared inputs, those used so far, the problems. */
export class Compilation {
  readonly problems: ErrorDetail[] = []
  readonly used = new Set<string>()
  readonly declared: ReadonlyMap<string, Schema[]>
  readonly #root: Schema

  constructor(schema: Schema) {
    this.#root = schema
    this.declared = declaredProperties([schema], schema)
  }

  refuse(field: string, message: string): void {
    this.problems.push({ field, message })
  }

  /** A name with dots is first looked up as it is, since a property may be called so. */
  resolve(name: string): Reference | null {
    const path = this.declared.has(name) ? [name] : name.split('.')
    let schemas: Schema[] | undefined
    for (const [depth, key] of path.entries()) {
      const declared = depth === 0 ? this.declared : declaredProperties(schemas ?? [], this.#root)
      schemas = declared.get(key)
      if (!schemas) return null
    }
    this.used.add(path[0] ?? name)
    return { name, path, schemas: schemas ?? [] }
  }

  input(name: string): Reference {
    return { name, path: [name], schemas: this.declared.get(name) ?? [] }
  }

  placement(name: string): Placement | null {
    const placement = keywordOf(this.declared.get(name) ?? [], 'x-in')
    switch (placement) {
      case undefined:
        return null
      case 'path':
      case 'query':
      case 'header':
      case 'body':
        return placement
      default:
        this.refuse(`input_schema.properties.${name}.x-in`, 'Use path, query, header or body')
        return null
    }
  }
}

const braces = {
  url: { open: '{', close: '}' },
  value: { open: '{{', close: '}}' },
} as const

/** Splits a text at its placeholders: `{name}` in a URL, where braces mean nothing else, `{{name}}` elsewhere. */
export const parseText = (
  text: string,
  kind: keyof typeof braces,
  field: string,
  compilation: Compilation,
): Part[] => {
  const { open, close } = braces[kind]
  const parts: Part[] = []
  let at = 0
  while (at < text.length) {
    const start = text.indexOf(open, at)
    const literal = start === -1 ? text.slice(at) : text.slice(at, start)
    if (literal !== '') parts.push(literal)
    if (kind === 'url' && literal.includes(close)) compilation.refuse(field, 'Close each { with one }')
    if (start === -1) break
    const end = text.indexOf(close, start + open.length)
    const name = text.slice(start + open.length, end === -1 ? undefined : end).trim()
    if (end === -1 || name === '' || name.includes('{') || name.includes('}')) {
      compilation.refuse(field, `Write a placeholder as ${open}name${close}`)
      break
    }
    const reference = compilation.resolve(name)
    if (reference) parts.push(reference)
    else compilation.refuse(field, `"${name}" is not a property of input_schema; declare it or remove it`)
    at = end + close.length
  }
  return parts
}

/** The reference of a template that is one placeholder and nothing else: it takes the value as it is. */
export const wholeReference = (parts: readonly Part[]): Reference | null => {
  const [only, ...others] = parts
  return typeof only === 'object' && others.length === 0 ? only : null
}

export const readInput = (input: Input, { path }: Reference): unknown => {
  let value: unknown = input
  for (const key of path) {
    if (!isRecord(value) || !Object.hasOwn(value, key)) return undefined
    value = value[key]
  }
  return value
}

/** The string form of a scalar; what is absent or null is the empty string. */
export const stringForm = (value: unknown, name: string): string => {
  switch (typeof value) {
    case 'string':
      return value
    case 'number':
    case 'boolean':
      return String(value)
    default:
      if (value === undefined || value === null) return ''
      throw cannotPlace(name, 'An object or array cannot be written as text here; send a scalar')
  }
}

export const joinText = (parts: readonly Part[], input: Input): string => {
  let text = ''
  for (const part of parts) {
    text += typeof part === 'string' ? part : stringForm(readInput(input, part), part.name)
  }
  return text
}

export const cannotPlace = (field: string, message: string): ApiError =>
  new ApiError('validation_failed', 'The input cannot be placed in the upstream request', {
    details: [{ field, message }],
  })
