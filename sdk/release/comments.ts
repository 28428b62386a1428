/**
 * Documentation comments with each paragraph on one line and no line for the brackets: editors show them alike,
 * and an install is smaller. Lists, code and tags keep their lines.
 */
export const tightComments = (source: string): string =>
  source.replaceAll(/\/\*\*\n[\s\S]*?\n([\t ]*) \*\//g, (comment, indent: string) => {
    const joined: string[] = []
    let isInCode = false
    for (const line of comment.split('\n').slice(1, -1)) {
      const text = line.replace(/^\s*\* ?/, '')
      const before = joined.at(-1)
      if (!isInCode && before && isProse(before) && isProse(text)) joined.push(`${joined.pop()} ${text}`)
      else joined.push(text)
      if (text.startsWith('```')) isInCode = !isInCode
    }
    const end = joined.at(-1) === '```' ? `\n${indent} */` : ' */'
    return `/** ${joined.join(`\n${indent} * `).replaceAll(/ +$/gm, '')}${end}`
  })

const isProse = (line: string): boolean => line !== '' && !/^(?:@|```|[-*#>] |\||\d+\.)/.test(line)
