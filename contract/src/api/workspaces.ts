import { z } from 'zod'
import { common, Metadata, text } from '../fields.ts'
import { id } from '../ids.ts'
import { fieldsOf, listQuery, pageOf } from '../page.ts'
import { group } from '../route.ts'

export const WorkspaceId = id('ws')

export const Tier = z
  .enum(['self_hosted', 'free', 'starter', 'pro', 'business', 'agency', 'enterprise'])
  .meta({
    id: 'Tier',
    description: 'The plan: which features are limited and how many requests a minute are allowed',
  })

const settings = {
  timezone: text(64).refine(isTimeZone, 'must be an IANA time zone').describe('IANA name of the time zone'),
  locale: text(35).refine(isLocale, 'must be a BCP 47 language tag').describe('BCP 47 language tag'),
  execution_retention_days: z.int().min(1).max(3650).describe('How long executions are kept'),
  payload_capture: z
    .enum(['none', 'errors', 'all'])
    .describe('Whether executions keep their redacted input and output: never, only of failures, or always'),
  allowed_hosts: z
    .array(text(253))
    .max(100)
    .describe('When not empty, actions may only call these hosts (`example.com`, `*.example.com`)'),
}

function isTimeZone(name: string): boolean {
  try {
    return new Intl.DateTimeFormat('en', { timeZone: name }) !== null
  } catch {
    return false
  }
}

function isLocale(tag: string): boolean {
  try {
    return Intl.getCanonicalLocales(tag).length === 1
  } catch {
    return false
  }
}

const settingsExample = {
  timezone: 'UTC',
  locale: 'en',
  execution_retention_days: 30,
  payload_capture: 'all' as const,
  allowed_hosts: [],
}

export const WorkspaceSettings = z.object(settings).meta({
  id: 'WorkspaceSettings',
  description: 'What applies to all of a workspace',
  examples: [settingsExample],
})
export type WorkspaceSettings = z.output<typeof WorkspaceSettings>

export const defaultSettings: WorkspaceSettings = settingsExample

export const Workspace = z
  .object({
    id: WorkspaceId.describe('Its id'),
    ...common('workspace'),
    name: z.string().meta({ description: 'What people call it', examples: ['Acme'] }),
    slug: z
      .string()
      .meta({ description: 'URL-friendly name, unique in the installation', examples: ['acme'] }),
    tier: Tier,
    status: z
      .enum(['active', 'paused'])
      .describe('While `paused` no token of the workspace can call anything'),
    settings: WorkspaceSettings,
  })
  .meta({ id: 'Workspace', description: 'A tenant: everything else belongs to one' })
export type Workspace = z.output<typeof Workspace>

export const UpdateWorkspace = z
  .strictObject({
    name: text(255).describe('What people call it'),
    tier: Tier.describe('Another plan, if plans may be chosen in this installation'),
    settings: z.strictObject(settings).partial().describe('Merged into the present settings'),
    metadata: Metadata,
  })
  .partial()
  .meta({
    id: 'UpdateWorkspace',
    examples: [{ name: 'Acme', settings: { timezone: 'Europe/London' } }],
  })
export type UpdateWorkspace = z.output<typeof UpdateWorkspace>

const one = { pathParams: z.object({ id: WorkspaceId.describe('Id of the workspace') }) }

export const workspaces = group('/api/v1/workspaces', {
  list: {
    method: 'GET',
    path: '',
    summary: 'List workspaces',
    description: 'The workspaces your key can see: a workspace key sees its own.',
    query: listQuery({ of: Workspace, sort: ['created_at'], filters: {} }),
    responses: { 200: pageOf(Workspace, 'Workspace') },
    metadata: { scope: 'workspaces:read', audit: null, raises: ['invalid_cursor'] },
  },
  get: {
    ...one,
    method: 'GET',
    path: '/:id',
    summary: 'Get a workspace',
    description: 'Its plan, its state and its settings.',
    query: z.strictObject({ fields: fieldsOf(Workspace) }),
    responses: { 200: Workspace },
    metadata: { scope: 'workspaces:read', audit: null, raises: ['not_found'] },
  },
  update: {
    ...one,
    method: 'PATCH',
    path: '/:id',
    summary: 'Update a workspace',
    description: 'Changes the name, the plan or some of the settings; what is absent stays.',
    body: UpdateWorkspace,
    responses: { 200: Workspace },
    metadata: { scope: 'workspaces:write', audit: 'workspace.updated', raises: ['not_found'] },
  },
  pause: {
    ...one,
    method: 'POST',
    path: '/:id/pause',
    summary: 'Pause a workspace',
    description:
      'The kill switch: from now on every call with a token of this workspace is refused with `paused`.',
    body: z.strictObject({}),
    responses: { 200: Workspace },
    metadata: { scope: 'workspaces:write', audit: 'workspace.paused', raises: ['not_found'] },
  },
  resume: {
    ...one,
    method: 'POST',
    path: '/:id/resume',
    summary: 'Resume a workspace',
    description: 'Ends a pause. Tokens that were revoked or expired meanwhile stay so.',
    body: z.strictObject({}),
    responses: { 200: Workspace },
    metadata: { scope: 'workspaces:write', audit: 'workspace.resumed', raises: ['not_found'] },
  },
})
