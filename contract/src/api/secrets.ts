import { z } from 'zod'
import { common, Metadata, Timestamp, TimestampInput, text } from '../fields.ts'
import { id } from '../ids.ts'
import {
  createdFilters,
  fieldsOf,
  listQuery,
  metadataFilter,
  pageOf,
  searchFilter,
  updatedFilters,
} from '../page.ts'
import { c, group } from '../route.ts'

export const SecretId = id('sec')

export const SecretType = z.enum(['api_key', 'bearer', 'basic', 'oauth2', 'header', 'generic'])
export const SecretStatus = z.enum(['active', 'expiring', 'expired'])

export const Secret = z
  .object({
    id: SecretId,
    ...common('secret'),
    name: z.string(),
    type: SecretType,
    status: SecretStatus.describe('`expiring` in the last 14 days'),
    version: z.int().describe('Counts the values it has had'),
    fingerprint: z
      .string()
      .describe('Tells values apart without telling them; differs between installations'),
    expires_at: Timestamp.nullable(),
    last_rotated_at: Timestamp.describe('When the present value was set'),
    used_by: z.array(z.string()).describe('Ids of the actions that use it'),
  })
  .meta({ id: 'Secret', description: 'An encrypted value that can be written and used, and never read' })
export type Secret = z.output<typeof Secret>

const writable = {
  name: text(255),
  value: text(16_384).describe('The value. Never returned by anything.'),
  expires_at: TimestampInput.nullable().describe('When the upstream stops taking it, if you know'),
  metadata: Metadata,
}

export const CreateSecret = z
  .strictObject({
    ...writable,
    type: SecretType.default('generic').describe('For `basic` the value is `user:password`'),
    expires_at: writable.expires_at.default(null),
    metadata: Metadata.default({}),
  })
  .meta({ id: 'CreateSecret', examples: [{ name: 'Payments API key', type: 'bearer', value: 'pk_live_…' }] })
export type CreateSecret = z.output<typeof CreateSecret>

export const UpdateSecret = z
  .strictObject(writable)
  .partial()
  .meta({ id: 'UpdateSecret', examples: [{ value: 'pk_live_new…' }] })
export type UpdateSecret = z.output<typeof UpdateSecret>

const one = { pathParams: z.object({ id: SecretId }) }

export const secrets = group('/api/v1/secrets', {
  list: {
    method: 'GET',
    path: '',
    summary: 'List secrets',
    description: 'Names, types and versions; never values.',
    query: listQuery({
      of: Secret,
      sort: ['created_at', 'updated_at', 'name'],
      filters: {
        type: SecretType.optional(),
        ...createdFilters,
        ...updatedFilters,
        ...searchFilter,
        ...metadataFilter,
      },
    }),
    responses: { 200: pageOf(Secret, 'Secret') },
    metadata: { scope: 'secrets:read', audit: null, raises: ['invalid_cursor'] },
  },
  create: {
    method: 'POST',
    path: '',
    summary: 'Create a secret',
    description: 'Stores the value encrypted. Name it in an action with `secret_id`.',
    body: CreateSecret,
    responses: { 201: Secret },
    metadata: { scope: 'secrets:write', audit: 'secret.created' },
  },
  get: {
    ...one,
    method: 'GET',
    path: '/:id',
    summary: 'Get a secret',
    description: 'Everything about it but its value.',
    query: z.strictObject({ fields: fieldsOf(Secret) }),
    responses: { 200: Secret },
    metadata: { scope: 'secrets:read', audit: null, raises: ['not_found'] },
  },
  update: {
    ...one,
    method: 'PATCH',
    path: '/:id',
    summary: 'Update a secret',
    description: 'A new `value` becomes a new version, which running servers use within a second.',
    body: UpdateSecret,
    responses: { 200: Secret },
    metadata: { scope: 'secrets:write', audit: 'secret.updated', raises: ['not_found'] },
  },
  delete: {
    ...one,
    method: 'DELETE',
    path: '/:id',
    summary: 'Delete a secret',
    description: 'Refused with `in_use` while an action names it; `details` lists which.',
    responses: { 204: c.noBody() },
    metadata: { scope: 'secrets:delete', audit: 'secret.deleted', raises: ['not_found', 'in_use'] },
  },
})
