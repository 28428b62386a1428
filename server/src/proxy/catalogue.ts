import { type CacheFigures, FreshCache } from '../db/fresh-cache.ts'
import { answered } from '../db/renewing-pool.ts'
import type { Pool } from '../db/sql.ts'
import { ApiError } from '../errors.ts'
import type { Keyring } from '../vault/keys.ts'
import { open } from '../vault/open.ts'
import { unpackSealed } from '../vault/pack.ts'
import type { SealContext } from '../vault/seal.ts'
import type { ActionRow } from './catalogue-queries.ts'
import { findAction, findSecret } from './catalogue-queries.ts'
import { type CompiledAction, compileAction } from './compile.ts'
import { stringsToScrub } from './inject.ts'
import { createScrubber, type Scrubber } from './redact.ts'

/** An action as a call needs it. */
export type LoadedAction = ActionRow & { compiled: CompiledAction }

/** A secret in use. The value is private, so that no log or inspection of this object shows it. */
export class OpenSecret {
  readonly version: number
  readonly expiresAt: string | null
  readonly #value: string
  readonly #scrubbers = new WeakMap<CompiledAction, Scrubber>()

  constructor(value: string, version: number, expiresAt: string | null) {
    this.#value = value
    this.version = version
    this.expiresAt = expiresAt
  }

  /** The one place where the value leaves: to be put into one request. */
  reveal(): string {
    return this.#value
  }

  scrubberFor(action: CompiledAction): Scrubber {
    const known = this.#scrubbers.get(action)
    if (known) return known
    const scrubber = createScrubber(stringsToScrub(action.auth, this.#value))
    this.#scrubbers.set(action, scrubber)
    return scrubber
  }
}

const maxAgeMs = 900
const idOrSlug = /^[0-9A-Za-z_-]{1,64}$/

/**
 * Actions and secrets in use, made ready to run. Like the authority it is stale by less than a second at worst;
 * an action is compiled again only when its version changed, a secret opened again only when its own did.
 */
export class Catalogue {
  readonly #options: { system: Pool; keyring: Keyring }
  readonly #actions: FreshCache<LoadedAction>
  readonly #secrets: FreshCache<OpenSecret>

  constructor(options: { system: Pool; keyring: Keyring; now: () => number }) {
    this.#options = options
    const common = { maxAgeMs, capacity: 20_000, now: options.now }
    this.#actions = new FreshCache(common)
    this.#secrets = new FreshCache(common)
  }

  /** By id or slug. What could be neither is not looked up: not every text can be part of a query or of a key here. */
  action(workspaceId: string, name: string): LoadedAction | null | Promise<LoadedAction | null> {
    if (!idOrSlug.test(name)) return null
    const key = `${workspaceId} ${name}`
    const known = this.#actions.peek(key)
    if (known !== undefined) return known
    return this.#actions.get(key, async (previous) => {
      const { system } = this.#options
      const row = await answered(system, findAction(system, workspaceId, name))
      return row ? loadAction(row, previous) : null
    })
  }

  secret(workspaceId: string, id: string): OpenSecret | null | Promise<OpenSecret | null> {
    const key = `${workspaceId} ${id}`
    const known = this.#secrets.peek(key)
    if (known !== undefined) return known
    const { system, keyring } = this.#options
    return this.#secrets.get(key, (previous) => openSecret(system, keyring, workspaceId, id, previous))
  }

  /** What it remembers, for figures about it. */
  caches(): [name: string, cache: CacheFigures][] {
    return [
      ['actions', this.#actions],
      ['secrets', this.#secrets],
    ]
  }

  expire(): void {
    this.#actions.expire()
    this.#secrets.expire()
  }

  prune(olderThanMs: number): void {
    this.#actions.prune(olderThanMs)
    this.#secrets.prune(olderThanMs)
  }
}

const loadAction = (row: ActionRow, previous: LoadedAction | null): LoadedAction => ({
  ...row,
  compiled:
    previous !== null && previous.id === row.id && previous.version === row.version
      ? previous.compiled
      : compileAction(row.definition),
})

const openSecret = async (
  system: Pool,
  keyring: Keyring,
  workspaceId: string,
  id: string,
  previous: OpenSecret | null,
): Promise<OpenSecret | null> => {
  const row = await answered(system, findSecret(system, workspaceId, id))
  if (!row) return null
  if (previous?.version === row.version && previous.expiresAt === row.expires_at) return previous
  const context = { workspace_id: workspaceId, kind: 'secret', id, version: row.version }
  return new OpenSecret(openValue(keyring, context, row.sealed), row.version, row.expires_at)
}

/** A value that was changed or moved is as good as missing; the cause is for the operator's log. */
const openValue = (keyring: Keyring, context: SealContext, sealed: Buffer): string => {
  try {
    return open(keyring, context, unpackSealed(sealed))
  } catch (cause) {
    throw missingSecret(cause)
  }
}

export const missingSecret = (cause?: unknown) =>
  new ApiError(
    'upstream_auth_failed',
    'The secret of this action is missing or has expired; its operator must set it',
    { cause },
  )
