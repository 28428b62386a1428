import { z } from 'zod'

/** Every change that leaves an audit event, as `<noun>.<past participle>`. */
export const auditActions = [
  'workspace.updated',
  'workspace.paused',
  'workspace.resumed',
  'api_key.created',
  'api_key.revoked',
  'action.created',
  'action.updated',
  'action.deleted',
  'action.restored',
  'token.created',
  'token.revoked',
  'token.rotated',
  'secret.created',
  'secret.updated',
  'secret.deleted',
  'credential.refused',
] as const

export const AuditAction = z.enum(auditActions).meta({
  id: 'AuditAction',
  description:
    'What happened. `credential.refused` is a sampled record of a known credential being turned away.',
})
export type AuditAction = z.output<typeof AuditAction>
