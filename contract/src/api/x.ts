import { z } from 'zod'
import { JsonObject, Timestamp } from '../fields.ts'
import { group } from '../route.ts'
import { Annotations, DryRun } from './actions.ts'
import { Constraint } from './constraint.ts'
import { Execution, ExecutionId } from './executions.ts'

/** An action by id or slug; anything else is simply not found. */
const callableParams = z.object({
  action_id: z
    .string()
    .min(1)
    .max(64)
    .meta({ description: 'Id or slug of the action', examples: ['refund-a-charge'] }),
})

export const Callable = z
  .object({
    object: z.literal('callable').describe('The type of this object'),
    id: z.string().meta({ description: 'The id of the action', examples: ['act_06Wz1Xb4mJq0YcT7eKs2hU'] }),
    slug: z
      .string()
      .meta({ description: 'Its name, usable instead of the id', examples: ['refund-a-charge'] }),
    name: z.string().meta({ description: 'What people call it', examples: ['Refund a charge'] }),
    description: z.string().meta({
      description: 'What it does',
      examples: ['Refunds a charge, in full or in part'],
    }),
    version: z.int().describe('The version that a call would run'),
    input_schema: JsonObject.meta({
      description: 'What to send, as JSON Schema 2020-12, without fixed inputs',
      examples: [
        {
          type: 'object',
          properties: { charge_id: { type: 'string' }, amount: { type: 'integer' } },
          required: ['charge_id', 'amount'],
          additionalProperties: false,
        },
      ],
    }),
    output_schema: JsonObject.nullable().describe('What comes back; null when that was not said'),
    constraints: z.array(Constraint).describe('Rules beyond the schema, of the action and of this token'),
    annotations: Annotations,
    examples: z.array(z.unknown()).meta({
      description: 'Inputs that fit, when the operator gave some',
      examples: [[{ charge_id: 'ch_1', amount: 1200 }]],
    }),
    limits: z
      .object({
        rate_limit_rpm: z.int().nullable().describe('Calls a minute; null for no limit'),
        rate_limit_rph: z.int().nullable().describe('Calls an hour; null for no limit'),
        concurrency_limit: z.int().nullable().describe('Calls at once; null for no limit'),
        uses_left: z.int().nullable().describe('How often it may still run; null for no limit'),
      })
      .meta({
        description: 'How much it may be used',
        examples: [{ rate_limit_rpm: 60, rate_limit_rph: null, concurrency_limit: null, uses_left: 49 }],
      }),
  })
  .meta({ id: 'Callable', description: 'An action as the holder of a token sees it' })
export type Callable = z.output<typeof Callable>

export const Manifest = z
  .object({
    object: z.literal('manifest').describe('The type of this object'),
    token: z
      .object({
        id: z.string().meta({ description: 'Its id', examples: ['tok_06Wz1Xb4mJq0YcT7eKs2hU'] }),
        name: z.string().meta({ description: 'Who or what holds it', examples: ['support-bot'] }),
        expires_at: Timestamp.nullable().describe('When it stops working; null for never'),
        uses_left: z.int().nullable().describe('How often it may still run anything; null for no limit'),
        rate_limit_rpm: z.int().nullable().describe('Calls a minute; null for no limit of its own'),
      })
      .describe('The token that asks'),
    callables: z.array(Callable).describe('The actions it may run'),
  })
  .meta({ id: 'Manifest', description: 'Everything a token may run; what is not listed cannot be called' })
export type Manifest = z.output<typeof Manifest>

const Input = JsonObject.meta({
  id: 'CallInput',
  description: 'The input, as the schema of the action says',
  examples: [{ charge_id: 'ch_1', amount: 1200 }],
})

const token = { scope: null, audit: null, auth: 'token' } as const

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
    pathParams: z.object({ id: ExecutionId.describe('Id of the execution') }),
    summary: 'Get an execution of this token',
    description:
      'Executions of other tokens are `not_found`. `input` is what was sent, without what was fixed; null when its ' +
      'action is gone.',
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
      'Judges the input and shows the masked request. Sends nothing, uses nothing up, records nothing. What only a ' +
      'call can know is not judged: the state of the upstream.',
    body: Input,
    responses: { 200: DryRun },
    metadata: {
      ...token,
      raises: [
        'not_found',
        'paused',
        'sunset',
        'token_exhausted',
        'execution_limit_reached',
        'upstream_auth_failed',
        'upstream_blocked',
      ],
    },
  },
  execute: {
    method: 'POST',
    path: '/:action_id',
    pathParams: callableParams,
    summary: 'Run an action',
    description:
      'The body is the input. The answer is the upstream answer with its own status, scrubbed and capped; ' +
      '`X-Upstream-Status` and `X-Execution-ID` come with it. A refusal of ours carries `X-NarrowAPI-Error`. ' +
      'An upstream that failed too often is given a rest: `unavailable` then says that nothing was sent.',
    body: Input,
    responses: {
      200: z.unknown().meta({
        id: 'UpstreamAnswer',
        description: 'What the upstream answered, after the response policy',
        examples: [{ id: 're_1', status: 'succeeded' }],
      }),
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
