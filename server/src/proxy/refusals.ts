import { appendAudit } from '../db/audit.ts'
import type { Pool } from '../db/sql.ts'
import { changeWorkspace } from '../db/transaction.ts'
import type { Ids } from '../ids.ts'
import type { Log } from '../log.ts'
import type { Holder, KeyHolder } from './authority.ts'

type Asker = { ip: string; userAgent: string | null; requestId: string }

/** How many refusals a minute of one workspace become audit events: a flood of them must not be one of rows. */
const samplesPerMinute = 10

/** Records, as samples, that a known credential was turned away and why. The caller is told neither. */
export class Refusals {
  readonly #options: { app: Pool; log: Log; ids: Ids; now: () => Date }
  readonly #pending = new Set<Promise<void>>()
  #minute = 0
  #counts = new Map<string, number>()

  constructor(options: { app: Pool; log: Log; ids: Ids; now: () => Date }) {
    this.#options = options
  }

  note(holder: KeyHolder | Holder, reason: string, asker: Asker): void {
    if (!this.#isSampled(holder.workspaceId)) return
    const written = this.#write(holder, reason, asker)
      .catch((error: unknown) => this.#options.log.warn({ error }, 'a refusal was not recorded'))
      .finally(() => this.#pending.delete(written))
    this.#pending.add(written)
  }

  async drain(): Promise<void> {
    await Promise.all(this.#pending)
  }

  #isSampled(workspaceId: string): boolean {
    const minute = Math.floor(this.#options.now().getTime() / 60_000)
    if (minute !== this.#minute) {
      this.#minute = minute
      this.#counts = new Map()
    }
    const count = (this.#counts.get(workspaceId) ?? 0) + 1
    this.#counts.set(workspaceId, count)
    return count <= samplesPerMinute
  }

  #write(holder: KeyHolder | Holder, reason: string, { ip, userAgent, requestId }: Asker): Promise<void> {
    const { app, ids, now } = this.#options
    const type = holder.kind === 'key' ? 'api_key' : 'token'
    const entry = {
      action: 'credential.refused',
      outcome: 'denied',
      actor: { type, id: holder.id, name: holder.name },
      targets: [{ type, id: holder.id }],
      changes: [{ field: 'reason', from: null, to: reason }],
      context: { ip, user_agent: userAgent, request_id: requestId },
    } as const
    return changeWorkspace(app, holder.workspaceId, (sql) =>
      appendAudit(
        sql,
        holder.workspaceId,
        { ...entry, targets: [...entry.targets], changes: [...entry.changes] },
        {
          nextId: () => ids.next('aud'),
          now,
        },
      ),
    )
  }
}
