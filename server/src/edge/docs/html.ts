/** HTML that is already safe to send. */
export type Html = { readonly html: string }

type Part = Html | string | number | undefined | false | readonly Part[]

/** A template whose values are escaped, unless they are HTML themselves. */
export const html = (strings: TemplateStringsArray, ...parts: Part[]): Html => ({
  html: strings.reduce((text, string, index) => text + print(parts[index - 1]) + string),
})

const print = (part: Part): string => {
  if (part === undefined || part === false) return ''
  if (typeof part === 'string' || typeof part === 'number') return escapeHtml(String(part))
  // An array is not narrowed away from Html by Array.isArray, as it is read-only.
  return 'html' in part ? part.html : part.map(print).join('')
}

const escapeHtml = (text: string): string =>
  text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;').replaceAll('"', '&quot;')

/** The little Markdown that the contract's texts use: headings, paragraphs, bold and code. */
export const markdown = (text: string): Html => ({
  html: text
    .split(/\n\n|(?<=^## .*)\n/m)
    .map((block) =>
      block.startsWith('## ') ? `<h3>${inline(block.slice(3)).html}</h3>` : `<p>${inline(block).html}</p>`,
    )
    .join('\n'),
})

export const inline = (text: string): Html => ({
  html: escapeHtml(text)
    .replaceAll(/`([^`]+)`/g, '<code>$1</code>')
    .replaceAll(/\*\*([^*]+)\*\*/g, '<strong>$1</strong>'),
})
