import { errorCodes } from '@narrowapi/contract'
import { html } from './html.ts'
import { layout } from './layout.ts'

/** Every error code with an anchor, which the `doc_url` of an error leads to. */
export const errorsPage = (): string => {
  const codes = Object.entries(errorCodes)
  const statuses = [...new Set(codes.map(([, { status }]) => status))]
  const withStatus = (status: number) => codes.filter(([, row]) => row.status === status)
  return layout({
    title: 'NarrowAPI errors',
    root: '../',
    nav: html`${statuses.map(
      (status) => html`<details open><summary><a href="#status-${status}">${status}</a></summary>
<ul>${withStatus(status).map(([code]) => html`<li><a href="#${code}"><code>${code}</code></a></li>`)}</ul></details>`,
    )}`,
    main: html`<section class="intro">
<h1>Errors</h1>
<p class="lead">Decide by the code in <code>error</code>. The <code>message</code> tells a person what to do next.</p>
<p>Codes marked <span class="retry">retry</span> may succeed later without a change to the request; wait for
<code>Retry-After</code> where it is given. Quote <code>request_id</code> when you ask about an error.</p>
</section>
${statuses.map(
  (status) => html`<section>
<h2 id="status-${status}">${status}</h2>
<dl class="fields">${withStatus(status).map(
    ([code, { title, retryable }]) =>
      html`<dt id="${code}"><a href="#${code}"><code>${code}</code></a>${retryable && html` <span class="retry">retry</span>`}</dt>
<dd><p>${title}.</p></dd>
`,
  )}</dl>
</section>`,
)}`,
  })
}
