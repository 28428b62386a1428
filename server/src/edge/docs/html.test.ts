import { expect, test } from 'vitest'
import { html, inline, markdown } from './html.ts'

test('escapes whatever is not HTML already', () => {
  const attack = '"><script>alert(1)</script>'
  expect(html`<a title="${attack}">${[attack, html`<b>${1}</b>`]}</a>`.html).toBe(
    '<a title="&quot;&gt;&lt;script&gt;alert(1)&lt;/script&gt;">&quot;&gt;&lt;script&gt;alert(1)&lt;/script&gt;<b>1</b></a>',
  )
})

test('prints nothing for what is absent', () => {
  expect(html`[${undefined}${false}${[]}]`.html).toBe('[]')
})

test('knows headings, paragraphs, bold and code, and escapes inside them', () => {
  expect(markdown('## Lists\nA **page** of `a<b`.\n\nNext.').html).toBe(
    '<h3>Lists</h3>\n<p>A <strong>page</strong> of <code>a&lt;b</code>.</p>\n<p>Next.</p>',
  )
  expect(inline('`<img>`').html).toBe('<code>&lt;img&gt;</code>')
})
