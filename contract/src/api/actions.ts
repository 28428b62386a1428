import { z } from 'zod'
import {
  common,
  integerInUrl,
  JsonObject,
  Metadata,
  ReadVersion,
  Timestamp,
  TimestampInput,
  text,
} from '../fields.ts'
import { id } from '../ids.ts'
import { limits } from '../limits.ts'
import {
  createdFilters,
  fieldsOf,
  listQuery,
  metadataFilter,
  pageOf,
  pageQuery,
  searchFilter,
  updatedFilters,
} from '../page.ts'
import { c, group } from '../route.ts'
import { Constraint } from './constraint.ts'
import {
  Decision,
  Execution,
  ExecutionId,
  ExecutionPage,
  executionQuery,
  nestedExecutionsQuery,
} from './executions.ts'
import { InputSchema } from './input-schema.ts'
import { SecretId } from './secrets.ts'
import { CreatedToken } from './tokens.ts'

export const ActionId = id('act')

const ActionStatus = z.enum(['draft', 'active', 'paused', 'archived'])
const AuthType = z.enum(['none', 'bearer', 'basic', 'header', 'query'])
export const Method = z.enum(['GET', 'POST', 'PUT', 'PATCH', 'DELETE', 'HEAD'])

/** Paths under `/x` that are no actions. */
export const reservedSlugs: readonly string[] = ['executions', 'tokens']

const { timeoutMs, maxTimeoutMs, responseBytes, maxResponseBytes } = limits.upstream

const responsePolicy = {
  fields: z
    .array(text(200))
    .max(200)
    .nullable()
    .describe('Dotted paths of the answer to keep, through arrays; null keeps all'),
  redact: z.array(text(200)).max(200).nullable().describe('Dotted paths whose values are hidden'),
  max_bytes: z
    .int()
    .min(1)
    .max(maxResponseBytes)
    .describe('An answer larger than this is refused with `invalid_upstream_response`'),
  headers: z
    .array(text(100))
    .max(50)
    .nullable()
    .describe(
      'Names of upstream headers to pass on beside Content-Type and Retry-After; null for a safe few',
    ),
}

export const ResponsePolicy = z
  .strictObject({
    fields: responsePolicy.fields.default(null),
    redact: responsePolicy.redact.default(null),
    max_bytes: responsePolicy.max_bytes.default(responseBytes),
    headers: responsePolicy.headers.default(null),
  })
  .meta({
    id: 'ResponsePolicy',
    description: 'What of the upstream answer reaches the caller and the record',
  })

const annotations = {
  read_only: z.boolean().describe('It changes nothing'),
  destructive: z.boolean().describe('It may destroy something'),
  idempotent: z.boolean().describe('Running it twice is the same as running it once'),
  open_world: z.boolean().describe('It touches things outside the upstream'),
}

export const Annotations = z
  .strictObject({
    read_only: annotations.read_only.default(false),
    destructive: annotations.destructive.default(false),
    idempotent: annotations.idempotent.default(false),
    open_world: annotations.open_world.default(true),
  })
  .meta({ id: 'Annotations', description: 'Hints for agents, as in the Model Context Protocol' })

export const RetryCause = z.enum(['connection', 'timeout', '429', '502', '503', '504'])

const retryPolicy = {
  max: z.int().min(0).max(5).describe('How often it is tried again at most; 0 for never'),
  on: z
    .array(RetryCause)
    .min(1)
    .max(6)
    .describe(
      'After what: no `connection` or a broken one, a `timeout` (tries then share `timeout_ms`), or a status. ' +
        'All but a connection that was never made need `annotations.idempotent`, `idempotency.safe` or ' +
        '`idempotency.header`.',
    ),
}

export const RetryPolicy = z
  .strictObject({ ...retryPolicy, on: retryPolicy.on.default(['connection']) })
  .meta({
    id: 'RetryPolicy',
    description:
      'When a call is tried again, within `timeout_ms` over all tries and the retry budget of the target',
    examples: [{ max: 2, on: ['connection', '503'] }],
  })
export type RetryPolicy = z.output<typeof RetryPolicy>

const upstreamIdempotency = {
  header: text(100)
    .nullable()
    .describe(
      'The header through which the upstream takes a key; it gets the id of the execution in every try',
    ),
  safe: z.boolean().describe('Whether the upstream takes a repeated request as one without a key'),
}

export const UpstreamIdempotency = z
  .strictObject({
    header: upstreamIdempotency.header.default(null),
    safe: upstreamIdempotency.safe.default(false),
  })
  .meta({
    id: 'UpstreamIdempotency',
    description: 'How the upstream knows a request that it has seen before',
    examples: [{ header: 'Idempotency-Key', safe: false }],
  })

