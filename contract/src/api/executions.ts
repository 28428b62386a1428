import { z } from 'zod'
import { common, Timestamp } from '../fields.ts'
import { id } from '../ids.ts'
import { createdFilters, fieldsOf, listQuery, pageOf } from '../page.ts'
import { group } from '../route.ts'

export const ExecutionId = id('exec')

export const ExecutionStatus = z.enum([
  'pending',
  'awaiting_approval',
  'running',
  'completed',
  'failed',
  'canceled',
  'rejected',
])

export const ExecutionSource = z.enum(['proxy', 'test'])

export const Decision = z
  .object({
    allowed: z.boolean(),
    policy_revision: z.string().describe('Which versions of the action and token decided'),
    matched: z.array(z.string()).describe('The constraints that were looked at, as `level: op path`'),
    rule: z.string().nullable().describe('The constraint that refused'),
    path: z.string().nullable().describe('JSON Pointer to the refused value'),
    accepted: z.unknown().describe('What the constraint would accept'),
  })
  .meta({ id: 'Decision', description: 'How the constraints of action and token judged the input' })
export type Decision = z.output<typeof Decision>

const { metadata: _none, ...shared } = common('execution')

export const Execution = z
  .object({
    id: ExecutionId,
    ...shared,
    kind: z.enum(['action']),
    status: ExecutionStatus,
    source: ExecutionSource.describe('What started it'),
    action_id: z.string(),
    version: z.int().describe('The version of the action that ran'),
    token_id: z.string().nullable(),
    input: z.unknown().describe('The input with sensitive values redacted; null when payloads are not kept'),
    output: z.unknown().describe('The answer after scrubbing and redaction; null when payloads are not kept'),
    error: z
      .object({
        code: z.string().describe('A code of the error registry'),
        message: z.string(),
        rule: z.string().nullable().describe('With `policy_denied`: the constraint that refused'),
      })
      .nullable()
      .describe('Why it failed or was refused'),
    upstream: z
      .object({
        status: z.int().nullable().describe('What the upstream answered; null when it did not'),
        duration_ms: z.number(),
        attempts: z.int(),
        bytes: z.int(),
      })
      .nullable()
      .describe('The call to the upstream; null when none was made'),
    decision: Decision.nullable(),
    started_at: Timestamp.nullable(),
    completed_at: Timestamp.nullable(),
    duration_ms: z.number().nullable(),
  })
  .meta({ id: 'Execution', description: 'One run, or refused run, of an action' })
export type Execution = z.output<typeof Execution>

const filters = {
  status: ExecutionStatus.optional(),
  token_id: id('tok').optional(),
  source: ExecutionSource.optional(),
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
      filters: { action_id: id('act').optional(), ...filters },
    }),
    responses: { 200: ExecutionPage },
    metadata: { scope: 'executions:read', audit: null, raises: ['invalid_cursor'] },
  },
  get: {
    method: 'GET',
    path: '/:id',
    pathParams: z.object({ id: ExecutionId }),
    summary: 'Get an execution',
    description: 'What was asked, decided, sent and answered, without secrets.',
    query: executionQuery,
    responses: { 200: Execution },
    metadata: { scope: 'executions:read', audit: null, raises: ['not_found'] },
  },
})
