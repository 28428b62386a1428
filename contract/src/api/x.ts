import { z } from 'zod'
import { JsonObject, Timestamp } from '../fields.ts'
import { group } from '../route.ts'
import { Annotations, DryRun } from './actions.ts'
import { Constraint } from './constraint.ts'
import { Execution, ExecutionId } from './executions.ts'

/** An action by id or slug; anything else is simply not found. */
const callableParams = z.object({ action_id: z.string().min(1).max(64) })

export const Callable = z
  .object({
    object: z.literal('callable'),
    id: z.string().describe('The id of the action'),
    slug: z.string().describe('Its name, usable instead of the id'),
    name: z.string(),
    description: z.string(),
    version: z.int(),
    input_schema: JsonObject.describe('What to send, as JSON Schema 2020-12, without fixed inputs'),
    output_schema: JsonObject.nullable(),
    constraints: z.array(Constraint).describe('Rules beyond the schema, of the action and of this token'),
    annotations: Annotations,
    examples: z.array(z.unknown()).describe('Inputs that fit, when the operator gave some'),
    limits: z.object({
      rate_limit_rpm: z.int().nullable(),
      rate_limit_rph: z.int().nullable(),
      uses_left: z.int().nullable().describe('null for no limit'),
    }),
  })
  .meta({ id: 'Callable', description: 'An action as the holder of a token sees it' })
export type Callable = z.output<typeof Callable>

export const Manifest = z
  .object({
    object: z.literal('manifest'),
    token: z.object({
      id: z.string(),
      name: z.string(),
      expires_at: Timestamp.nullable(),
      uses_left: z.int().nullable().describe('null for no limit'),
      rate_limit_rpm: z.int().nullable(),
    }),
    callables: z.array(Callable),
  })
  .meta({ id: 'Manifest', description: 'Everything a token may run; what is not listed cannot be called' })
export type Manifest = z.output<typeof Manifest>

const token = { scope: null, audit: null, auth: 'token', limit: 'execute' } as const

export const x = group('/x', {
  manifest: {
    method: 'GET',
    path: '',
    summary: 'List what this token may run',
    description: 'Each action with its schema, its constraints and what is left of its limits.',
    responses: { 200: Manifest },
    metadata: { ...token, raises: ['paused'] },
  },
  getExecution: {
    method: 'GET',
    path: '/executions/:id',
    pathParams: z.object({ id: ExecutionId }),
    summary: 'Get an execution of this token',
    description: 'Executions of other tokens are `not_found`.',
    responses: { 200: Execution },
    metadata: { ...token, raises: ['not_found', 'paused'] },
  },
  get: {
    method: 'GET',
    path: '/:action_id',
    pathParams: callableParams,
    summary: 'Get one callable action',
    description: 'By id or slug.',
    responses: { 200: Callable },
    metadata: { ...token, raises: ['not_found', 'paused', 'sunset'] },
  },
  dryRun: {
    method: 'POST',
    path: '/:action_id/dry-run',
    pathParams: callableParams,
    summary: 'See what a call would do',
    description:
      'Judges the input and shows the masked request. Sends nothing, uses nothing up, records nothing.',
    body: JsonObject,
    responses: { 200: DryRun },
    metadata: { ...token, raises: ['not_found', 'paused', 'sunset', 'token_exhausted'] },
  },
  execute: {
    method: 'POST',
    path: '/:action_id',
    pathParams: callableParams,
    summary: 'Run an action',
    description:
      'The body is the input. The answer is the upstream answer with its own status, scrubbed and capped; ' +
      '`X-Upstream-Status` and `X-Execution-ID` come with it. A refusal of ours carries `X-NarrowAPI-Error`.',
    body: JsonObject,
    responses: {
      200: z
        .unknown()
        .meta({ id: 'UpstreamAnswer', description: 'What the upstream answered, after the response policy' }),
    },
    metadata: {
      ...token,
      edge: true,
      raises: [
        'paused',
        'not_found',
        'sunset',
        'policy_denied',
        'execution_limit_reached',
        'token_exhausted',
        'upstream_error',
        'upstream_auth_failed',
        'upstream_blocked',
        'invalid_upstream_response',
        'upstream_outcome_unknown',
        'upstream_timeout',
      ],
    },
  },
})
