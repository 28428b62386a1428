import { isRecord, mayBe } from './template-schema.ts'
import {
  type Compilation,
  type Input,
  joinText,
  parseText,
  type Reference,
  readInput,
  wholeReference,
} from './template-text.ts'

/** The JSON text of the body, or null for none. */
export type BodyBuilder = (input: Input) => string | null

/** Makes one value of the body; undefined leaves the member or the item out. */
export type BodyNode = (input: Input) => unknown

/**
 * A body from a template. `members` are the inputs placed in the body by `x-in` without the template naming
 * them: they join its top-level object under their own names. Other inputs that the template does not name
 * are not sent; policies may still want to judge them.
 */
export const templateAsBody = (
  template: unknown,
  node: BodyNode,
  members: readonly string[],
  compilation: Compilation,
): BodyBuilder => {
  if (members.length === 0) {
    if (isTemplated(template)) return (input) => JSON.stringify(node(input)) ?? null
    const text = JSON.stringify(template)
    return () => text
  }
  for (const name of members) {
    const field = `input_schema.properties.${name}.x-in`
    if (!isRecord(template)) compilation.refuse(field, 'body_template is not an object that could take it')
    else if (Object.hasOwn(template, name))
      compilation.refuse(field, 'body_template sets this member already')
  }
  const references = members.map((name) => compilation.input(name))
  return (input) => {
    // Refused above unless the template is an object, and its node makes an object.
    const entries = Object.entries(node(input) as Record<string, unknown>)
    for (const reference of references) {
      const value = readInput(input, reference)
      if (value !== undefined) entries.push([reference.name, value])
    }
    return JSON.stringify(Object.fromEntries(entries))
  }
}

/**
 * Without a template every input that is placed nowhere else is a member of the body, also what an open
 * schema let through undeclared. No input and none declared for the body means no body at all.
 */
export const restAsBody = (elsewhere: ReadonlySet<string>, hasDeclaredMembers: boolean): BodyBuilder => {
  const empty = hasDeclaredMembers ? '{}' : null
  return (input) => {
    const entries = Object.entries(input).filter(([name]) => !elsewhere.has(name))
    return entries.length === 0 ? empty : JSON.stringify(Object.fromEntries(entries))
  }
}

export const compileNode = (template: unknown, field: string, compilation: Compilation): BodyNode => {
  if (typeof template === 'string') return compileLeaf(template, field, compilation)
  if (Array.isArray(template)) {
    const items = template.map((item, index) => compileNode(item, `${field}.${index}`, compilation))
    return (input) => items.map((item) => item(input)).filter((value) => value !== undefined)
  }
  if (isRecord(template)) {
    const members = Object.entries(template).map(([key, value]) => {
      const path = `${field}.${key}`
      if (key.includes('{{')) compilation.refuse(path, 'A key is never templated; write it out')
      return [key, compileNode(value, path, compilation)] as const
    })
    // fromEntries defines own properties, so a key such as __proto__ is plain data here.
    return (input) =>
      Object.fromEntries(
        members.map(([key, node]) => [key, node(input)]).filter(([, value]) => value !== undefined),
      )
  }
  return () => template
}

const compileLeaf = (text: string, field: string, compilation: Compilation): BodyNode => {
  const parts = parseText(text, 'value', field, compilation)
  const reference = wholeReference(parts)
  if (reference) return (input) => readInput(input, reference)
  const references = parts.filter((part): part is Reference => typeof part !== 'string')
  for (const { name, schemas } of references) {
    if (mayBe(schemas, 'object', 'array')) {
      compilation.refuse(field, `"${name}" may be an object or array; it must stand alone in its leaf`)
    }
  }
  return references.length === 0 ? () => text : (input) => joinText(parts, input)
}

const isTemplated = (template: unknown): boolean => {
  if (typeof template === 'string') return template.includes('{{')
  if (typeof template !== 'object' || template === null) return false
  return Object.values(template).some(isTemplated)
}
