/** Text of others, such as names and descriptions, made safe to stand in code and in comments. */

/** As a literal: with single quotes, and nothing in it that ends it or that an editor would not show. */
export const literal = (value: string): string => {
  const escaped = JSON.stringify(value)
    .slice(1, -1)
    .replace(/\\.|'/g, (part) => (part === '\\"' ? '"' : part === "'" ? "\\'" : part))
  return `'${visible(escaped)}'`
}

export const keyText = (key: string): string => (/^[A-Za-z_$][\w$]*$/.test(key) ? key : literal(key))

/** A JSON value as a person would write it in code. */
export const valueText = (value: unknown): string => {
  if (typeof value === 'string') return literal(value)
  if (Array.isArray(value)) return `[${value.map(valueText).join(', ')}]`
  if (typeof value !== 'object' || value === null) return String(value)
  const members = Object.entries(value).map(([key, one]) => `${keyText(key)}: ${valueText(one)}`)
  return members.length === 0 ? '{}' : `{ ${members.join(', ')} }`
}

/** A tag of a doc comment, such as `default`, and what it says. */
export type Tag = readonly [name: 'default' | 'deprecated' | 'example', text: string]

/** A doc comment of these paragraphs and tags; nothing when there are none. */
export const comment = (paragraphs: readonly string[], tags: readonly Tag[], indent: string): string => {
  const body = paragraphs.map(harmless).join('\n')
  const ends = tags.map(
    ([name, text]) => `@${name}${text === '' ? '' : name === 'example' ? '\n' : ' '}${harmless(text)}`,
  )
  const parts = [body, ...ends].filter((part) => part !== '')
  if (parts.length === 0) return ''
  const lines = wrap(parts.join('\n'), 106 - indent.length)
  if (lines.length === 1) return `${indent}/** ${lines[0]} */\n`
  return `${indent}/**\n${lines.map((line) => `${indent} *${line && ` ${line}`}\n`).join('')}${indent} */\n`
}

/** As code inside a comment. */
export const code = (text: string): string => {
  // A backtick would end it, so text with one stands in quotes instead.
  return text.includes('`') ? JSON.stringify(text) : `\`${text}\``
}

export const sentence = (text: string): string => {
  const trimmed = text.trim()
  return trimmed === '' || /[.:?!…]$/.test(trimmed) ? trimmed : `${trimmed}.`
}

/** Shows characters that change what a reader sees and not what there is, such as those that reverse a line. */
export const visible = (text: string): string =>
  text.replace(/(?!\n)[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu, (character) => {
    const hex = (character.codePointAt(0) ?? 0).toString(16)
    return hex.length > 4 ? `\\u{${hex}}` : `\\u${hex.padStart(4, '0')}`
  })

/**
 * Cannot end the comment, and says nothing to tools that read tags such as `@deprecated`, bundlers that drop calls after
 * `#__NO_SIDE_EFFECTS__`, and whoever looks for a `# sourceMappingURL`.
 */
const harmless = (text: string): string =>
  visible(
    text
      .toWellFormed()
      .replace(/\r\n?|[\u2028\u2029]/g, '\n')
      .replaceAll('\t', ' '),
  )
    .replaceAll('*/', '*\\/')
    .replace(/(^|[\s{])@/g, '$1\\@')
    .replace(/[#@](?=__|\s*source)/g, '$&\\')
    .trim()

const wrap = (text: string, width: number): string[] =>
  text.split('\n').flatMap((line) => {
    const lines: string[] = []
    let current = ''
    for (const word of line.trimEnd().split(' ')) {
      if (current !== '' && current.length + 1 + word.length > width) {
        lines.push(current)
        current = word
      } else current = current === '' ? word : `${current} ${word}`
    }
    return [...lines, current]
  })