/** What defines a call, each field without its default. A change of any of them is a new version. */
const definition = {
  description: text(2000, 0).meta({
    description: 'What it does, for people and agents',
    examples: ['Refunds a charge, in full or in part'],
  }),
  method: Method.meta({ description: 'The HTTP method of the upstream call', examples: ['POST'] }),
  target_url: text(2000).meta({
    description:
      'The upstream URL, https. `{name}` in its path or query is replaced by that input, percent-encoded; the host is fixed.',
    examples: ['https://api.example.com/v1/charges/{charge_id}/refund'],
  }),
  query: z
    .record(text(100), text(2000, 0))
    .nullable()
    .describe('Query parameters; a value may hold `{{name}}`, and is left out when that input is absent'),
  headers: z
    .record(text(100), text(2000, 0))
    .nullable()
    .describe('Request headers; a value may hold `{{name}}`'),
  body_template: z
    .unknown()
    .describe(
      'JSON to send. A string that is exactly `{{name}}` becomes the typed input; text around it makes a string. ' +
        'Null sends the inputs that nothing else uses.',
    ),
  auth_type: AuthType.describe('How the secret is sent to the upstream'),
  auth_name: text(100)
    .nullable()
    .describe('The header or query parameter that carries the secret; with `basic` the user name'),
  secret_id: SecretId.nullable().describe('The secret to send'),
  output_schema: JsonObject.nullable().describe(
    'JSON Schema 2020-12 that the upstream answer must fit; null for any',
  ),
  response: ResponsePolicy,
  constraints: z.array(Constraint).max(100).describe('Rules the input must obey beyond its schema'),
  fixed_input: JsonObject.nullable().describe(
    'Inputs the operator decides; callers neither see nor send them',
  ),
  timeout_ms: z
    .int()
    .min(100)
    .max(maxTimeoutMs)
    .meta({
      description: 'Longest wait for the whole upstream answer, over all tries',
      examples: [timeoutMs],
    }),
  retry: RetryPolicy.nullable().describe('When the upstream call is tried again; null for never'),
  idempotency: UpstreamIdempotency.nullable().describe(
    'How the upstream knows a repeated request; null when it does not',
  ),
  passthrough_errors: z
    .boolean()
    .describe('Whether a failing upstream answer reaches the caller as it is, or as `upstream_error`'),
  annotations: Annotations,
}

/** The rest, which does not change what a call does. */
const settings = {
  name: text(255).meta({ description: 'What people call it', examples: ['Refund a charge'] }),
  slug: z
    .string()
    .regex(
      /^[a-z0-9](?:[a-z0-9_-]{0,62}[a-z0-9])?$/,
      'must be 1 to 64 of a-z, 0-9, _ and -, beginning and ending with a letter or digit',
    )
    .refine((slug) => !reservedSlugs.includes(slug), 'is reserved')
    .meta({
      description: 'Name for agents and for `/x/{slug}`, unique in the workspace',
      examples: ['refund-a-charge'],
    }),
  status: ActionStatus.meta({
    description: 'Only an `active` action can be called and counts to the plan',
    examples: ['active'],
  }),
  rate_limit_rpm: z
    .int()
    .min(1)
    .max(1_000_000)
    .meta({ description: 'Calls a minute, over all tokens', examples: [60] }),
  rate_limit_rph: z
    .int()
    .min(1)
    .max(10_000_000)
    .nullable()
    .describe('Calls an hour, over all tokens; null for no limit'),
  concurrency_limit: z
    .int()
    .min(1)
    .max(10_000)
    .nullable()
    .meta({
      description: 'Calls under way at once, over all tokens; null for no limit',
      examples: [10],
    }),
  sunset_at: TimestampInput.nullable().describe('From then on calls are refused with `sunset`'),
  tags: z
    .array(text(50))
    .max(20)
    .meta({ description: 'Words to find it by', examples: [['billing']] }),
  metadata: Metadata,
}

const authValue = text(16_384).describe('The secret itself; it is stored as a secret and never returned')

const inputSchemaExample = {
  type: 'object',
  properties: { charge_id: { type: 'string' }, amount: { type: 'integer' } },
  required: ['charge_id', 'amount'],
  additionalProperties: false,
}

