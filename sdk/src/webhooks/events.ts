import type { Action, ApiKey, Execution, Secret, Token, Workspace } from '../generated/client.ts'

/** What happened to something whose fields this version does not know by type. */
type Fields = { readonly [field: string]: unknown }

/** What `data` holds, for each type of event: the object as its endpoint answers it, where there is one. */
export interface WebhookData {
  /** An execution ended well. */
  'execution.completed': Execution
  /** An execution ended badly. */
  'execution.failed': Execution
  /** An execution was refused by a policy or an approver. */
  'execution.rejected': Execution
  /** An execution was canceled. */
  'execution.canceled': Execution
  /** An execution was sent, and whether it took effect is not known. */
  'execution.outcome_unknown': Execution
  /** A run of a workflow ended, however it ended. */
  'workflow.executed': Execution

  /** An execution waits for somebody to decide. */
  'approval.requested': Fields
  /** A waiting execution was approved. */
  'approval.approved': Fields
  /** A waiting execution was denied. */
  'approval.denied': Fields
  /** Nobody decided in time. */
  'approval.expired': Fields

  /** An execution token was made. */
  'token.created': Token
  /** An execution token was revoked. */
  'token.revoked': Token
  /** An execution token has no uses left. */
  'token.exhausted': Token
  /** An execution token expires soon. */
  'token.expiring': Token
  /** An API key was made. */
  'api_key.created': ApiKey
  /** An API key was replaced. */
  'api_key.rotated': ApiKey
  /** An API key was revoked. */
  'api_key.revoked': ApiKey
  /** An API key expires soon. */
  'api_key.expiring': ApiKey
  /** An API key was found in public and revoked. */
  'api_key.leaked': ApiKey
  /** A secret expires soon. */
  'secret.expiring': Secret
  /** A secret has a new value. */
  'secret.rotated': Secret
  /** A connection was made. */
  'connection.created': Fields
  /** A connection expired. */
  'connection.expired': Fields
  /** A connection no longer works. */
  'connection.error': Fields
  /** A connection must be authorised again. */
  'connection.reauth_required': Fields
  /** A connection was revoked. */
  'connection.revoked': Fields

  /** An action was made. */
  'action.created': Action
  /** An action was changed. */
  'action.updated': Action
  /** An action was paused. */
  'action.paused': Action
  /** An action is no longer served. */
  'action.sunset': Action
  /** A connector was changed. */
  'connector.updated': Fields
  /** A version of a workflow was published. */
  'workflow.published': Fields

  /** A trigger started something. */
  'trigger.fired': Fields
  /** A trigger was due and started nothing. */
  'trigger.skipped': Fields
  /** A trigger was disabled. */
  'trigger.disabled': Fields
  /** A form was submitted. */
  'form.submitted': Fields
  /** A job ended well. */
  'job.completed': Fields
  /** A job ended badly. */
  'job.failed': Fields

  /** Much of a budget is spent. */
  'budget.threshold_reached': Fields
  /** A budget is spent. */
  'budget.exceeded': Fields
  /** Much of an entitlement is used. */
  'entitlement.threshold_reached': Fields
  /** An entitlement is used up. */
  'entitlement.exceeded': Fields
  /** Calls were refused for their rate; not every one is told. */
  'rate_limit.exceeded': Fields

  /** A report on a site arrived. */
  'seo.report_received': Fields
  /** A report showed an issue. */
  'seo.issue_opened': Fields
  /** An issue is no longer reported. */
  'seo.issue_resolved': Fields
  /** A site got a lower score. */
  'seo.score_dropped': Fields
  /** A pixel recorded something. */
  'pixel.event': Fields

  /** Somebody was invited to the workspace. */
  'user.invited': Fields
  /** Somebody joined the workspace. */
  'user.joined': Fields
  /** Somebody was removed from the workspace. */
  'user.removed': Fields
  /** The scopes of a role changed. */
  'role.updated': Fields
  /** A webhook endpoint was disabled. */
  'webhook.disabled': Fields
  /** A test of this endpoint, sent because somebody asked for one. */
  'webhook.test': Fields

  /** A resource was made. */
  'resource.created': Fields
  /** A resource was changed. */
  'resource.updated': Fields
  /** A resource was deleted. */
  'resource.deleted': Fields
  /** A customer was made. */
  'customer.created': Fields
  /** A customer was changed. */
  'customer.updated': Fields
  /** A customer was deleted. */
  'customer.deleted': Fields
  /** The workspace was changed. */
  'workspace.updated': Workspace
}

/** The types this version knows. A newer server may send others. */
export type WebhookEventType = keyof WebhookData

interface EventOf<Type extends string, Data> {
  /** The same for every delivery of this event: remember it to handle the event once. */
  readonly id: string
  /** What happened. */
  readonly type: Type
  /** When it happened, in UTC. */
  readonly timestamp: string
  /** What it happened to. */
  readonly data: Data
}

/** An event of a type that this version knows, with what its `data` holds. */
export type KnownWebhookEvent = {
  [Type in WebhookEventType]: EventOf<Type, WebhookData[Type]>
}[WebhookEventType]

declare const unknownType: unique symbol

/**
 * A type this version does not know. At run time it is plain text. The mark keeps it apart from the known ones,
 * so that comparing `event.type` with one of those leaves exactly that event, and a misspelt one is an error; to
 * handle a type ahead of its release, compare `event.type as string`.
 */
// A template, because TypeScript tells the members of a union apart by literals and templates only.
export type UnknownEventType = `${string & { readonly [unknownType]: true }}`

/** An event of a newer server. */
export type UnknownWebhookEvent = EventOf<UnknownEventType, Fields>

/** Switch over `type`; the default branch is where events of newer servers arrive. */
export type WebhookEvent = KnownWebhookEvent | UnknownWebhookEvent
