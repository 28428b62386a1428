import type { Entry, Item } from './read.ts'

/** One page for an entry of the package. */
export const printEntry = ({ specifier, items }: Entry): string =>
  [
    `# ${specifier}\n`,
    ...sections.flatMap(({ title, kinds }) => {
      const found = items.filter(({ kind }) => kinds.includes(kind)).sort(byName)
      return found.length === 0 ? [] : [`## ${title}\n`, ...found.map(printItem)]
    }),
  ].join('\n')

const sections: { title: string; kinds: Item['kind'][] }[] = [
  { title: 'Classes', kinds: ['class'] },
  { title: 'Functions', kinds: ['function'] },
  { title: 'Constants', kinds: ['constant'] },
  { title: 'Interfaces', kinds: ['interface'] },
  { title: 'Types', kinds: ['type'] },
]

const byName = (a: Item, b: Item): number => (a.name < b.name ? -1 : 1)

const printItem = (item: Item): string => {
  const { name, signature, members } = item
  const isLong = members.some(({ parameters }) => parameters.length > 0)
  return [
    `### ${name}\n`,
    `\`\`\`ts\n${signature}\n\`\`\`\n`,
    printDescription(item),
    ...(isLong ? members.map(printMethod) : [members.map((member) => printLine(member, '')).join('')]),
  ]
    .filter(Boolean)
    .join('\n')
}

const printMethod = (item: Item): string =>
  [`#### ${item.name}\n`, `\`\`\`ts\n${item.signature}\n\`\`\`\n`, printDescription(item)].join('\n')

const printDescription = ({ text, tags }: Item): string => {
  const parameters = tags.filter(({ name }) => name === 'param')
  const parts = [
    text,
    parameters.map(({ text }) => `- \`${text.replace(' ', '` ')}`).join('\n'),
    ...tags.flatMap(({ name, text }) => {
      if (name === 'param') return []
      if (name === 'example') return text
      return `**${name}** ${text.replace(/^\{(\w+)\}/, '`$1`')}`
    }),
  ]
  return parts.flatMap((part) => (part ? `${part}\n` : [])).join('\n')
}

/** A field and, below it, its own fields. */
const printLine = (item: Item, indent: string): string => {
  const { signature, text, tags, members } = item
  const type = signature.includes('\n') ? `${signature.split(/[:{]/)[0]?.trim()}` : signature
  const notes = tags.map(({ name, text }) => ` (${name}${text && ` \`${text}\``})`).join('')
  const line = `${indent}- \`${type}\` ${text.replaceAll('\n', ' ')}${notes}\n`
  return line + members.map((member) => printLine(member, `${indent}  `)).join('')
}
