import type {
  Action,
  ActionVersion,
  ApiKey,
  AuditEvent,
  Execution,
  Secret,
  Token,
  Workspace,
} from '../generated/client.ts'
import { type MockApiError, notFound } from './api-error.ts'
import { blanks } from './generated/operations.ts'

/** An API key with its text, which only its creation tells. */
export type StoredKey = ApiKey & { text: string }

/** A token with every text that still opens it: a rotated one may have two for a while. */
export type StoredToken = Token & { texts: { text: string; until: string | null }[] }

/** An audit event before its place in the chain was worked out. */
export type StoredEvent = Omit<AuditEvent, 'prev_hash' | 'hash'>

export type StoredReply = {
  body: string
  /** Undefined while the first request with the key is still being answered. */
  answer?: { status: number; headers: [string, string][]; text: string | null; error?: MockApiError }
}

/** Everything a workspace holds. */
export class State {
  readonly now: () => Date
  readonly workspace: Workspace
  readonly actions: Action[] = []
  readonly versions: ActionVersion[] = []
  readonly tokens: StoredToken[] = []
  readonly apiKeys: StoredKey[] = []
  readonly secrets: Omit<Secret, 'used_by' | 'status'>[] = []
  readonly executions: Execution[] = []
  readonly events: StoredEvent[] = []
  /** Objects of nouns that the mock has no rules for. */
  readonly others = new Map<string, Record<string, unknown>[]>()
  /** First answers by credential, method, path and idempotency key. */
  readonly replies = new Map<string, StoredReply>()
  /** Requests counted in the present window of each limit. */
  readonly windows = new Map<string, { count: number; endsAt: number }>()
  /** How many calls are under way, by the limit on them. */
  readonly running = new Map<string, number>()
  #ids = 0

  constructor(now: () => Date) {
    this.now = now
    const at = this.timestamp()
    const id = this.nextId('ws')
    this.workspace = {
      ...blank<Workspace>('Workspace'),
      id,
      workspace_id: id,
      created_at: at,
      updated_at: at,
    }
  }

  timestamp(): string {
    return this.now().toISOString()
  }

  /** In the form of real ids, and in their order: text order is creation order. */
  nextId(prefix: string): string {
    this.#ids += 1
    return `${prefix}_${String(this.#ids).padStart(22, '0')}`
  }

  /** A text of the form of a real credential that opens nothing real. */
  nextCredential(prefix: 'sk' | 'sxt'): string {
    this.#ids += 1
    return `${prefix}_mock${String(this.#ids).padStart(45, '0')}`
  }

  /** What every object of the workspace has. */
  head(prefix: string): { id: string; workspace_id: string; created_at: string; updated_at: string } {
    const at = this.timestamp()
    return { id: this.nextId(prefix), workspace_id: this.workspace.id, created_at: at, updated_at: at }
  }
}

/** A copy of an object of a kind before anything was said about it. */
export const blank = <T extends object>(kind: string): T =>
  // The blanks are generated from the same schemas as the interfaces, by name.
  structuredClone(blanks[kind] ?? {}) as T

/** `what` is what people call it: `There is no action with this id`. */
export const getById = <Row extends { id: string }>(
  what: string,
  rows: readonly Row[],
  id: string | undefined,
): Row => {
  const row = rows.find((one) => one.id === id)
  if (!row) throw notFound(`There is no ${what} with this id`)
  return row
}

export const remove = <Row>(rows: Row[], row: Row): void => {
  rows.splice(rows.indexOf(row), 1)
}

/** The first four characters behind the prefix and the last four, by which an owner recognises a credential. */
export const describeCredential = (text: string): { prefix: string; last_four: string } => ({
  prefix: text.slice(0, text.indexOf('_') + 5),
  last_four: text.slice(-4),
})

export interface Change {
  readonly field: string
  readonly from: unknown
  readonly to: unknown
}
