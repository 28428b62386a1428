import { answered } from '../db/renewing-pool.ts'
import type { Pool } from '../db/sql.ts'
import type { Log } from '../log.ts'
import type { Holder, KeyHolder } from './authority.ts'

const flushMs = 2_000

type Use = { workspace_id: string; id: string; used_at: Date; uses: number }
type GrantUse = Omit<Use, 'used_at'> & { action_id: string }

/**
 * When credentials were last used, and how often those without a limit were. Nothing is decided by these
 * figures, so they are gathered and written every two seconds; limited uses are counted exactly elsewhere.
 */
export class Usage {
  readonly #system: Pool
  readonly #log: Log
  readonly #now: () => Date
  readonly #timer: NodeJS.Timeout
  #keys = new Map<string, Use>()
  #tokens = new Map<string, Use>()
  #grants = new Map<string, GrantUse>()
  #flushed = Promise.resolve()

  constructor({ system, log, now }: { system: Pool; log: Log; now: () => Date }) {
    this.#system = system
    this.#log = log
    this.#now = now
    this.#timer = setInterval(() => void this.flush(), flushMs).unref()
  }

  touch(holder: KeyHolder | Holder): void {
    this.#note(holder.kind === 'key' ? this.#keys : this.#tokens, holder, 0)
  }

  /** A call that was sent. Uses with a limit are in their reservation already. */
  use(holder: Holder, actionId: string): void {
    this.#note(this.#tokens, holder, holder.maxUses === null ? 1 : 0)
    if (holder.grants.get(actionId)?.max_uses !== null) return
    const key = `${holder.id} ${actionId}`
    const known = this.#grants.get(key)
    if (known) known.uses += 1
    else
      this.#grants.set(key, { workspace_id: holder.workspaceId, id: holder.id, action_id: actionId, uses: 1 })
  }

  async stop(): Promise<void> {
    clearInterval(this.#timer)
    await this.flush()
  }

  /** Resolves when all that was noted until now is written, also what an earlier flush still writes. */
  flush(): Promise<void> {
    this.#flushed = this.#flushed.then(() => this.#write())
    return this.#flushed
  }

  async #write(): Promise<void> {
    const [keys, tokens, grants] = [
      [...this.#keys.values()],
      [...this.#tokens.values()],
      [...this.#grants.values()],
    ]
    this.#keys = new Map()
    this.#tokens = new Map()
    this.#grants = new Map()
    try {
      if (keys.length > 0) await answered(this.#system, this.#writeKeys(keys))
      if (tokens.length > 0) await answered(this.#system, this.#writeTokens(tokens))
      if (grants.length > 0) await answered(this.#system, this.#writeGrants(grants))
    } catch (error) {
      // Figures for people: losing two seconds of them is better than keeping them for a database that is away.
      this.#log.warn({ error }, 'times of last use were not written')
    }
  }

  #note(uses: Map<string, Use>, holder: KeyHolder | Holder, count: number): void {
    const used_at = this.#now()
    const known = uses.get(holder.id)
    if (known) {
      known.used_at = used_at
      known.uses += count
    } else uses.set(holder.id, { workspace_id: holder.workspaceId, id: holder.id, used_at, uses: count })
  }

  // Rows are locked in the order of their ids, so that servers that write the same ones never wait in a circle.
  #writeKeys(keys: Use[]): Promise<unknown> {
    return this.#system`
      update api_keys k
      set last_used_at = greatest(k.last_used_at, locked.used_at)
      from (
        select k.workspace_id, k.id, row.used_at
        from json_to_recordset(${JSON.stringify(keys)}::text::json) as row (workspace_id text, id text, used_at timestamptz)
          join api_keys k on k.workspace_id = row.workspace_id and k.id = row.id
        order by k.workspace_id, k.id
        for update of k
      ) locked
      where k.workspace_id = locked.workspace_id and k.id = locked.id`
  }

  #writeTokens(tokens: Use[]): Promise<unknown> {
    return this.#system`
      update tokens t
      set last_used_at = greatest(t.last_used_at, locked.used_at),
        uses = case when t.max_uses is null then t.uses + locked.uses else t.uses end
      from (
        select t.workspace_id, t.id, row.used_at, row.uses
        from json_to_recordset(${JSON.stringify(tokens)}::text::json)
            as row (workspace_id text, id text, used_at timestamptz, uses int)
          join tokens t on t.workspace_id = row.workspace_id and t.id = row.id
        order by t.workspace_id, t.id
        for update of t
      ) locked
      where t.workspace_id = locked.workspace_id and t.id = locked.id`
  }

  #writeGrants(grants: GrantUse[]): Promise<unknown> {
    return this.#system`
      update token_grants g
      set uses = g.uses + locked.uses
      from (
        select g.workspace_id, g.token_id, g.action_id, row.uses
        from json_to_recordset(${JSON.stringify(grants)}::text::json)
            as row (workspace_id text, id text, action_id text, uses int)
          join token_grants g
            on g.workspace_id = row.workspace_id and g.token_id = row.id and g.action_id = row.action_id
        where g.max_uses is null
        order by g.workspace_id, g.token_id, g.action_id
        for update of g
      ) locked
      where g.workspace_id = locked.workspace_id and g.token_id = locked.token_id and g.action_id = locked.action_id`
  }
}
