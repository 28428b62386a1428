import type { Interface } from './type-text.ts'

/**
 * Interfaces, among other declarations, as text. Fields that stand word for word in another interface come from it
 * with `extends`: editors show them as before, and the package holds them once.
 */
export const printInterfaces = (declarations: readonly (Interface | string)[]): string[] => {
  const interfaces = declarations.filter((one) => typeof one !== 'string')
  const shared = toShared(interfaces)
  const all = [...shared, ...interfaces]
  return [...shared, ...declarations].map((one) => (typeof one === 'string' ? one : print(one, all)))
}

/** Groups of fields that are worth a name of their own. */
const groups = [
  {
    name: 'Resource',
    doc: '/** What all that you create has. */\n',
    fields: ['workspace_id', 'metadata', 'created_at', 'updated_at'],
  },
  { name: 'PageQuery', doc: '/** What every list takes. */\n', fields: ['limit', 'cursor'] },
  {
    name: 'PeriodQuery',
    doc: '/** When what is listed was created. */\n',
    fields: ['created_after', 'created_before'],
  },
  { name: 'SearchQuery', doc: '/** How what is listed is found. */\n', fields: ['search', 'metadata'] },
]

/** Those groups that several interfaces have, in the words of the first. */
const toShared = (interfaces: readonly Interface[]): Interface[] =>
  groups.flatMap(({ fields: names, ...group }) => {
    const texts = interfaces.flatMap(({ fields }) =>
      names.every((name) => name in fields) ? [names.map((name) => [name, fields[name] ?? ''] as const)] : [],
    )
    const [first] = texts
    const same = texts.filter((text) => String(text) === String(first))
    return first && same.length > 1 ? [{ ...group, parameters: '', fields: Object.fromEntries(first) }] : []
  })

const print = (one: Interface, all: readonly Interface[]): string => {
  const bases: Interface[] = []
  for (const base of all.filter((other) => isPart(other, one)).sort(largestFirst))
    if (!bases.some(({ fields }) => Object.keys(base.fields).some((name) => name in fields))) bases.push(base)
  const names = bases.map(({ name, parameters }) => name + parameters.replace(/ extends .*>$/, '>'))
  const own = Object.entries(one.fields).filter(([name]) => !bases.some(({ fields }) => name in fields))
  const body = own.map(([, text]) => text).join('')
  return [
    `${one.doc}export interface ${one.name}${one.parameters}`,
    names.length > 0 ? ` extends ${names.join(', ')}` : '',
    body ? ` {\n${body}}\n` : ' {}\n',
  ].join('')
}

/** Whether one has all fields of the other, and more. One alone is more likely to be the same by chance. */
const isPart = (part: Interface, whole: Interface): boolean => {
  const names = Object.keys(part.fields)
  return (
    names.length > 1 &&
    (names.length < Object.keys(whole.fields).length || groups.some(({ name }) => name === part.name)) &&
    part !== whole &&
    ['', whole.parameters].includes(part.parameters) &&
    names.every((name) => part.fields[name] === whole.fields[name])
  )
}

/** Of those with as many fields, the groups stay in front. */
const largestFirst = (a: Interface, b: Interface): number =>
  Object.keys(b.fields).length - Object.keys(a.fields).length
