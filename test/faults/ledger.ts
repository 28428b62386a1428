import { setTimeout as sleep } from 'node:timers/promises'
import type { Pool } from '../../server/src/db/sql.ts'
import { type Answered, call } from '../proxy/calls.ts'
import { json, type Upstream } from '../support/upstream.ts'

/** What a caller holds in the end: its last answer. */
type Entry = { answer: Answered; tries: number }

export type Balance = {
  calls: number
  answered200: number
  unknown: number
  /** Answered 200 without a completed execution in the database. */
  lost: number
  /** Numbers that reached the upstream more than once, though each had one idempotency key. */
  doubled: number
  /** Reached the upstream without any execution that says so. */
  unrecorded: number
  /** Final answers that are neither the upstream's nor `upstream_outcome_unknown`. */
  strange: string[]
}

/**
 * Callers that number their calls, send each under its own idempotency key until they have a final answer, as the
 * SDK does, and write down what they got. The upstream writes down which numbers came. Afterwards both are held
 * against the database.
 */
export class Ledger {
  readonly #entries = new Map<number, Entry>()
  readonly #upstream: Upstream
  readonly #servers: () => readonly { url: string }[]
  readonly #callable: { action: string; token: string }
  readonly #callers: Promise<unknown>
  #next = 0
  #isOver = false

  constructor(options: {
    upstream: Upstream
    /** Those that run just now; asked before every try. */
    servers: () => readonly { url: string }[]
    callable: { action: string; token: string }
    callers: number
  }) {
    this.#upstream = options.upstream
    this.#servers = options.servers
    this.#callable = options.callable
    options.upstream.answer = (request, res) =>
      setTimeout(() => json(200, { ok: true })(request, res), 5 + Math.random() * 20)
    this.#callers = Promise.all(Array.from({ length: options.callers }, () => this.#call()))
  }

  /** How many calls have a final answer. */
  get settled(): number {
    return this.#entries.size
  }

  async stop(): Promise<void> {
    this.#isOver = true
    await this.#callers
  }

  async #call(): Promise<void> {
    while (!this.#isOver) {
      this.#next += 1
      await this.#settle(this.#next)
    }
  }

  async #settle(n: number): Promise<void> {
    for (let tries = 1; ; tries += 1) {
      const servers = this.#servers()
      const server = servers[(n + tries) % servers.length]
      const answer = server && (await this.#try(server, n))
      if (answer && ![409, 503].includes(answer.status)) {
        this.#entries.set(n, { answer, tries })
        return
      }
      await sleep(20 + Math.random() * 50)
    }
  }

  #try(server: { url: string }, n: number): Promise<Answered | null> {
    const headers = { 'idempotency-key': `call-${n}` }
    return call(server, this.#callable.token, this.#callable.action, { n }, { headers }).catch(() => null)
  }

  async balance(sql: Pool): Promise<Balance> {
    const rows = await sql<{ id: string; status: string }[]>`select id, status from narrowapi.executions`
    const statuses = new Map(rows.map(({ id, status }) => [id, status]))
    const entries = [...this.#entries.values()].map(({ answer }) => answer)
    const answered = entries.filter(({ status }) => status === 200)
    const arrivals = new Map<string, number>()
    for (const { url } of this.#upstream.received) arrivals.set(url, (arrivals.get(url) ?? 0) + 1)
    return {
      calls: entries.length,
      answered200: answered.length,
      unknown: entries.filter(({ error }) => error === 'upstream_outcome_unknown').length,
      lost: answered.filter(({ executionId }) => statuses.get(executionId ?? '') !== 'completed').length,
      doubled: [...arrivals.values()].filter((count) => count > 1).length,
      unrecorded: Math.max(0, arrivals.size - rows.length),
      strange: entries
        .filter(({ status, error }) => status !== 200 && error !== 'upstream_outcome_unknown')
        .map(({ status, text }) => `${status} ${text}`),
    }
  }
}

/** What a crash may leave in the database and nothing may be left of in the end. */
export const remains = async (sql: Pool) => {
  const [left] = await sql<{ running: number; leased: number; locks: number; open: number }[]>`
    select
      (select count(*) from narrowapi.executions where status = 'running')::int as running,
      (select count(*) from narrowapi.executions where lease_expires_at is not null)::int as leased,
      (select count(*) from pg_locks where locktype = 'advisory')::int as locks,
      (select count(*) from pg_stat_activity where state like 'idle in transaction%')::int as open`
  return left
}
