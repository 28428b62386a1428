import { z } from 'zod'
import { common, JsonObject, Metadata, Timestamp, TimestampInput, text } from '../fields.ts'
import { id } from '../ids.ts'
import { createdFilters, fieldsOf, listQuery, metadataFilter, pageOf, searchFilter } from '../page.ts'
import { c, group } from '../route.ts'
import { AllowedIps } from './api-keys.ts'
import { Constraint } from './constraint.ts'

export const TokenId = id('tok')
const TokenStatus = z.enum(['active', 'revoked', 'expired', 'exhausted'])

const grant = {
  action_id: id('act').describe('The action it may run'),
  constraints: z
    .array(Constraint)
    .max(100)
    .describe('Rules beyond those of the action; they can only narrow'),
  fixed_input: JsonObject.nullable().describe(
    'Inputs decided for this token; its holder neither sees nor sends them',
  ),
  max_uses: z
    .int()
    .min(1)
    .max(1_000_000_000)
    .nullable()
    .describe('How often this action may run; null for no limit'),
}

export const Grant = z
  .object({ ...grant, uses: z.int().describe('How often it has run') })
  .meta({ id: 'Grant', description: 'One action a token may run, and how narrowly' })

export const GrantInput = z
  .strictObject({
    action_id: grant.action_id,
    constraints: grant.constraints.default([]),
    fixed_input: grant.fixed_input.default(null),
    max_uses: grant.max_uses.default(null),
  })
  .meta({ id: 'GrantInput', description: 'One action a token may run, and how narrowly' })

export const Token = z
  .object({
    id: TokenId.describe('Its id'),
    ...common('token'),
    name: z.string().meta({ description: 'Who or what holds it', examples: ['support-bot'] }),
    prefix: z.string().meta({ description: 'The first characters of the token', examples: ['sxt_3fK9'] }),
    last_four: z.string().meta({ description: 'The last characters of the token', examples: ['q7Zd'] }),
    status: TokenStatus.describe('Only an `active` token can call anything'),
    action_ids: z.array(z.string()).describe('The actions of its grants'),
    grants: z.array(Grant).describe('The actions it may run, and how narrowly'),
    not_before: Timestamp.nullable().describe('When it starts working; null for at once'),
    expires_at: Timestamp.nullable().describe('When it stops working; null for never'),
    max_uses: z.int().nullable().describe('How often it may run anything; null for no limit'),
    uses: z
      .int()
      .describe('How often it has run anything. Exact when there is a limit; else accurate to a few seconds'),
    allowed_ips: z
      .array(z.string())
      .nullable()
      .describe('Addresses or CIDR ranges it may be used from; null for any'),
    rate_limit_rpm: z
      .int()
      .nullable()
      .describe('Calls a minute with this token; null for no limit of its own'),
    last_used_at: Timestamp.nullable().describe('When it was last used; null for never'),
    revoked_at: Timestamp.nullable().describe('When it was revoked; null if it was not'),
    created_by: z.string().nullable().describe('The API key that created it'),
  })
  .meta({
    id: 'Token',
    description: 'A credential that may run only the actions it names; never shown again',
  })
export type Token = z.output<typeof Token>

export const CreatedToken = Token.extend({
  token: z.string().meta({
    description: 'The token. Shown now and never again: hand it to its holder.',
    examples: ['sxt_…'],
  }),
}).meta({ id: 'CreatedToken', description: 'A new execution token with its text' })
export type CreatedToken = z.output<typeof CreatedToken>

export const CreateToken = z
  .strictObject({
    name: text(255).describe('Who or what holds it'),
    action_ids: z
      .array(id('act'))
      .min(1)
      .max(100)
      .optional()
      .describe('Short for grants without further rules'),
    grants: z
      .array(GrantInput)
      .min(1)
      .max(100)
      .optional()
      .describe('The actions it may run, and how narrowly'),
    not_before: TimestampInput.nullable().default(null).describe('When it starts working; null for now'),
    expires_at: TimestampInput.nullable().default(null).describe('When it stops working; null for never'),
    max_uses: grant.max_uses.default(null).describe('How often it may run anything; null for no limit'),
    allowed_ips: AllowedIps.default(null),
    rate_limit_rpm: z
      .int()
      .min(1)
      .max(1_000_000)
      .nullable()
      .default(null)
      .describe('Calls a minute with this token; null for no limit of its own'),
    metadata: Metadata.default({}),
  })
  .meta({
    id: 'CreateToken',
    description: 'Either `action_ids` or `grants`.',
    examples: [
      {
        name: 'support-bot',
        expires_at: '2030-01-01T00:00:00.000Z',
        max_uses: 50,
        grants: [
          {
            action_id: 'act_06Wz1Xb4mJq0YcT7eKs2hU',
            constraints: [{ path: '/amount', op: 'max', value: 2000 }],
          },
        ],
      },
    ],
  })
export type CreateToken = z.output<typeof CreateToken>

export const RotateToken = z
  .strictObject({
    grace_period_hours: z
      .number()
      .min(0)
      .max(168)
      .default(0)
      .describe('How long the old text still works; never past its expiry'),
  })
  .meta({ id: 'RotateToken', examples: [{ grace_period_hours: 1 }] })

const one = { pathParams: z.object({ id: TokenId.describe('Id of the token') }) }

export const tokens = group('/api/v1/tokens', {
  list: {
    method: 'GET',
    path: '',
    summary: 'List tokens',
    description: 'Revoked ones are left out unless `status` asks for them.',
    query: listQuery({
      of: Token,
      sort: ['created_at', 'name'],
      filters: {
        status: TokenStatus.optional().describe('Only tokens in this state. Default: all but revoked.'),
        action_id: id('act').optional().describe('Only tokens that may run this action'),
        ...createdFilters,
        ...searchFilter,
        ...metadataFilter,
      },
    }),
    responses: { 200: pageOf(Token, 'Token') },
    metadata: { scope: 'tokens:read', audit: null, raises: ['invalid_cursor'] },
  },
  create: {
    method: 'POST',
    path: '',
    summary: 'Create a token',
    description: 'The answer holds the token once. It may run only the actions it names.',
    body: CreateToken,
    responses: { 201: CreatedToken },
    metadata: { scope: 'tokens:write', audit: 'token.created' },
  },
  get: {
    ...one,
    method: 'GET',
    path: '/:id',
    summary: 'Get a token',
    description: 'A revoked, expired or exhausted token is still found.',
    query: z.strictObject({ fields: fieldsOf(Token) }),
    responses: { 200: Token },
    metadata: { scope: 'tokens:read', audit: null, raises: ['not_found'] },
  },
  delete: {
    ...one,
    method: 'DELETE',
    path: '/:id',
    summary: 'Revoke a token',
    description: 'No call that starts a second after the answer is sent.',
    responses: { 204: c.noBody() },
    metadata: { scope: 'tokens:delete', audit: 'token.revoked', raises: ['not_found'] },
  },
  rotate: {
    ...one,
    method: 'POST',
    path: '/:id/rotate',
    summary: 'Rotate a token',
    description:
      'A new text for the same token: its id, grants, limits and uses stay. The old text stops working at once or after a grace period.',
    body: RotateToken,
    responses: { 200: CreatedToken },
    metadata: { scope: 'tokens:write', audit: 'token.rotated', raises: ['not_found', 'invalid_state'] },
  },
})
