import { ApiError } from '../errors.ts'
import { type BodyBuilder, type BodyNode, compileNode, restAsBody, templateAsBody } from './template-body.ts'
import { compileHeader, type HeaderTemplate, headerNameProblem, referenceHeader } from './template-headers.ts'
import type { Schema } from './template-schema.ts'
import { Compilation, cannotPlace, type Input, type Method, type Placement } from './template-text.ts'
import {
  buildPath,
  compileParameter,
  compileUrl,
  type QueryParameter,
  referenceParameter,
} from './template-url.ts'

export type RequestTemplate = {
  method: Method
  /** Absolute; `{name}` in the path is one segment or part of one, in the query one value or part of one. */
  target_url: string
  query: Record<string, string> | null
  headers: Record<string, string> | null
  body_template: unknown
  /** JSON Schema 2020-12 of an object; a property may say `x-in` and `x-sensitive`. */
  input_schema: Schema
}

/** `path` carries the query; `headers` is a flat list of names, in lower case, and values. */
export type BuiltRequest = {
  origin: string
  method: string
  path: string
  headers: string[]
  body: string | null
}

export type CompiledTemplate = {
  readonly origin: string
  /** Every header that the template or an input may set, in lower case. */
  readonly headerNames: ReadonlySet<string>
  /** Every query parameter that the template or an input may set. */
  readonly queryNames: ReadonlySet<string>
  /** `input` has passed the action's schema; only what cannot be put on the wire is refused here. */
  build(input: Input): BuiltRequest
}

/**
 * Turns a template into a builder, once per action version: what depends on the template alone is decided
 * and written here, so that a request costs little more than the encoding of its values. Every problem is
 * reported at once, named by its field.
 */
export const compileTemplate = (template: RequestTemplate): CompiledTemplate => {
  const compilation = new Compilation(template.input_schema)
  const { origin, path, query: urlQuery } = compileUrl(template.target_url, compilation)
  const query: [field: string, parameter: QueryParameter][] = [
    ...urlQuery.map((parameter): [string, QueryParameter] => ['target_url', parameter]),
    ...Object.entries(template.query ?? {}).map(([name, text]): [string, QueryParameter] => {
      const field = `query.${name}`
      return [field, compileParameter(name, text, field, compilation)]
    }),
  ]
  const headers = Object.entries(template.headers ?? {}).map(([name, text]): [string, HeaderTemplate] => {
    const field = `headers.${name}`
    return [field, compileHeader(name, text, field, compilation)]
  })
  const node = compileNode(template.body_template, 'body_template', compilation)
  const unnamed = placeUnnamed(template, compilation)

  for (const name of unnamed.query) {
    const field = `input_schema.properties.${name}`
    query.push([field, referenceParameter(name, compilation.input(name), field, compilation)])
  }
  for (const name of unnamed.header) {
    const field = `input_schema.properties.${name}`
    const problem = headerNameProblem(name)
    if (problem) compilation.refuse(field, problem)
    if (name.toLowerCase() === 'content-type') compilation.refuse(field, 'The content type is not an input')
    headers.push([field, referenceHeader(name, compilation.input(name), field, compilation)])
  }
  refuseRepeats(
    query.map(([field, { name }]) => [field, name]),
    'query parameter',
    compilation,
  )
  refuseRepeats(
    headers.map(([field, { name }]) => [field, name]),
    'header',
    compilation,
  )

  const elsewhere = new Set([...compilation.used, ...unnamed.query, ...unnamed.header])
  const buildBody = bodyBuilder(template, node, elsewhere, unnamed.body, compilation)
  if (compilation.problems.length > 0) {
    throw new ApiError('validation_failed', 'Correct the request template of this action', {
      details: compilation.problems,
    })
  }

  const { method } = template
  const queryPieces = query.map(([, { write }]) => write)
  const headerTemplates = headers.map(([, header]) => header)
  const headerNames = new Set(headerTemplates.map(({ name }) => name))
  const setsContentType = headerNames.has('content-type')
  return {
    origin,
    headerNames: headerNames.add('content-type'),
    queryNames: new Set(query.map(([, { name }]) => name)),
    build(input) {
      const body = buildBody(input)
      const flat: string[] = []
      for (const { name, value } of headerTemplates) {
        const text = typeof value === 'string' ? value : value(input)
        if (text !== undefined) flat.push(name, text)
      }
      if (body !== null && !setsContentType) flat.push('content-type', 'application/json')
      return { origin, method, path: buildPath(path, queryPieces, input), headers: flat, body }
    },
  }
}

const takesBody = (method: Method): boolean => method === 'POST' || method === 'PUT' || method === 'PATCH'

/** Where each declared input goes that no template names: where `x-in` says, else by the method. */
const placeUnnamed = (
  { method, body_template }: RequestTemplate,
  compilation: Compilation,
): Record<Exclude<Placement, 'path'>, string[]> => {
  const placed = { query: [] as string[], header: [] as string[], body: [] as string[] }
  for (const name of compilation.declared.keys()) {
    const placement = compilation.placement(name)
    if (compilation.used.has(name)) continue
    if (placement === 'path') {
      compilation.refuse(`input_schema.properties.${name}.x-in`, `Name it in target_url as {${name}}`)
    } else if (placement !== null) {
      placed[placement].push(name)
    } else if (body_template === null) {
      placed[takesBody(method) ? 'body' : 'query'].push(name)
    }
  }
  return placed
}

const bodyBuilder = (
  { method, body_template }: RequestTemplate,
  node: BodyNode,
  elsewhere: ReadonlySet<string>,
  members: readonly string[],
  compilation: Compilation,
): BodyBuilder => {
  if ((method === 'GET' || method === 'HEAD') && (body_template !== null || members.length > 0)) {
    const field = body_template === null ? `input_schema.properties.${members[0]}.x-in` : 'body_template'
    compilation.refuse(field, `${method} has no body; use another method, or the query`)
  }
  if (body_template !== null) return templateAsBody(body_template, node, members, compilation)
  if (takesBody(method) || members.length > 0) return restAsBody(elsewhere, members.length > 0)
  // An undeclared input has no place in a query: it could stand beside a parameter of the operator's.
  const { declared } = compilation
  return (input) => {
    for (const name of Object.keys(input)) {
      if (!declared.has(name)) throw cannotPlace(name, 'Remove it; the input schema does not declare it')
    }
    return null
  }
}

const refuseRepeats = (
  entries: readonly (readonly [field: string, name: string])[],
  noun: string,
  compilation: Compilation,
): void => {
  const seen = new Set<string>()
  for (const [field, name] of entries) {
    if (seen.has(name)) compilation.refuse(field, `The ${noun} "${name}" is set twice; keep one`)
    seen.add(name)
  }
}
