import { z } from 'zod'
import { common, Timestamp } from '../fields.ts'
import { id } from '../ids.ts'
import { createdFilters, fieldsOf, listQuery, pageOf } from '../page.ts'
import { group } from '../route.ts'

export const ExecutionId = id('exec')

const ExecutionStatus = z.enum([
  'pending',
  'awaiting_approval',
  'running',
  'completed',
  'failed',
  'canceled',
  'rejected',
])

const ExecutionKind = z.enum(['action'])
const ExecutionSource = z.enum(['proxy', 'test'])

export const Decision = z
  .object({
    allowed: z.boolean().describe('Whether the call may be sent'),
    policy_revision: z.string().meta({
      description: 'Which versions of the action and token decided',
      examples: ['action:3 token:2026-01-15T10:30:00.000Z'],
    }),
    matched: z.array(z.string()).meta({
      description: 'The constraints that were looked at, by where they are written',
      examples: [['action.constraints.0']],
    }),
    rule: z.string().nullable().describe('The constraint that refused'),
    path: z.string().nullable().describe('JSON Pointer to the refused value'),
    accepted: z.unknown().describe('What the constraint would accept'),
  })
  .meta({ id: 'Decision', description: 'How the constraints of action and token judged the input' })
export type Decision = z.output<typeof Decision>

const { metadata: _none, ...shared } = common('execution')

export const Execution = z
  .object({
    id: ExecutionId.describe('Its id'),
    ...shared,
    kind: ExecutionKind.describe('What ran'),
    status: ExecutionStatus.meta({ description: 'How far it came', examples: ['completed'] }),
    source: ExecutionSource.describe('What started it'),
    action_id: z.string().describe('The action that ran'),
    version: z.int().describe('The version of the action that ran'),
    token_id: z
      .string()
      .nullable()
      .meta({ description: 'The token that called', examples: ['tok_06Wz1Xb4mJq0YcT7eKs2hU'] }),
    input: z.unknown().meta({
      description: 'The input with sensitive values redacted; null when payloads are not kept',
      examples: [{ charge_id: 'ch_1', amount: 1200 }],
    }),
    output: z.unknown().meta({
      description: 'The answer after scrubbing and redaction; null when payloads are not kept',
      examples: [{ id: 're_1', status: 'succeeded' }],
    }),
    error: z
      .object({
        code: z.string().describe('A code of the error registry'),
        message: z.string().describe('What went wrong, for people'),
        rule: z.string().nullable().describe('With `policy_denied`: the constraint that refused'),
      })
      .nullable()
      .describe('Why it failed or was refused'),
    upstream: z
      .object({
        status: z.int().nullable().describe('What the upstream answered; null when it did not'),
        duration_ms: z.number().describe('How long the upstream took, over all tries'),
        attempts: z.int().describe('How often it was tried'),
        bytes: z.int().describe('How long its answer was'),
      })
      .nullable()
      .meta({
        description: 'The call to the upstream; null when none was made',
        examples: [{ status: 200, duration_ms: 182, attempts: 1, bytes: 412 }],
      }),
    decision: Decision.nullable().describe('How the input was judged; null when it did not come to that'),
    started_at: Timestamp.nullable().meta({
      description: 'When the upstream was called; null when it was not',
      examples: ['2026-01-15T10:30:00.004Z'],
    }),
    completed_at: Timestamp.nullable().meta({
      description: 'When it ended; null while it runs',
      examples: ['2026-01-15T10:30:00.191Z'],
    }),
    duration_ms: z
      .number()
      .nullable()
      .meta({ description: 'From its creation to its end', examples: [191] }),
  })
  .meta({ id: 'Execution', description: 'One run, or refused run, of an action' })
export type Execution = z.output<typeof Execution>

const filters = {
  status: ExecutionStatus.optional().describe('Only executions in this state'),
  token_id: id('tok').optional().describe('Only executions of this token'),
  source: ExecutionSource.optional().describe('Only executions that this started'),
  error: z.string().max(64).optional().describe('Only executions with this error code'),
  ...createdFilters,
}

/** The list under an action; the flat one adds `action_id`. */
export const nestedExecutionsQuery = listQuery({ of: Execution, sort: ['created_at'], filters })
export const executionQuery = z.strictObject({ fields: fieldsOf(Execution) })
export const ExecutionPage = pageOf(Execution, 'Execution')

export const executions = group('/api/v1/executions', {
  list: {
    method: 'GET',
    path: '',
    summary: 'List executions',
    description: 'Every run and refused run of the workspace, newest first.',
    query: listQuery({
      of: Execution,
      sort: ['created_at'],
      filters: {
        kind: ExecutionKind.optional().describe('Only executions of this kind'),
        action_id: id('act').optional().describe('Only executions of this action'),
        ...filters,
      },
    }),
    responses: { 200: ExecutionPage },
    metadata: { scope: 'executions:read', audit: null, raises: ['invalid_cursor'] },
  },
  get: {
    method: 'GET',
    path: '/:id',
    pathParams: z.object({ id: ExecutionId.describe('Id of the execution') }),
    summary: 'Get an execution',
    description: 'What was asked, decided, sent and answered, without secrets.',
    query: executionQuery,
    responses: { 200: Execution },
    metadata: { scope: 'executions:read', audit: null, raises: ['not_found'] },
  },
})