export const Action = z
  .object({
    id: ActionId.describe('Its id'),
    ...common('action'),
    ...definition,
    ...settings,
    input_schema: JsonObject.meta({
      description: 'JSON Schema 2020-12 of the input',
      examples: [inputSchemaExample],
    }),
    sunset_at: Timestamp.nullable().describe('From then on calls are refused with `sunset`'),
    version: z.int().describe('Grows with every change; send it back to change only what you have read'),
  })
  .meta({ id: 'Action', description: 'One typed, constrained call to one upstream operation' })
export type Action = z.output<typeof Action>

const refundExample = {
  name: 'Refund a charge',
  method: 'POST' as const,
  target_url: 'https://api.example.com/v1/charges/{charge_id}/refund',
  auth_type: 'bearer' as const,
  auth_value: 'upstream-api-key',
  input_schema: [
    { name: 'charge_id', type: 'string', required: true },
    { name: 'amount', type: 'integer', required: true },
  ],
  body_template: { amount: '{{amount}}', reason: 'requested_by_customer' },
  constraints: [{ path: '/amount', op: 'max', value: 5000 }],
  response: { fields: ['id', 'status'], max_bytes: 65_536 },
}

export const CreateAction = z
  .strictObject({
    ...definition,
    ...settings,
    description: definition.description.default(''),
    method: definition.method.default('POST'),
    query: definition.query.default(null),
    headers: definition.headers.default(null),
    body_template: definition.body_template.default(null),
    auth_type: definition.auth_type.default('none'),
    auth_name: definition.auth_name.default(null),
    auth_value: authValue.optional(),
    secret_id: definition.secret_id.default(null),
    input_schema: InputSchema.default([]),
    output_schema: definition.output_schema.default(null),
    response: ResponsePolicy.prefault({}),
    constraints: definition.constraints.default([]),
    fixed_input: definition.fixed_input.default(null),
    timeout_ms: definition.timeout_ms.default(timeoutMs),
    retry: definition.retry.default(null),
    idempotency: definition.idempotency.default(null),
    passthrough_errors: definition.passthrough_errors.default(true),
    annotations: Annotations.prefault({}),
    slug: settings.slug.optional(),
    status: settings.status.default('active'),
    rate_limit_rpm: settings.rate_limit_rpm.default(60),
    rate_limit_rph: settings.rate_limit_rph.default(null),
    concurrency_limit: settings.concurrency_limit.default(null),
    sunset_at: settings.sunset_at.default(null),
    tags: settings.tags.default([]),
    metadata: Metadata.default({}),
  })
  .meta({ id: 'CreateAction', examples: [refundExample] })
export type CreateAction = z.output<typeof CreateAction>

/** Texts by name, of which null takes one away. */
const changedTexts = z.record(text(100), text(2000, 0).nullable()).nullable()

/** No default may hide in it: what is absent would be set to it. */
export const UpdateAction = z
  .strictObject({
    ...definition,
    ...settings,
    query: changedTexts.describe('Merged into the present query parameters; null takes one away, or all'),
    headers: changedTexts.describe('Merged into the present request headers; null takes one away, or all'),
    body_template: definition.body_template.optional(),
    response: z.strictObject(responsePolicy).partial().describe('Merged into the present policy'),
    annotations: z.strictObject(annotations).partial().describe('Merged into the present hints'),
    retry: z
      .strictObject(retryPolicy)
      .partial()
      .nullable()
      .describe('Merged into the present policy; `max` is needed where there is none. Null for never.'),
    idempotency: z
      .strictObject(upstreamIdempotency)
      .partial()
      .nullable()
      .describe('Merged into what is said now; null when the upstream does not know a repeated request'),
    input_schema: InputSchema,
    auth_value: authValue,
    version: ReadVersion,
  })
  .partial()
  .meta({
    id: 'UpdateAction',
    description:
      'A JSON merge patch: what is absent stays, also inside what is said to be merged; null clears what may be ' +
      'null. Lists are replaced whole, and so are `input_schema`, `output_schema`, `body_template`, `fixed_input` ' +
      'and `metadata`.',
    examples: [
      { status: 'paused' },
      { rate_limit_rpm: 10, version: 3 },
      { response: { redact: ['customer.email'] } },
    ],
  })
export type UpdateAction = z.output<typeof UpdateAction>

export const ActionVersion = z
  .object({
    object: z.literal('action_version').describe('The type of this object'),
    action_id: z.string().describe('The action it is a version of'),
    version: z.int().describe('Its number; 1 is the first'),
    definition: Action.pick({
      description: true,
      method: true,
      target_url: true,
      query: true,
      headers: true,
      body_template: true,
      auth_type: true,
      auth_name: true,
      secret_id: true,
      input_schema: true,
      output_schema: true,
      response: true,
      constraints: true,
      fixed_input: true,
      timeout_ms: true,
      retry: true,
      idempotency: true,
      passthrough_errors: true,
      annotations: true,
    }).meta({ id: 'ActionDefinition', description: 'Everything that decides what an action does' }),
    created_at: Timestamp.describe('When the action was changed to it'),
    created_by: z
      .string()
      .nullable()
      .meta({ description: 'The API key that made the change', examples: ['key_06Wz1Xb4mJq0YcT7eKs2hU'] }),
  })
  .meta({ id: 'ActionVersion', description: 'What an action did from one change to the next; never altered' })
