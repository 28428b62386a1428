import { hash, type KeyObject } from 'node:crypto'
import type { BlockList } from 'node:net'
import { expandScopes, type GrantedScope, type Scope, type WorkspaceSettings } from '@narrowapi/contract'
import { addressList, isListed } from '../addresses.ts'
import { type CredentialKind, checkCredential, hashCredential } from '../credentials.ts'
import { type CacheFigures, FreshCache } from '../db/fresh-cache.ts'
import { answered } from '../db/renewing-pool.ts'
import type { Pool } from '../db/sql.ts'
import { findKey, findToken, type HeldGrant, type KeyRow, type TokenRow } from './authority-queries.ts'
import { toHostList } from './policy-host.ts'

export type { HeldGrant }

export type WorkspaceState = {
  id: string
  status: 'active' | 'paused'
  settings: WorkspaceSettings
  /** By its `allowed_hosts`; takes a name as it is dialled, without the dot of the root. */
  allowsHost: (host: string) => boolean
  requestsPerMinute: number
  monthlyExecutions: number | null
}

/** Who asks with an API key. */
export type KeyHolder = {
  kind: 'key'
  id: string
  name: string
  workspaceId: string
  workspace: WorkspaceState
  granted: readonly GrantedScope[]
  scopes: ReadonlySet<Scope>
  requestsPerMinute: number
  term: Term
}

/** Who asks with an execution token, and what it may run. */
export type Holder = {
  kind: 'token'
  id: string
  name: string
  workspaceId: string
  workspace: WorkspaceState
  grants: ReadonlyMap<string, HeldGrant>
  maxUses: number | null
  rateLimitRpm: number | null
  /** Changes whenever what the token may do changes. */
  revision: string
  term: Term
}

/** When and from where a credential works. */
type Term = {
  revokedAt: string | null
  notBefore: string | null
  expiresAt: string | null
  allowed: BlockList | null
}

/** Why a known credential is refused. Told to the audit, never to the caller. */
export type Refusal = 'revoked' | 'expired' | 'not_yet_valid' | 'address_not_allowed'

/** Longer than any credential. */
const maxLength = 64

/** How long a revoked credential can still be believed when no notification comes through. */
const maxAgeMs = 900

/**
 * Knows credentials by the hash of their text. Answers from memory for less than a second, and forgets at once
 * when PostgreSQL tells that something changed, so a revocation is seen by every server within that second
 * even while its listening connection is down.
 */
export class Authority {
  readonly #options: { system: Pool; pepper: KeyObject; date: () => Date }
  readonly #keys: FreshCache<KeyHolder>
  readonly #tokens: FreshCache<Holder>

  constructor(options: { system: Pool; pepper: KeyObject; now: () => number; date: () => Date }) {
    this.#options = options
    const common = { maxAgeMs, capacity: 100_000, now: options.now }
    this.#keys = new FreshCache(common)
    this.#tokens = new FreshCache(common)
  }

  /** The holder of an API key, or null for a text that is none. Costs no query when the checksum is wrong. */
  key(text: string): KeyHolder | null | Promise<KeyHolder | null> {
    return this.#find(this.#keys, 'sk', text, async (hash) => {
      const row = await answered(this.#options.system, findKey(this.#options.system, hash))
      return row ? keyHolder(row) : null
    })
  }

  token(text: string): Holder | null | Promise<Holder | null> {
    return this.#find(this.#tokens, 'sxt', text, async (hash) => {
      const { system, date } = this.#options
      const row = await answered(system, findToken(system, hash, date().toISOString()))
      return row ? tokenHolder(row) : null
    })
  }

  /**
   * Memory is keyed by a plain hash, which costs a tenth of the peppered one that the database knows, and holds
   * no credential's text either. What is remembered has passed its checksum before.
   */
  #find<V>(
    cache: FreshCache<V>,
    kind: CredentialKind,
    text: string,
    load: (hash: string) => Promise<V | null>,
  ): V | null | Promise<V | null> {
    if (text.length > maxLength) return null
    const key = hash('sha256', text, 'base64url')
    const known = cache.peek(key)
    if (known !== undefined) return known
    if (checkCredential(text) !== kind) return null
    return cache.get(key, () => load(hashCredential(text, this.#options.pepper)))
  }

  /** What it remembers, for figures about it. */
  caches(): [name: string, cache: CacheFigures][] {
    return [
      ['keys', this.#keys],
      ['tokens', this.#tokens],
    ]
  }

  expire(): void {
    this.#keys.expire()
    this.#tokens.expire()
  }

  prune(olderThanMs: number): void {
    this.#keys.prune(olderThanMs)
    this.#tokens.prune(olderThanMs)
  }
}

/** Whether a credential works now and from there; null when it does. */
export const refusalOf = ({ term }: { term: Term }, now: Date, ip: string): Refusal | null => {
  if (term.revokedAt !== null) return 'revoked'
  if (term.expiresAt !== null && term.expiresAt <= now.toISOString()) return 'expired'
  if (term.notBefore !== null && term.notBefore > now.toISOString()) return 'not_yet_valid'
  if (term.allowed !== null && !isListed(term.allowed, ip)) return 'address_not_allowed'
  return null
}

const keyHolder = (row: KeyRow): KeyHolder => ({
  kind: 'key',
  id: row.id,
  name: row.name,
  workspaceId: row.workspace_id,
  workspace: workspaceState(row),
  granted: row.scopes,
  scopes: expandScopes(row.scopes),
  requestsPerMinute: row.key_requests_per_minute,
  term: {
    revokedAt: row.revoked_at,
    notBefore: null,
    expiresAt: row.expires_at,
    allowed: row.allowed_ips && addressList(row.allowed_ips),
  },
})

const tokenHolder = (row: TokenRow): Holder => ({
  kind: 'token',
  id: row.id,
  name: row.name,
  workspaceId: row.workspace_id,
  workspace: workspaceState(row),
  grants: new Map((row.grants ?? []).map((grant) => [grant.action_id, grant])),
  maxUses: row.max_uses,
  rateLimitRpm: row.rate_limit_rpm,
  revision: row.updated_at,
  term: {
    revokedAt: row.revoked_at,
    notBefore: row.not_before,
    expiresAt: row.expires_at,
    allowed: row.allowed_ips && addressList(row.allowed_ips),
  },
})

const workspaceState = (row: KeyRow | TokenRow): WorkspaceState => ({
  id: row.workspace_id,
  status: row.workspace_status,
  settings: row.workspace_settings,
  allowsHost: hostRule(row.workspace_settings.allowed_hosts),
  requestsPerMinute: row.requests_per_minute,
  monthlyExecutions: row.monthly_executions,
})

/** An empty list allows every host. */
const hostRule = (allowed: readonly string[]): ((host: string) => boolean) =>
  allowed.length === 0 ? () => true : toHostList(allowed)
