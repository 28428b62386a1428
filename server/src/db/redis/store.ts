import { randomBytes } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { Redis, type RedisOptions, type Result } from 'ioredis'
import type { Limit } from '../rate-limit.ts'
import type { Slot } from '../slots.ts'

declare module 'ioredis' {
  interface RedisCommander<Context> {
    narrowapiTake(...args: (string | number)[]): Result<unknown, Context>
    narrowapiHold(...args: (string | number)[]): Result<unknown, Context>
  }
}

/** Which limit decided: its place among the windows, or -1 for the slot. */
export type Answer = { isRefused: boolean; index: number; remaining: number; resetsInMs: number }

/** How long an answer may take before it is no use any more: a call waits for it. */
const patienceMs = 250

/** How long a slot outlives the last word of the server that holds it. */
export const leaseMs = 15_000

const prefix = 'narrowapi:'

/** The limits in Redis or Valkey: what is asked there, and in which words. */
export class RedisStore {
  readonly #redis: Redis
  /** Tells the calls of this server from those of others. */
  readonly #server = randomBytes(9).toString('base64url')
  #trouble: string | null = null

  /** Reads the scripts and begins to connect. Does not wait for it. */
  static async open(url: string): Promise<RedisStore> {
    const [take, hold] = await Promise.all([script('take.lua'), script('hold.lua')])
    return new RedisStore(url, { narrowapiTake: { lua: take }, narrowapiHold: { lua: hold } })
  }

  private constructor(url: string, scripts: NonNullable<RedisOptions['scripts']>) {
    this.#redis = new Redis(url, {
      scripts,
      connectionName: 'narrowapi',
      connectTimeout: 2_000,
      // A connection that is silent while it owes an answer is made anew.
      socketTimeout: 5_000,
      retryStrategy: (attempt) => Math.min(50 * 2 ** Math.min(attempt, 10), 1_000),
      // Without a connection a call is told at once. What was sent is not sent again: it may have been counted.
      enableOfflineQueue: false,
      autoResendUnfulfilledCommands: false,
      maxRetriesPerRequest: 0,
    })
    this.#redis.on('error', (error: Error) => {
      this.#trouble = error.message
    })
    this.#redis.on('close', () => {
      this.#trouble ??= 'the connection was closed'
    })
    this.#redis.on('ready', () => {
      this.#trouble = null
    })
  }

  /** Waits until Redis can be asked, but no longer than a start may take. Failing that, the asking will tell. */
  async connected(withinMs: number): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>()
    const timer = setTimeout(resolve, withinMs)
    this.#redis.once('ready', resolve)
    this.#redis.once('error', () => resolve())
    await promise
    clearTimeout(timer)
  }

  /** Counts a request and takes a slot, all or nothing, in one round trip. */
  async take(limits: readonly Limit[], slot: Slot | null): Promise<Answer> {
    const keys = limits.map(({ name }) => prefix + name)
    const numbers: (string | number)[] = limits.flatMap(({ limit, windowMs }) => [limit, windowMs])
    if (slot !== null) {
      keys.push(prefix + slot.name)
      numbers.push(slot.limit, this.#nameOf(slot), leaseMs)
    }
    return answerOf(await within(this.#redis.narrowapiTake(keys.length, ...keys, limits.length, ...numbers)))
  }

  /** Vouches for these slots, all of them that this server holds. */
  async hold(slots: readonly Slot[]): Promise<void> {
    const keys = [`${prefix}server:${this.#server}`, ...slots.map(({ name }) => prefix + name)]
    const names = slots.map((slot) => this.#nameOf(slot))
    await within(this.#redis.narrowapiHold(keys.length, ...keys, leaseMs, ...names))
  }

  /** Gives a slot back. Nobody waits for it, and one that stays behind goes when nobody vouches for it. */
  drop(slot: Slot): void {
    this.#redis.zrem(prefix + slot.name, this.#nameOf(slot)).catch(() => {})
  }

  /** Why the connection is down, where that is known. Only words: an error of the driver may quote a password. */
  trouble(): string | null {
    return this.#trouble
  }

  close(): void {
    this.#redis.disconnect()
  }

  #nameOf({ id }: Slot): string {
    return `${this.#server}:${id}`
  }
}

const script = (name: string): Promise<string> => readFile(new URL(name, import.meta.url), 'utf8')

const answerOf = (reply: unknown): Answer => {
  // What take.lua returns.
  const [refused, told, remaining, resetsInMs] = reply as [number, number, number, number]
  return { isRefused: refused === 1, index: told - 1, remaining, resetsInMs }
}

/**
 * An answer in time, or an error. When this process was busy for longer than the patience, an answer may be here
 * unread; so its sockets are read once more before it is given up.
 */
const within = <T>(answer: Promise<T>): Promise<T> =>
  new Promise((resolve, reject) => {
    const giveUp = () => reject(new Error(`no answer within ${patienceMs} ms`))
    const timer = setTimeout(() => setImmediate(giveUp), patienceMs)
    answer.then(resolve, reject).finally(() => clearTimeout(timer))
  })
