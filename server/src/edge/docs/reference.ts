import { type Content, type Document, type Entry, entriesOf, nameOf, type Response } from './document.ts'
import { type Html, html, inline, markdown } from './html.ts'
import { layout } from './layout.ts'
import { fieldsView, fieldView, schemaView, typeView } from './schema-view.ts'

/**
 * The API reference: one page of plain HTML without scripts, so that it works offline and behind the
 * strictest policy, can be searched with the browser, and loads as fast as its text.
 */
export const referencePage = (document: Document, publicUrl: string): string => {
  const entries = entriesOf(document)
  const ofTag = (name: string) => entries.filter(({ tag }) => tag === name)
  const schemas = Object.entries(document.components.schemas).filter(([name]) => !/.Error$/.test(name))
  return layout({
    title: `${document.info.title} reference`,
    root: '',
    nav: html`<a href="#main">Introduction</a>
${document.tags.map(
  (tag) => html`<details open><summary><a href="#${tag.name}">${tag['x-displayName']}</a></summary>
<ul>${ofTag(tag.name).map(
    ({ id, method, operation }) =>
      html`<li><a href="#${id}">${operation.summary} <span class="method ${method}">${method}</span></a></li>`,
  )}</ul></details>`,
)}
<details><summary><a href="#schemas">Objects</a></summary>
<ul>${schemas.map(([name]) => html`<li><a href="#schema-${name}">${name}</a></li>`)}</ul></details>`,
    main: html`<section class="intro">
<h1>${document.info.title} <small>${document.info.version}</small></h1>
<p class="lead">${document.info.summary}</p>
<p>Base URL <code>${publicUrl}</code></p>
${markdown(document.info.description)}
</section>
${document.tags.map(
  (tag) => html`<section>
<h2 id="${tag.name}">${tag['x-displayName']}</h2>
<p>${inline(tag.description)}</p>
${ofTag(tag.name).map((entry) => operationView(entry, document.components, publicUrl))}
</section>`,
)}
<section>
<h2 id="schemas">Objects</h2>
${schemas.map(([name, schema]) => schemaView(name, schema))}
</section>`,
  })
}

const operationView = (entry: Entry, { schemas }: Document['components'], publicUrl: string): Html => {
  const { id, method, path, operation, parameters, codes } = entry
  const body = operation.requestBody?.content
  return html`<article id="${id}" class="operation">
<h3><a href="#${id}">${operation.summary}</a></h3>
<p class="endpoint"><span class="method ${method}">${method}</span> <code>${path}</code></p>
<div class="halves">
<div>
<p>${inline(operation.description)}</p>
<p class="auth">${credentialOf(entry)}</p>
${['path', 'query', 'header'].map((place) => {
  const found = parameters.filter((parameter) => parameter.in === place)
  return (
    found.length > 0 &&
    html`<details ${place !== 'header' && found.length < 4 && 'open'}><summary>${headings[place]} <span class="count">${found.length}</span></summary>
<dl class="fields">${found.map(({ name, schema, description, required }) =>
      fieldView(name, { ...schema, description }, required === true),
    )}</dl></details>`
  )
})}
${body && bodyView(body, schemas)}
<h4>Answers</h4>
<dl class="fields">${Object.entries(operation.responses).map(
    ([status, response]) => !('$ref' in response) && answerView(status, response),
  )}</dl>
<p class="codes">Errors ${codes.map((code) => html`<a href="docs/errors#${code}"><code>${code}</code></a> `)}</p>
</div>
<div class="examples">
<figure><figcaption>Request</figcaption><pre><code>${curl(entry, publicUrl)}</code></pre></figure>
${exampleView(operation.responses)}
</div>
</div>
</article>
`
}

const headings: Record<string, string> = { path: 'In the path', query: 'In the query', header: 'Headers' }

const credentialOf = ({ operation }: Entry): Html => {
  const [security] = operation.security
  if (!security) return html`No credential needed`
  if ('executionToken' in security) return html`Execution token <code>sxt_…</code>`
  return html`API key <code>sk_…</code>`
}

const bodyView = (content: Content, schemas: Document['components']['schemas']): Html => {
  const { schema } = content['application/json']
  const named = schema.$ref ? schemas[nameOf(schema.$ref)] : schema
  const fields = Object.keys(named?.properties ?? {}).length
  if (!named || fields === 0) {
    return html`<h4>Body</h4><p>${schema.description ?? 'An empty object, or nothing'}</p>`
  }
  return html`<details ${fields < 6 && 'open'}><summary>Body <span class="count">${fields}</span></summary>
${named.description && html`<p>${inline(named.description)}</p>`}${fieldsView(named)}</details>`
}

const answerView = (status: string, { description, content }: Response): Html =>
  html`<dt><code>${status}</code> <span class="type">${content && typeView(content['application/json'].schema)}</span></dt>
<dd><p>${inline(description)}</p></dd>
`

const exampleView = (responses: Entry['operation']['responses']): Html | undefined => {
  const [status, response] = Object.entries(responses)[0] ?? []
  const examples =
    response && 'content' in response ? response.content?.['application/json'].examples : undefined
  const [example] = Object.values(examples ?? {})
  return example
    ? html`<figure><figcaption>Answer <code>${status}</code></figcaption><pre><code>${JSON.stringify(example.value, null, 2)}</code></pre></figure>`
    : undefined
}

/** A call that works when it is pasted, once the credential is in the environment. */
const curl = ({ method, path, operation, parameters }: Entry, publicUrl: string): string => {
  const [security] = operation.security
  const [body] = Object.values(operation.requestBody?.content['application/json'].examples ?? {})
  const filled = path.replaceAll(/\{(\w+)\}/g, (_, name: string) => {
    const schema = parameters.find((parameter) => parameter.in === 'path' && parameter.name === name)?.schema
    const [example] = (schema as { examples?: unknown[] } | undefined)?.examples ?? []
    return String(example ?? 1)
  })
  const lines = [
    `curl ${method === 'GET' ? '' : `-X ${method} `}${publicUrl}${filled}`,
    ...(security
      ? [`-H "Authorization: Bearer $${'apiKey' in security ? 'NARROWAPI_API_KEY' : 'NARROWAPI_TOKEN'}"`]
      : []),
    ...(body ? [`--json '${JSON.stringify(body.value, null, 2).replaceAll("'", "'\\''")}'`] : []),
  ]
  return lines.join(' \\\n  ')
}
