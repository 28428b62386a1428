import type { ActionDefinition } from '@narrowapi/contract'
import { ApiError } from '../errors.ts'
import type { EgressAllow } from './egress-allow.ts'
import { checkTarget, withPlainOrigin } from './egress-target.ts'
import { type Auth, checkAuth } from './inject.ts'
import { checkConstraints, checkFixedInput } from './policy.ts'
import { createInputRedactor } from './redact-input.ts'
import { createHeaderPicker, createOutputShaper, type HeaderPicker } from './redact-output.ts'
import { checkRetry, type Retry, retryOf } from './retry.ts'
import { checkSchema, compileSchema, type Validate } from './schema.ts'
import { type CompiledTemplate, compileTemplate } from './template.ts'

/** An action version made ready: everything that depends on the definition alone is done once. */
export type CompiledAction = {
  validateInput: Validate
  validateOutput: Validate | null
  template: CompiledTemplate
  /** The host that is called, which no input can change. */
  host: string
  auth: Auth
  redactInput: (input: unknown) => unknown
  shapeOutput: (output: unknown) => unknown
  /** Whether `shapeOutput` changes anything. */
  shapesOutput: boolean
  pickHeaders: HeaderPicker
  retry: Retry | null
  /** The header, in lower case, that carries the id of the execution to the upstream. */
  keyHeader: string | null
  /** Recorded once, after the call: running it again would do no harm, so a lost record loses no truth. */
  recordsOnce: boolean
}

export const compileAction = (definition: ActionDefinition): CompiledAction => {
  const { method, input_schema, output_schema, response, annotations, idempotency } = definition
  const template = compileTemplate(definition)
  const shapesOutput = response.fields !== null || (response.redact ?? []).length > 0
  return {
    validateInput: compileSchema(input_schema),
    // The answer to HEAD has no body (RFC 9110, section 9.3.2).
    validateOutput: output_schema && method !== 'HEAD' ? compileSchema(output_schema) : null,
    template,
    host: new URL(template.origin).hostname.replace(/\.$/, ''),
    auth: authOf(definition),
    redactInput: createInputRedactor(input_schema),
    shapeOutput: createOutputShaper(response),
    pickHeaders: createHeaderPicker(response.headers),
    shapesOutput,
    retry: retryOf(definition),
    keyHeader: idempotency?.header?.toLowerCase() ?? null,
    recordsOnce: annotations.read_only && annotations.idempotent,
  }
}

/**
 * For saving an action: refuses, field by field, whatever could never be called or decided. Gives the target URL with
 * its host as it is dialled.
 */
export const checkDefinition = (
  definition: ActionDefinition,
  options: { allow: EgressAllow; allowsHost: (host: string) => boolean },
): string => {
  checkSchema(definition.input_schema, 'input_schema')
  if (definition.output_schema) checkSchema(definition.output_schema, 'output_schema')
  const target = checkTarget(definition.target_url, options.allow)
  if (!options.allowsHost(target.hostname)) {
    throw new ApiError('validation_failed', 'The workspace does not allow this host', {
      details: [{ field: 'target_url', message: 'must be a host of the allowed_hosts of the workspace' }],
    })
  }
  const template = compileTemplate(definition)
  checkAuth(authOf(definition), template)
  checkRetry(definition, template.headerNames)
  checkConstraints(definition.constraints, definition.input_schema, 'constraints')
  if (definition.fixed_input) checkFixedInput(definition.fixed_input, definition.input_schema, 'fixed_input')
  return withPlainOrigin(definition.target_url, target)
}

const authOf = ({ auth_type: type, auth_name: name }: ActionDefinition): Auth => {
  switch (type) {
    case 'none':
    case 'bearer':
      return { type }
    case 'basic':
      return { type, name }
    case 'header':
    case 'query':
      if (name === null) {
        throw new ApiError('validation_failed', 'request body is invalid', {
          details: [{ field: 'auth_name', message: `is required with auth_type ${type}` }],
        })
      }
      return { type, name }
    default:
      return type satisfies never
  }
}
