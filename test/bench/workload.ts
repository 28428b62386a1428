import type { CreateAction } from '@narrowapi/sdk'

/** What is sent and answered in every comparison of the hot path: 299 and 447 bytes. */
export const input = {
  charge_id: 'ch_3PqR7sTuVwXyZ0',
  amount: 1250,
  reason: 'requested_by_customer',
  customer: { name: 'Ada Lovelace', email: 'ada@example.com' },
  note: padded('The goods came back unopened.', 148),
}

export const requestBody = JSON.stringify(input)

export const upstreamAnswer = JSON.stringify({
  id: 're_3PqR7sTuVwXyZ0',
  object: 'refund',
  amount: 1250,
  currency: 'eur',
  status: 'succeeded',
  charge: 'ch_3PqR7sTuVwXyZ0',
  created: 1_768_473_000,
  description: padded('Refunded in full to the card.', 284),
})

export const inputSchema: CreateAction['input_schema'] & object = {
  type: 'object',
  properties: {
    charge_id: { type: 'string', pattern: '^ch_[A-Za-z0-9]+$' },
    amount: { type: 'integer', minimum: 1 },
    reason: { type: 'string', enum: ['duplicate', 'fraudulent', 'requested_by_customer'] },
    customer: {
      type: 'object',
      properties: { name: { type: 'string' }, email: { type: 'string' } },
      required: ['name', 'email'],
      additionalProperties: false,
    },
    note: { type: 'string', maxLength: 500 },
  },
  required: ['charge_id', 'amount'],
  additionalProperties: false,
}

/** An action with everything on: schema, constraint, template of URL and body, bearer secret, limits. */
export const actionBody = (upstreamUrl: string, options: { recordsOnce: boolean }): CreateAction => ({
  name: options.recordsOnce ? 'Refund, recorded once' : 'Refund',
  target_url: `${upstreamUrl}/charges/{charge_id}/refund`,
  auth_type: 'bearer',
  auth_value: 'upstream-secret-0123456789abcdef',
  input_schema: inputSchema,
  body_template: {
    amount: '{{amount}}',
    reason: '{{reason}}',
    customer: '{{customer}}',
    note: '{{note}}',
  },
  constraints: [{ path: '/amount', op: 'max', value: 5000 }],
  rate_limit_rpm: 1_000_000,
  annotations: options.recordsOnce ? { read_only: true, idempotent: true } : {},
})

function padded(text: string, length: number): string {
  return text.padEnd(length, ' .')
}