export type ActionVersion = z.output<typeof ActionVersion>
export type ActionDefinition = ActionVersion['definition']

export const ActionSchema = z
  .object({
    object: z.literal('action_schema').describe('The type of this object'),
    action_id: z.string().describe('The action'),
    version: z.int().describe('The version of the action'),
    input_schema: JsonObject.meta({
      description: 'What a caller sends: without fixed inputs',
      examples: [inputSchemaExample],
    }),
    output_schema: JsonObject.nullable().describe('What a caller gets; null when that was not said'),
  })
  .meta({ id: 'ActionSchema', description: 'The input and output of an action as its callers see them' })

const requestExample = {
  method: 'POST',
  url: 'https://api.example.com/v1/charges/ch_1/refund',
  headers: [{ name: 'authorization', value: 'Bearer [redacted]' }],
  body: { amount: 1200, reason: 'requested_by_customer' },
}

export const DryRun = z
  .object({
    object: z.literal('dry_run').describe('The type of this object'),
    action_id: z.string().describe('The action that would run'),
    version: z.int().describe('The version that would run'),
    allowed: z
      .boolean()
      .describe(
        'Whether the real call would be sent; false also for a token that is revoked, expired, used up or not yet valid',
      ),
    decision: Decision.describe('How the input was judged'),
    request: z
      .object({
        method: z.string().describe('Its HTTP method'),
        url: z.string().describe('Where it would go'),
        headers: z
          .array(
            z.object({
              name: z.string().describe('In lower case'),
              value: z.string().describe('Masked where it would hold the secret'),
            }),
          )
          .describe('Its headers'),
        body: z.unknown().describe('Its body; null for none'),
      })
      .nullable()
      .meta({
        description: 'What would be sent, with the secret and sensitive inputs masked; null when refused',
        examples: [requestExample],
      }),
  })
  .meta({ id: 'DryRun', description: 'What a call would do. Nothing is sent and nothing is used up.' })
export type DryRun = z.output<typeof DryRun>

export const TestAction = z
  .strictObject({
    input: JsonObject.default({}).describe('The input a caller would send'),
    token_id: id('tok').nullable().default(null).describe('Judge it as this token would be judged'),
  })
  .meta({ id: 'TestAction', examples: [{ input: { charge_id: 'ch_1', amount: 1200 } }] })

export const RotateActionToken = z
  .strictObject({
    name: text(255).optional().describe('Name of the new token; default: the name of the action'),
    expires_at: TimestampInput.nullable().default(null).describe('When the new token stops working'),
    grace_period_hours: z
      .number()
      .min(0)
      .max(168)
      .default(0)
      .describe('How long the old tokens still work; never past their own expiry'),
  })
  .meta({ id: 'RotateActionToken', examples: [{ grace_period_hours: 24 }] })

export const RotatedActionToken = CreatedToken.extend({
  revoked_token_ids: z.array(z.string()).meta({
    description: 'Tokens that only named this action: revoked, or ending with the grace period',
    examples: [['tok_06Wz1Xb4mJq0YcT7eKs2hV']],
  }),
  unaffected_token_ids: z
    .array(z.string())
    .meta({ description: 'Tokens that also name other actions: unchanged', examples: [[]] }),
}).meta({
  id: 'RotatedActionToken',
  description: 'The new token of an action and what became of the old ones',
})

const ofAction = ActionId.describe('Id of the action')
const one = { pathParams: z.object({ id: ofAction }) }

