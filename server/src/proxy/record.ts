import { setImmediate } from 'node:timers/promises'
import { answered } from '../db/renewing-pool.ts'
import { isUnavailable, type Pool, sqlState } from '../db/sql.ts'
import type { Log } from '../log.ts'
import type { GroupFigures, RecordQueue } from '../metrics/records.ts'
import { type ExecutionRow, endKeyed, type KeyEnd, writeExecutions } from './record-queries.ts'
import { type Reservation, type Reserved, type ReservedStart, startReserved } from './reserve.ts'

/**
 * Writes executions by group commit: what arrives while a commit is under way shares the next one. Nothing
 * waits for company, so one caller alone pays one commit and many pay a fraction each. A call is sent only
 * after its row is durable, and answered only after its outcome is.
 */
export class Recorder {
  readonly #system: Pool
  readonly #log: Log
  readonly #written: Group<ExecutionRow, boolean>
  readonly #ended: Group<{ row: ExecutionRow; key: KeyEnd }, boolean>
  readonly #reserved: Group<ReservedStart, Reserved>

  /** `pipe` is one connection for rows alone, `system` the pool for what takes a transaction. */
  constructor({ pipe, system, log, figures }: Parts) {
    this.#system = system
    this.#log = log
    this.#written = new Group(
      (rows) => this.#each(rows, (group) => answered(pipe, writeExecutions(pipe, group))),
      figures.write,
      2,
    )
    this.#ended = new Group((ends) => this.#each(ends, (group) => endKeyed(this.#system, group)), figures.end)
    this.#reserved = new Group(
      (starts) => this.#each(starts, (group) => startReserved(this.#system, group)),
      figures.reserve,
    )
  }

  /** A row as it is now: begun with nothing to reserve, refused, or ended. Beginnings and ends share a commit. */
  async write(row: ExecutionRow): Promise<void> {
    if (!(await this.#written.put(row))) throw leaseRanOut()
  }

  /** A row that takes uses, quota or an idempotency key, all or nothing, in the commit that makes it durable. */
  start(row: ExecutionRow, reservation: Reservation): Promise<Reserved> {
    return this.#reserved.put({ row, reservation })
  }

  /** The end of an execution that an idempotency key is bound to. */
  async end(row: ExecutionRow, key: KeyEnd): Promise<void> {
    if (!(await this.#ended.put({ row, key }))) throw leaseRanOut()
  }

  /** How many rows wait for a commit of their queue. */
  waiting(): [queue: RecordQueue, rows: number][] {
    return [
      ['write', this.#written.waiting],
      ['reserve', this.#reserved.waiting],
      ['end', this.#ended.waiting],
    ]
  }

  /** Resolves when everything that was put in is written. */
  async drain(): Promise<void> {
    await Promise.all([this.#written.drain(), this.#ended.drain(), this.#reserved.drain()])
  }

  /**
   * One bad row must not fail its neighbours: when a group is refused, its rows are tried one by one. A database
   * that is away refuses all of them alike, and asking it for each would make the last wait for all the others.
   */
  async #each<Row, Value>(
    rows: readonly Row[],
    write: (rows: readonly Row[]) => Promise<readonly Value[]>,
  ): Promise<Outcome<Value>[]> {
    try {
      return (await write(rows)).map((value) => ({ ok: true, value }))
    } catch (error) {
      if (rows.length === 1 || isAway(error)) return rows.map(() => ({ ok: false, error }))
      this.#log.warn(
        { error, rows: rows.length },
        'a group of executions was refused; writing them one by one',
      )
      const outcomes: Outcome<Value>[] = []
      for (const row of rows) outcomes.push(...(await this.#each([row], write)))
      return outcomes
    }
  }
}

const leaseRanOut = () => new Error('The lease of the execution ran out before its outcome was recorded')

type Parts = { pipe: Pool; system: Pool; log: Log; figures: Readonly<Record<RecordQueue, GroupFigures>> }

/** A deadlock or a failed serialization (class 40) is over when it is told, so trying again is right. */
const isAway = (error: unknown): boolean => isUnavailable(error) && !sqlState(error)?.startsWith('40')

export type Outcome<T> = { ok: true; value: T } | { ok: false; error: unknown }

/** More rows than this make a statement that takes longer than a second one. */
const maxRows = 500

/**
 * Two groups may be under way where they follow each other on one connection: PostgreSQL then begins the second
 * without waiting for us to hear of the first. On two connections they would compete. The second goes once it is as
 * large as the first, because a commit costs much the same whatever is in it.
 */
class Group<Row, Value> {
  readonly #write: (rows: readonly Row[]) => Promise<Outcome<Value>[]>
  readonly #figures: GroupFigures
  readonly #maxFlushes: 1 | 2
  #waiting: { row: Row; settle: (outcome: Outcome<Value>) => void }[] = []
  #isGathering = false
  #flushes = 0
  #lastSize = 0
  #drained: (() => void)[] = []

  constructor(
    write: (rows: readonly Row[]) => Promise<Outcome<Value>[]>,
    figures: GroupFigures,
    maxFlushes: 1 | 2 = 1,
  ) {
    this.#write = write
    this.#figures = figures
    this.#maxFlushes = maxFlushes
  }

  put(row: Row): Promise<Value> {
    return new Promise<Value>((resolve, reject) => {
      this.#waiting.push({
        row,
        settle: (outcome) => (outcome.ok ? resolve(outcome.value) : reject(outcome.error)),
      })
      void this.#gather()
    })
  }

  get waiting(): number {
    return this.#waiting.length
  }

  async drain(): Promise<void> {
    if (this.#isIdle()) return
    await new Promise<void>((resolve) => this.#drained.push(resolve))
  }

  /** What is put in during this turn of the event loop goes along: calls whose bytes arrived together. */
  async #gather(): Promise<void> {
    if (this.#isGathering || this.#flushes === this.#maxFlushes) return
    if (this.#flushes > 0 && this.#waiting.length < this.#lastSize) return
    this.#isGathering = true
    await setImmediate()
    this.#isGathering = false
    await this.#flush()
  }

  async #flush(): Promise<void> {
    this.#flushes += 1
    const taken = this.#waiting.splice(0, maxRows)
    this.#lastSize = taken.length
    const startedAt = performance.now()
    const outcomes = await this.#write(taken.map(({ row }) => row)).catch((error: unknown) =>
      taken.map((): Outcome<Value> => ({ ok: false, error })),
    )
    this.#figures.rows.observe(taken.length)
    this.#figures.seconds.observe((performance.now() - startedAt) / 1000)
    this.#flushes -= 1
    taken.forEach(({ settle }, index) => {
      settle(outcomes[index] ?? { ok: false, error: new Error('A row was written without an outcome') })
    })
    if (this.#waiting.length > 0) void this.#gather()
    if (this.#isIdle()) for (const resolve of this.#drained.splice(0)) resolve()
  }

  #isIdle(): boolean {
    return this.#waiting.length === 0 && !this.#isGathering && this.#flushes === 0
  }
}
