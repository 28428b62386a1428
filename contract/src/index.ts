import { actions } from './api/actions.ts'
import { apiKeys } from './api/api-keys.ts'
import { audit } from './api/audit.ts'
import { executions } from './api/executions.ts'
import { health } from './api/health.ts'
import { secrets } from './api/secrets.ts'
import { tokens } from './api/tokens.ts'
import { workspaces } from './api/workspaces.ts'
import { x } from './api/x.ts'

/** Everything NarrowAPI promises. The server, the OpenAPI document and the SDK are made from it. */
export const contract = { actions, tokens, executions, x, secrets, apiKeys, workspaces, audit, health }
export type Contract = typeof contract

export type {
  Action,
  ActionDefinition,
  ActionVersion,
  CreateAction,
  DryRun,
  UpdateAction,
} from './api/actions.ts'
export {
  ActionId,
  Annotations,
  ResponsePolicy,
  RetryPolicy,
  reservedSlugs,
  UpstreamIdempotency,
} from './api/actions.ts'
export type { ApiKey, CreateApiKey } from './api/api-keys.ts'
export type { AuditEvent } from './api/audit.ts'
export { Constraint } from './api/constraint.ts'
export type { Decision, Execution } from './api/executions.ts'
export { InputField, InputSchema } from './api/input-schema.ts'
export type { CreateSecret, Secret, UpdateSecret } from './api/secrets.ts'
export type { CreatedToken, CreateToken, Token } from './api/tokens.ts'
export type { UpdateWorkspace, Workspace, WorkspaceSettings } from './api/workspaces.ts'
export { defaultSettings } from './api/workspaces.ts'
export type { Callable, Manifest } from './api/x.ts'
export type { AuditAction } from './audit.ts'
export { auditActions } from './audit.ts'
export { ErrorBody, type ErrorCode, errorCodes } from './errors.ts'
export { idPrefixes } from './ids.ts'
export { limits } from './limits.ts'
export {
  type ContractRoute,
  honoursIdempotencyKey,
  type NamedRoute,
  type RouteMeta,
  raisedBy,
  routesOf,
} from './route.ts'
export { defaultScopes, expandScopes, type GrantedScope, type Scope, scopes } from './scopes.ts'