export const actions = group('/api/v1/actions', {
  list: {
    method: 'GET',
    path: '',
    summary: 'List actions',
    description: 'The actions of the workspace, newest first.',
    query: listQuery({
      of: Action,
      sort: ['created_at', 'updated_at', 'name'],
      filters: {
        status: ActionStatus.optional().describe('Only actions in this state'),
        tag: text(50).optional().describe('Only actions with this tag'),
        ...createdFilters,
        ...updatedFilters,
        ...searchFilter,
        ...metadataFilter,
      },
    }),
    responses: { 200: pageOf(Action, 'Action') },
    metadata: { scope: 'actions:read', audit: null, raises: ['invalid_cursor'] },
  },
  create: {
    method: 'POST',
    path: '',
    summary: 'Create an action',
    description:
      'Defines one call to one upstream operation. `auth_value` becomes a secret of its own; or name one with `secret_id`.',
    body: CreateAction,
    responses: { 201: Action },
    metadata: {
      scope: 'actions:write',
      audit: 'action.created',
      raises: ['action_limit_reached', 'conflict'],
      versioned: true,
    },
  },
  get: {
    ...one,
    method: 'GET',
    path: '/:id',
    summary: 'Get an action',
    description: 'Its definition, without the secret.',
    query: z.strictObject({ fields: fieldsOf(Action) }),
    responses: { 200: Action },
    metadata: { scope: 'actions:read', audit: null, raises: ['not_found'], versioned: true },
  },
  update: {
    ...one,
    method: 'PATCH',
    path: '/:id',
    summary: 'Update an action',
    description:
      'Every change makes a new version, used by each call that starts a second later. ' +
      'Send `If-Match` or `version` to change only what you have read.',
    body: UpdateAction,
    responses: { 200: Action },
    metadata: {
      scope: 'actions:write',
      audit: 'action.updated',
      raises: ['not_found', 'action_limit_reached', 'conflict', 'invalid_state'],
      versioned: true,
    },
  },
  delete: {
    ...one,
    method: 'DELETE',
    path: '/:id',
    summary: 'Delete an action',
    description:
      'Gone for good, with its versions; its executions stay readable, its tokens get `not_found` for it.',
    responses: { 204: c.noBody() },
    metadata: { scope: 'actions:delete', audit: 'action.deleted', raises: ['not_found'], versioned: true },
  },
  listVersions: {
    ...one,
    method: 'GET',
    path: '/:id/versions',
    summary: 'List versions of an action',
    description: 'What the action did from change to change, newest first.',
    query: z.strictObject(pageQuery),
    responses: { 200: pageOf(ActionVersion, 'ActionVersion') },
    metadata: { scope: 'actions:read', audit: null, raises: ['not_found', 'invalid_cursor'] },
  },
  restoreVersion: {
    method: 'POST',
    path: '/:id/versions/:version/restore',
    pathParams: z.object({
      id: ofAction,
      version: integerInUrl<string>(z.int().min(1).max(2_147_483_647)).describe('Number of the version'),
    }),
    summary: 'Restore a version of an action',
    description: 'Makes a new version that does what the named one did.',
    body: z.strictObject({}),
    responses: { 200: Action },
    metadata: { scope: 'actions:write', audit: 'action.restored', raises: ['not_found'], versioned: true },
  },
  getSchema: {
    ...one,
    method: 'GET',
    path: '/:id/schema',
    summary: 'Get the schema of an action',
    description: 'What callers send and get, as JSON Schema 2020-12.',
    responses: { 200: ActionSchema },
    metadata: { scope: 'actions:read', audit: null, raises: ['not_found'] },
  },
  test: {
    ...one,
    method: 'POST',
    path: '/:id/test',
    summary: 'Test an action without calling it',
    description:
      'The request an input would cause and how it would be judged. Works for drafts too; sends nothing.',
    body: TestAction,
    responses: { 200: DryRun },
    metadata: { scope: 'actions:execute', audit: null, raises: ['not_found'] },
  },
  rotateToken: {
    ...one,
    method: 'POST',
    path: '/:id/rotate-token',
    summary: 'Rotate the token of an action',
    description:
      'A new token for this action; tokens that name nothing else are revoked, at once or after a grace period.',
    body: RotateActionToken,
    responses: { 201: RotatedActionToken },
    metadata: { scope: 'tokens:write', audit: 'token.rotated', raises: ['not_found'] },
  },
  listExecutions: {
    ...one,
    method: 'GET',
    path: '/:id/executions',
    summary: 'List executions of an action',
    description: 'Also of an action that was deleted.',
    query: nestedExecutionsQuery,
    responses: { 200: ExecutionPage },
    metadata: { scope: 'executions:read', audit: null, raises: ['not_found', 'invalid_cursor'] },
  },
  getExecution: {
    method: 'GET',
    path: '/:id/executions/:execution_id',
    pathParams: z.object({ id: ofAction, execution_id: ExecutionId.describe('Id of the execution') }),
    summary: 'Get an execution of an action',
    description: 'An execution of another action is `not_found` here.',
    query: executionQuery,
    responses: { 200: Execution },
    metadata: { scope: 'executions:read', audit: null, raises: ['not_found'] },
  },
})
