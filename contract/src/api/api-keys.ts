import { z } from 'zod'
import { common, Metadata, Timestamp, TimestampInput, text } from '../fields.ts'
import { id } from '../ids.ts'
import { createdFilters, fieldsOf, listQuery, metadataFilter, pageOf, searchFilter } from '../page.ts'
import { c, group } from '../route.ts'
import { GrantedScope } from '../scopes.ts'
import { Tier } from './workspaces.ts'

export const ApiKeyId = id('key')

const ApiKeyStatus = z.enum(['active', 'revoked', 'expired'])

/** Addresses a credential may be used from. */
export const AllowedIps = z
  .array(z.union([z.ipv4(), z.ipv6(), z.cidrv4(), z.cidrv6()]))
  .max(100)
  .nullable()
  .describe('Addresses or CIDR ranges it may be used from; null for any')

export const ApiKey = z
  .object({
    id: ApiKeyId.describe('Its id'),
    ...common('api_key'),
    name: z.string().meta({ description: 'What it is for', examples: ['Deploy pipeline'] }),
    prefix: z.string().meta({ description: 'The first characters of the key', examples: ['sk_8Hn2'] }),
    last_four: z.string().meta({ description: 'The last characters of the key', examples: ['x4Wb'] }),
    status: ApiKeyStatus.describe('Only an `active` key opens anything'),
    scopes: z.array(GrantedScope).describe('What it may do'),
    rate_limit_tier: Tier.nullable().describe(
      'Whose request rate it has; null for the plan of the workspace',
    ),
    allowed_ips: z
      .array(z.string())
      .nullable()
      .describe('Addresses or CIDR ranges it may be used from; null for any'),
    expires_at: Timestamp.nullable().describe('When it stops working; null for never'),
    last_used_at: Timestamp.nullable().describe('Accurate to about a minute'),
    revoked_at: Timestamp.nullable().describe('When it was revoked; null if it was not'),
    created_by: z.string().nullable().describe('The key that created it; null for the first'),
  })
  .meta({
    id: 'ApiKey',
    description: 'A credential for the management API; the key itself is never shown again',
  })
export type ApiKey = z.output<typeof ApiKey>

export const CreatedApiKey = ApiKey.extend({
  key: z.string().meta({ description: 'The key. Shown now and never again: store it.', examples: ['sk_…'] }),
}).meta({ id: 'CreatedApiKey', description: 'A new API key with its text' })

export const CreateApiKey = z
  .strictObject({
    name: text(255).describe('What it is for'),
    scopes: z
      .array(GrantedScope)
      .min(1)
      .max(100)
      .optional()
      .describe('What it may do; not more than your own key. Default: `read`, `write`.'),
    rate_limit_tier: Tier.nullable()
      .default(null)
      .describe('Whose request rate it has; null for the plan of the workspace'),
    allowed_ips: AllowedIps.default(null).describe(
      'Addresses or CIDR ranges it may be used from; null for those of your own key',
    ),
    expires_at: TimestampInput.nullable()
      .default(null)
      .describe('When it stops working; not later than your own key. Null for when that does.'),
    metadata: Metadata.default({}),
  })
  .meta({
    id: 'CreateApiKey',
    examples: [{ name: 'Deploy pipeline', scopes: ['actions:read', 'actions:write'] }],
  })
export type CreateApiKey = z.output<typeof CreateApiKey>

const one = { pathParams: z.object({ id: ApiKeyId.describe('Id of the API key') }) }

export const apiKeys = group('/api/v1/api-keys', {
  list: {
    method: 'GET',
    path: '',
    summary: 'List API keys',
    description: 'Revoked ones are left out unless `status` asks for them.',
    query: listQuery({
      of: ApiKey,
      sort: ['created_at', 'name'],
      filters: {
        status: ApiKeyStatus.optional().describe('Only keys in this state. Default: all but revoked.'),
        ...createdFilters,
        ...searchFilter,
        ...metadataFilter,
      },
    }),
    responses: { 200: pageOf(ApiKey, 'ApiKey') },
    metadata: { scope: 'api-keys:read', audit: null, raises: ['invalid_cursor'] },
  },
  create: {
    method: 'POST',
    path: '',
    summary: 'Create an API key',
    description: 'The answer holds the key once. A key is never wider than the key that creates it.',
    body: CreateApiKey,
    responses: { 201: CreatedApiKey },
    metadata: { scope: 'api-keys:write', audit: 'api_key.created' },
  },
  get: {
    ...one,
    method: 'GET',
    path: '/:id',
    summary: 'Get an API key',
    description: 'A revoked key is still found, with `status` `revoked`.',
    query: z.strictObject({ fields: fieldsOf(ApiKey) }),
    responses: { 200: ApiKey },
    metadata: { scope: 'api-keys:read', audit: null, raises: ['not_found'] },
  },
  delete: {
    ...one,
    method: 'DELETE',
    path: '/:id',
    summary: 'Revoke an API key',
    description:
      'It stops working within a second. A key that may create keys is `in_use` unless another one lasts as long: ' +
      'without it everybody would be locked out.',
    responses: { 204: c.noBody() },
    metadata: { scope: 'api-keys:delete', audit: 'api_key.revoked', raises: ['not_found', 'in_use'] },
  },
})
