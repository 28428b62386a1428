import type { Contract, RouteMeta } from '@narrowapi/contract'
import type { AppRoute, ServerInferRequest, ServerInferResponses } from '@ts-rest/core'
import type { Change } from '../changes.ts'
import type { Clock } from '../clock.ts'
import type { AuditTarget } from '../db/audit.ts'
import type { Keyset, ListQuery, Page } from '../db/keyset.ts'
import type { Sql } from '../db/sql.ts'
import type { Deps } from '../deps.ts'
import type { Ids } from '../ids.ts'
import type { Holder, KeyHolder } from '../proxy/authority.ts'

/** What a handler gets besides its input. It reaches nothing else. */
export type Ctx = {
  /** A transaction that sees only the actor's workspace; read only for GET. */
  sql: Sql
  /** The API key that asks. */
  actor: KeyHolder
  clock: Clock
  ids: Ids
  deps: Deps
  /** The version the caller says it has read (If-Match), or null when it said none. */
  ifVersion: number | null
  /** Adds what changed to the audit event of this request. */
  note(changes: readonly Change[]): void
  /** Adds what else was made or ended to the targets of the audit event of this request. */
  touch(targets: readonly AuditTarget[]): void
  /** Leaves no audit event: what was asked for was so already. */
  skipRecord(): void
  /** One page of this route's list, bound to its filters and order. */
  page<Row extends { id: string }>(
    query: ListQuery,
    find: (keyset: Keyset) => Promise<Row[]>,
  ): Promise<Page<Row>>
}

/** What a handler of the token holder's surface gets. */
export type TokenCtx = { holder: Holder; clock: Clock; deps: Deps }

export type OpenCtx = { deps: Deps }

type CtxOf<R extends Declared> = R['metadata'] extends { auth: 'token' }
  ? TokenCtx
  : R['metadata'] extends { auth: 'none' }
    ? OpenCtx
    : Ctx

type Declared = AppRoute & { metadata: RouteMeta }

export type Input<R extends AppRoute> = ServerInferRequest<R>
export type Reply<R extends AppRoute> = ServerInferResponses<R>
export type Handler<R extends Declared> = (input: Input<R>, ctx: CtxOf<R>) => Promise<Reply<R>>

/** One function for every route of a noun, except those served at the edge. */
export type NounHandlers<N> = {
  [K in keyof N as N[K] extends { metadata: { edge: true } } ? never : K]: N[K] extends Declared
    ? Handler<N[K]>
    : never
}

export type Handlers<C> = { [N in keyof C]: NounHandlers<C[N]> }

/** The handlers of one noun of the contract. */
export type HandlersOf<N extends keyof Contract> = NounHandlers<Contract[N]>
