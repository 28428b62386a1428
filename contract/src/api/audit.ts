import { z } from 'zod'
import { AuditAction } from '../audit.ts'
import { common, Timestamp, text } from '../fields.ts'
import { id } from '../ids.ts'
import { createdFilters, fieldsOf, listQuery, pageOf } from '../page.ts'
import { group } from '../route.ts'

export const AuditEventId = id('aud')
const AuditOutcome = z.enum(['success', 'failure', 'denied'])

const { metadata: _none, updated_at: _never, ...shared } = common('audit_event')

const hashExample = 'b94d27b9934d3e08a52e52d7da7dabfac484efe37a5380ee9088f7ace2efcde9'

export const AuditEvent = z
  .object({
    id: AuditEventId.describe('Its id'),
    ...shared,
    action: AuditAction.meta({ description: 'What happened', examples: ['action.updated'] }),
    occurred_at: Timestamp.describe('When it happened'),
    outcome: AuditOutcome.describe('How it ended; `denied` when it was refused'),
    actor: z
      .object({
        type: z.enum(['api_key', 'token', 'system']).describe('A key, a token, or the server itself'),
        id: z.string().nullable().describe('Its id; null for the server'),
        name: z.string().nullable().describe('Its name at that time'),
      })
      .meta({
        description: 'Who did it',
        examples: [{ type: 'api_key', id: 'key_06Wz1Xb4mJq0YcT7eKs2hU', name: 'Deploy pipeline' }],
      }),
    targets: z
      .array(
        z.object({
          type: z.string().describe('The type of the object'),
          id: z.string().describe('Its id'),
        }),
      )
      .meta({
        description: 'What it was done to',
        examples: [[{ type: 'action', id: 'act_06Wz1Xb4mJq0YcT7eKs2hU' }]],
      }),
    changes: z
      .array(
        z.object({
          field: z.string().describe('The field as a dotted path'),
          from: z.unknown().describe('Its value before'),
          to: z.unknown().describe('Its value after'),
        }),
      )
      .meta({
        description: 'What changed; secret values are masked',
        examples: [[{ field: 'status', from: 'active', to: 'paused' }]],
      }),
    context: z
      .object({
        ip: z.string().nullable().describe('The address it came from'),
        user_agent: z.string().nullable().describe('The `User-Agent` it came with'),
        request_id: z.string().nullable().describe('The request that did it'),
      })
      .meta({
        description: 'Where it came from; null where that is not known',
        examples: [{ ip: '203.0.113.7', user_agent: null, request_id: 'req_06Wz1Xb4mJq0YcT7eKs2hU' }],
      }),
    seq: z.int().describe('Position in the chain of this workspace, without gaps'),
    prev_hash: z.string().meta({ description: 'Hash of the event before it', examples: [hashExample] }),
    hash: z.string().meta({
      description:
        'SHA-256, in hex, of `prev_hash` followed by the canonical JSON (RFC 8785) of this event without `object`, ' +
        '`created_at`, `prev_hash` and `hash`. The first event follows a `prev_hash` of 64 zeros.',
      examples: [hashExample],
    }),
  })
  .meta({ id: 'AuditEvent', description: 'An immutable, chained record of a change or a refusal' })
export type AuditEvent = z.output<typeof AuditEvent>

export const audit = group('/api/v1/audit', {
  list: {
    method: 'GET',
    path: '',
    summary: 'List audit events',
    description: 'Who changed what, newest first.',
    query: listQuery({
      of: AuditEvent,
      sort: ['created_at'],
      filters: {
        action: AuditAction.optional().describe('Only events of this kind'),
        actor_id: z.string().max(64).optional().describe('Only what this key or token did'),
        target_id: z.string().max(64).optional().describe('Only what was done to this object'),
        outcome: AuditOutcome.optional().describe('Only events that ended so'),
        search: text(200)
          .optional()
          .describe('Only where the action, a name or an id contains this text, in any case'),
        ...createdFilters,
      },
    }),
    responses: { 200: pageOf(AuditEvent, 'AuditEvent') },
    metadata: { scope: 'audit:read', audit: null, raises: ['invalid_cursor'] },
  },
  get: {
    method: 'GET',
    path: '/:id',
    pathParams: z.object({ id: AuditEventId.describe('Id of the audit event') }),
    summary: 'Get an audit event',
    description: 'One event with what changed and its place in the chain.',
    query: z.strictObject({ fields: fieldsOf(AuditEvent) }),
    responses: { 200: AuditEvent },
    metadata: { scope: 'audit:read', audit: null, raises: ['not_found'] },
  },
})
