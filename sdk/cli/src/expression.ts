/** TypeScript type expressions as text, put together with the parentheses they need. */

export interface Type {
  readonly text: string
  readonly kind: 'single' | 'union' | 'intersection'
  /** The parts of a union or intersection; itself for a single type. */
  readonly parts: readonly string[]
}

export const single = (text: string): Type => ({ text, kind: 'single', parts: [text] })

export const unknownType = single('unknown')
export const neverType = single('never')

const isOnly = (type: Type, text: string): boolean => type.text === text

export const union = (types: readonly Type[]): Type => {
  if (types.some((type) => isOnly(type, 'unknown'))) return unknownType
  const parts = types
    .filter((type) => !isOnly(type, 'never'))
    .flatMap((type) => (type.kind === 'union' ? type.parts : [inUnion(type)]))
  const unique = [...new Set(parts)]
  const [first = 'never'] = unique
  if (unique.length <= 1) return types.find((type) => type.text === first) ?? single(first)
  return { text: unique.join(' | '), kind: 'union', parts: unique }
}

export const intersection = (types: readonly Type[]): Type => {
  if (types.some((type) => isOnly(type, 'never'))) return neverType
  const parts = types
    .filter((type) => !isOnly(type, 'unknown'))
    .flatMap((type) => (type.kind === 'intersection' ? type.parts : [wrapped(type)]))
  // An object type with members says `object` already.
  const isSaid = parts.some((part) => /^\(?\{/.test(part))
  const unique = [...new Set(parts)].filter((part) => part !== 'object' || !isSaid)
  const [first = 'unknown'] = unique
  if (unique.length <= 1) return types.find((type) => wrapped(type) === first) ?? single(first)
  return { text: unique.join(' & '), kind: 'intersection', parts: unique }
}

export const arrayOf = (item: Type, isReadonly: boolean): Type =>
  single(`${isReadonly ? 'readonly ' : ''}${wrapped(item)}[]`)

const inUnion = ({ text }: Type): string => text

// `readonly T[]` binds weaker than what may follow it.
export const wrapped = ({ text, kind }: Type): string =>
  kind !== 'single' || text.startsWith('readonly ') ? `(${text})` : text
