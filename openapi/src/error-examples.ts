import type { ErrorCode } from '@narrowapi/contract'
import type { Json } from './openapi.ts'

/** What an error answer carries beside its code and message, where a code has such fields. */
export const errorExtras: Partial<Record<ErrorCode, Record<string, Json>>> = {
  forbidden: { required_scope: 'actions:write' },
  policy_denied: { rule: 'action: max /amount', path: '/amount', accepted: { max: 5000 } },
  action_limit_reached: { feature: 'active_actions', limit: 5, current_usage: 5 },
  execution_limit_reached: {
    feature: 'monthly_executions',
    limit: 300,
    current_usage: 300,
    reset_at: '2026-02-01T00:00:00.000Z',
  },
  validation_failed: {
    message: 'Correct the fields named in details and send the request again',
    details: [{ field: 'name', message: 'is required' }],
  },
  in_use: { details: [{ field: 'id', message: 'is used by act_06Wz1Xb4mJq0YcT7eKs2hU' }] },
  rate_limited: {
    limit: 60,
    remaining: 0,
    retry_after_seconds: 1,
    reset_at: '2026-01-15T10:30:00.000Z',
    policy: 'default',
  },
  upstream_error: { upstream_status: 500, excerpt: '{"error":"try again later"}' },
  upstream_auth_failed: { upstream_status: 401 },
  unavailable: { retry_after_seconds: 1 },
}
