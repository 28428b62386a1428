import { z } from 'zod'
import { common, Metadata, ReadVersion, Timestamp, TimestampInput, text } from '../fields.ts'
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

const SecretType = z.enum(['api_key', 'bearer', 'basic', 'oauth2', 'header', 'generic'])
const SecretStatus = z.enum(['active', 'expiring', 'expired'])

export const Secret = z
  .object({
    id: SecretId.describe('Its id'),
    ...common('secret'),
    name: z.string().meta({ description: 'What it is for', examples: ['Payments API key'] }),
    type: SecretType.meta({ description: 'What kind of value it is', examples: ['bearer'] }),
    status: SecretStatus.describe('`expiring` in the last 14 days'),
    version: z.int().describe('Counts the values it has had'),
    fingerprint: z.string().meta({
      description: 'Tells values apart without telling them; differs between installations',
      examples: ['9f2c41d0a7b3e856'],
    }),
    expires_at: Timestamp.nullable().describe('When the upstream stops taking it, if that is known'),
    last_rotated_at: Timestamp.describe('When the present value was set'),
    used_by: z
      .array(z.string())
      .meta({ description: 'Ids of the actions that use it', examples: [['act_06Wz1Xb4mJq0YcT7eKs2hU']] }),
  })
  .meta({ id: 'Secret', description: 'An encrypted value that can be written and used, and never read' })
export type Secret = z.output<typeof Secret>

const writable = {
  name: text(255).describe('What it is for'),
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
  .strictObject({ ...writable, version: ReadVersion })
  .partial()
  .meta({ id: 'UpdateSecret', examples: [{ value: 'pk_live_new…' }] })
export type UpdateSecret = z.output<typeof UpdateSecret>

const one = { pathParams: z.object({ id: SecretId.describe('Id of the secret') }) }

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
        type: SecretType.optional().describe('Only secrets of this kind'),
        status: SecretStatus.optional().describe('Only secrets in this state'),
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
    metadata: { scope: 'secrets:write', audit: 'secret.created', versioned: true },
  },
  get: {
    ...one,
    method: 'GET',
    path: '/:id',
    summary: 'Get a secret',
    description: 'Everything about it but its value.',
    query: z.strictObject({ fields: fieldsOf(Secret) }),
    responses: { 200: Secret },
    metadata: { scope: 'secrets:read', audit: null, raises: ['not_found'], versioned: true },
  },
  update: {
    ...one,
    method: 'PATCH',
    path: '/:id',
    summary: 'Update a secret',
    description: 'A new `value` becomes a new version, which running servers use within a second.',
    body: UpdateSecret,
    responses: { 200: Secret },
    metadata: { scope: 'secrets:write', audit: 'secret.updated', raises: ['not_found'], versioned: true },
  },
  delete: {
    ...one,
    method: 'DELETE',
    path: '/:id',
    summary: 'Delete a secret',
    description: 'Refused with `in_use` while an action names it; `details` lists which.',
    responses: { 204: c.noBody() },
    metadata: {
      scope: 'secrets:delete',
      audit: 'secret.deleted',
      raises: ['not_found', 'in_use'],
      versioned: true,
    },
  },
})
