import { nameOf, type Schema } from './document.ts'
import { type Html, html, inline } from './html.ts'

/** The fields of an object as a definition list; objects inside it can be opened. */
export const fieldsView = ({ properties = {}, required = [] }: Schema): Html =>
  html`<dl class="fields">${Object.entries(properties).map(([name, schema]) =>
    fieldView(name, schema, required.includes(name)),
  )}</dl>`

export const fieldView = (name: string, schema: Schema, isRequired: boolean): Html =>
  html`<dt><code>${name}</code> <span class="type">${typeView(schema)}</span>${
    isRequired && html` <span class="required">required</span>`
  }</dt>
<dd>${schema.description && html`<p>${inline(schema.description)}</p>`}${factsView(schema)}${insideView(schema)}</dd>
`

/** What a type is called, with a link where it is a named schema. */
export const typeView = (schema: Schema): Html => {
  const { $ref, type, items, anyOf, oneOf } = schema
  if ($ref) return html`<a href="#schema-${nameOf($ref)}">${nameOf($ref)}</a>`
  if (schema.const !== undefined) return html`${JSON.stringify(schema.const)}`
  const variants = anyOf ?? oneOf
  if (variants) return joined(variants.map(typeView))
  return joined(
    [type ?? 'any'].flat().map((one) => {
      if (one === 'array' && items) return html`array of ${typeView(items)}`
      return html`${one === 'string' ? (schema.format ?? one) : one}`
    }),
  )
}

const joined = (parts: Html[]): Html => {
  const unique = [...new Set(parts.map((part) => part.html))]
  return { html: unique.join(' or ') }
}

const factsView = (schema: Schema): Html | undefined => {
  const choices = schema.enum ?? schema.items?.enum
  const facts = [
    choices && html`One of ${choices.map((choice) => html`<code>${String(choice)}</code> `)}`,
    schema.default !== undefined && html`Default <code>${JSON.stringify(schema.default)}</code>`,
    rangeOf(schema) && html`${rangeOf(schema)}`,
  ].filter((fact) => fact !== undefined && fact !== false && fact !== '')
  return facts.length > 0
    ? html`<ul class="facts">${facts.map((fact) => html`<li>${fact}</li>`)}</ul>`
    : undefined
}

const rangeOf = ({ minimum, maximum, minLength, maxLength, maxItems }: Schema): string => {
  if (maxItems !== undefined) return `At most ${maxItems} items`
  const [least, most] = [minimum ?? minLength, maximum ?? maxLength]
  const unit = maxLength === undefined ? '' : ' characters'
  if (most === Number.MAX_SAFE_INTEGER || most === undefined)
    return least === undefined ? '' : `At least ${least}${unit}`
  return least === undefined ? `At most ${most}${unit}` : `${least} to ${most}${unit}`
}

/** What is inside a field that is itself an object, a list of objects or one of several objects. */
const insideView = (schema: Schema): Html | undefined => {
  const inner = schema.properties ? schema : schema.items?.properties ? schema.items : undefined
  if (inner) return html`<details><summary>Its fields</summary>${fieldsView(inner)}</details>`
  return undefined
}

/** A named schema on its own. */
export const schemaView = (name: string, schema: Schema): Html => {
  const variants = schema.oneOf ?? []
  return html`<article id="schema-${name}" class="schema">
<h3><a href="#schema-${name}">${name}</a></h3>
${schema.description && html`<p>${inline(schema.description)}</p>`}
${schema.properties ? fieldsView(schema) : html`<p class="type">${typeView(schema)}</p>${factsView(schema)}`}
${variants
  .filter(({ properties }) => properties)
  .map(
    (variant) =>
      html`<details><summary><code>${labelOf(variant)}</code></summary>${fieldsView(variant)}</details>`,
  )}
</article>
`
}

/** Variants are told apart by a property with fixed values. */
const labelOf = ({ properties = {} }: Schema): string => {
  const tag = Object.values(properties).find((property) => property.const !== undefined || property.enum)
  return [tag?.const ?? tag?.enum ?? []].flat().join(', ')
}
