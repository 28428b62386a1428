import type { ErrorDetail } from '../../errors.ts'
import type { Action } from '../../generated/client.ts'
import { apiError } from '../api-error.ts'
import { isObject, type Schema } from '../schema.ts'
import { type AnyConstraint, checkAgainst } from './judge.ts'

/**
 * Refuses what could never be called, for the mistakes that are made: a placeholder or a path that names no
 * input, a secret with no place. The server looks closer.
 */
export const checkDefinition = (action: Action): void => {
  const schema: Schema = action.input_schema
  if (schema.type !== 'object')
    refuse('The JSON Schema cannot be used; see details', [
      { field: 'input_schema.type', message: 'must be "object": the input is an object' },
    ])
  checkTarget(action.target_url)
  checkTemplates(action, schema)
  checkAuth(action)
  checkRetry(action)
  checkConstraints(action.constraints, schema, 'constraints')
  checkFixedInput(action.fixed_input, schema, 'fixed_input')
}

const refuse = (message: string, details: readonly ErrorDetail[]): void => {
  if (details.length > 0) throw apiError('validation_failed', { message, details })
}

const checkTarget = (target: string): void => {
  if (/^https?:\/\/[^/?#{}@\s]+([/?][^#\s]*)?$/i.test(target) && URL.canParse(target)) return
  refuse('The target URL is not allowed', [
    { field: 'target_url', message: 'must be an absolute URL: https://host/path' },
  ])
}

const checkTemplates = (action: Action, schema: Schema): void => {
  const { target_url, query, headers, body_template } = action
  const texts: [field: string, text: string, placeholder: RegExp][] = [
    ['target_url', target_url, /\{\s*([^{}]*?)\s*\}/g],
    ...textsIn({ query, headers, body_template }).map(([field, text]): [string, string, RegExp] => [
      field,
      text,
      /\{\{\s*([^{}]*?)\s*\}\}/g,
    ]),
  ]
  const details = texts.flatMap(([field, text, placeholder]) =>
    [...text.matchAll(placeholder)]
      .map(([, name = '']) => name)
      .filter((name) => !isDeclared(schema, name) && !isDeclared(schema, name.split('.')[0] ?? ''))
      .map((name) => ({
        field,
        message: `"${name}" is not a property of input_schema; declare it or remove it`,
      })),
  )
  refuse('Correct the request template of this action', details)
}

/** Every text inside a value, by its dotted path. */
const textsIn = (value: unknown, path: readonly string[] = []): [field: string, text: string][] => {
  if (typeof value === 'string') return [[path.join('.'), value]]
  if (typeof value !== 'object' || value === null) return []
  return Object.entries(value).flatMap(([name, inner]) => textsIn(inner, [...path, name]))
}

const checkAuth = ({ auth_type, auth_name }: Action): void => {
  if ((auth_type !== 'header' && auth_type !== 'query') || auth_name !== null) return
  refuse('request body is invalid', [
    { field: 'auth_name', message: `is required with auth_type ${auth_type}` },
  ])
}

/** What tells that a request was sent leads to no second try where it may not be repeated. */
const checkRetry = ({ retry, idempotency, annotations }: Action): void => {
  if (annotations.idempotent || idempotency?.safe || idempotency?.header) return
  const details = (retry?.on ?? []).flatMap((cause, index) =>
    cause === 'connection'
      ? []
      : [
          {
            field: `retry.on.${index}`,
            message:
              'needs an action that may be repeated: declare annotations.idempotent, idempotency.safe or idempotency.header',
          },
        ],
  )
  refuse('Correct when this action is tried again', details)
}

export const checkConstraints = (
  constraints: readonly AnyConstraint[],
  schema: Schema,
  field: string,
): void => {
  const details = constraints.flatMap((constraint, index) =>
    problemsOf(constraint, schema, `${field}.${index}`),
  )
  refuse('The constraints do not fit the input schema; see details', details)
}

const problemsOf = (
  { op, path, constraint, constraints = [] }: AnyConstraint,
  schema: Schema,
  field: string,
): ErrorDetail[] => {
  if (constraint) return problemsOf(constraint, schema, `${field}.constraint`)
  if (op === 'any_of') {
    return constraints.flatMap((inner, index) => problemsOf(inner, schema, `${field}.constraints.${index}`))
  }
  const [, name] = /^\/([^/]*)/.exec(path ?? '') ?? []
  return name === undefined || isDeclared(schema, name.replaceAll('~1', '/').replaceAll('~0', '~'))
    ? []
    : [{ field: `${field}.path`, message: 'does not lead to a field of the input schema' }]
}

export const checkFixedInput = (fixed: object | null, schema: Schema, field: string): void => {
  const { properties = {}, $defs, definitions } = schema as Schema & { $defs?: object; definitions?: object }
  const unknown = Object.keys(fixed ?? {})
    .filter((name) => !Object.hasOwn(properties, name))
    .map((name) => ({ field: name, message: 'is not a property of the input schema' }))
  // What else the root demands, the caller may still send.
  const { details: wrong } = checkAgainst(
    { type: 'object', properties, $defs, definitions } as Schema,
    fixed ?? {},
  )
  const details = [...unknown, ...wrong].map((detail) => ({ ...detail, field: `${field}.${detail.field}` }))
  refuse('The fixed input does not fit the input schema', details)
}

/** A schema that is put together from others may declare anything. */
const isDeclared = ({ properties, $ref, allOf, anyOf, oneOf }: Schema, name: string): boolean =>
  (isObject(properties) && Object.hasOwn(properties, name)) || ($ref ?? allOf ?? anyOf ?? oneOf) !== undefined
