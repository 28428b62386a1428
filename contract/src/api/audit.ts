import { z } from 'zod'
import { AuditAction } from '../audit.ts'
import { common, Timestamp } from '../fields.ts'
import { id } from '../ids.ts'
import { createdFilters, fieldsOf, listQuery, pageOf } from '../page.ts'
import { group } from '../route.ts'

export const AuditEventId = id('aud')
export const AuditOutcome = z.enum(['success', 'failure', 'denied'])

const { metadata: _none, updated_at: _never, ...shared } = common('audit_event')

export const AuditEvent = z
  .object({
    id: AuditEventId,
    ...shared,
    action: AuditAction,
    occurred_at: Timestamp,
    outcome: AuditOutcome,
    actor: z
      .object({
        type: z.enum(['api_key', 'token', 'system']),
        id: z.string().nullable(),
        name: z.string().nullable(),
      })
      .describe('Who did it'),
    targets: z.array(z.object({ type: z.string(), id: z.string() })).describe('What it was done to'),
    changes: z
      .array(z.object({ field: z.string(), from: z.unknown(), to: z.unknown() }))
      .describe('What changed; secret values are masked'),
    context: z.object({
      ip: z.string().nullable(),
      user_agent: z.string().nullable(),
      request_id: z.string().nullable(),
    }),
    seq: z.int().describe('Position in the chain of this workspace, without gaps'),
    prev_hash: z.string().describe('Hash of the event before it'),
    hash: z.string().describe('SHA-256 of `prev_hash` and the canonical JSON of this event, in hex'),
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
        action: AuditAction.optional(),
        actor_id: z.string().max(64).optional(),
        target_id: z.string().max(64).optional(),
        outcome: AuditOutcome.optional(),
        ...createdFilters,
      },
    }),
    responses: { 200: pageOf(AuditEvent, 'AuditEvent') },
    metadata: { scope: 'audit:read', audit: null, raises: ['invalid_cursor'] },
  },
  get: {
    method: 'GET',
    path: '/:id',
    pathParams: z.object({ id: AuditEventId }),
    summary: 'Get an audit event',
    description: 'One event with what changed and its place in the chain.',
    query: z.strictObject({ fields: fieldsOf(AuditEvent) }),
    responses: { 200: AuditEvent },
    metadata: { scope: 'audit:read', audit: null, raises: ['not_found'] },
  },
})
