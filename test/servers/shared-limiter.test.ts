import { randomInt } from 'node:crypto'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout } from 'node:timers/promises'
import { Redis } from 'ioredis'
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest'
import { type Limit, RateLimiter } from '../../server/src/db/rate-limit.ts'
import { type SharedLimiter, shareLimits } from '../../server/src/db/redis/shared-limiter.ts'
import type { Slot } from '../../server/src/db/slots.ts'
import { createCertificate } from '../support/certificate.ts'
import { freePort } from '../support/port.ts'
import { type RedisServer, startRedis } from '../support/redis.ts'
import { eventually, startServers } from './servers.ts'

const log = { info() {}, warn() {} }

let redis: RedisServer
let inside: Redis
let shared: SharedLimiter

beforeAll(async () => {
  redis = await startRedis()
  inside = new Redis(redis.url)
  shared = await shareLimits(redis.url, new RateLimiter(), log)
})

beforeEach(async () => {
  await inside.flushall()
})

afterAll(async () => {
  shared.close()
  inside.disconnect()
  await redis.kill()
})

test('decides as one server alone would, call by call', async () => {
  const own = new RateLimiter()
  const lengths = [60_000, 3_600_000, 600_000]
  const names = ['minute:a', 'hour:a', 'other:a']
  const held: [Slot, Slot][] = []
  const refusals = new Set<string>()
  for (let round = 0; round < 400; round += 1) {
    // Windows of lengths that differ, so that which one frees last hangs on no millisecond.
    const limits = names.flatMap((name, index): Limit[] =>
      randomInt(3) === 0 ? [] : [{ name, limit: randomInt(20, 200), windowMs: lengths[index] ?? 0 }],
    )
    limits.push({ name: 'workspace:a', limit: 300, windowMs: 7_200_000 })
    const slots: [Slot, Slot] = [
      { name: 'concurrency:a', limit: 5, id: 0 },
      { name: 'concurrency:a', limit: 5, id: 0 },
    ]
    const isBounded = randomInt(2) === 0
    const now = Date.now()
    const expected = own.take(limits, now, isBounded ? slots[0] : null)
    const taken = await shared.take(limits, now, isBounded ? slots[1] : null)
    const facts = ({ isRefused, state: { name, limit, remaining, windowMs } }: typeof taken) => ({
      isRefused,
      name,
      limit,
      remaining,
      windowMs,
    })
    expect([round, taken.isRefused]).toEqual([round, expected.isRefused])
    // Where a window and the slots are used up both, a server that knows the one need not ask for the other.
    if (expected.isRefused && taken.state.name === 'concurrency:a') expect(held).toHaveLength(5)
    else expect([round, facts(taken)]).toEqual([round, facts(expected)])
    if (taken.isRefused) refusals.add(taken.state.name)
    else if (isBounded) held.push(slots)
    if (held.length > 0 && randomInt(3) === 0) {
      const [one, other] = held.splice(randomInt(held.length), 1)[0] ?? slots
      own.release(one)
      shared.release(other)
    }
  }
  // Every kind of refusal was met, or the comparison would say little.
  expect([...refusals].sort()).toEqual(['concurrency:a', 'hour:a', 'minute:a', 'other:a'])
  for (const [one, other] of held) {
    own.release(one)
    shared.release(other)
  }
  expect([...own.slots]).toEqual([])
  await eventually(() => inside.exists('narrowapi:concurrency:a')).toBe(0)
})

test('leaves nothing in Redis that does not go by itself, all under one prefix', async () => {
  const slot = { name: 'concurrency:b', limit: 5, id: 0 }
  await shared.take([{ name: 'action:b', limit: 5, windowMs: 60_000 }], Date.now(), slot)
  const keys = await inside.keys('*')
  expect(keys.filter((key) => !key.startsWith('narrowapi:'))).toEqual([])
  expect(keys).toEqual(expect.arrayContaining(['narrowapi:action:b', 'narrowapi:concurrency:b']))
  for (const key of keys)
    expect([key, await inside.pttl(key)]).toEqual([key, expect.toSatisfy((ms) => ms > 0)])
  shared.release(slot)
})

test('counts from the first request of a window to its end by the clock of Redis, whatever the clock here says', async () => {
  const limits = [{ name: 'short:c', limit: 2, windowMs: 400 }]
  const years = 10 * 365 * 86_400_000
  const refused = async (at: number) => (await shared.take(limits, at)).isRefused
  expect([await refused(Date.now()), await refused(Date.now() - years)]).toEqual([false, false])
  expect(await refused(Date.now() + years)).toBe(true)
  await eventually(() => refused(Date.now())).toBe(false)
})

test('goes on when Redis has forgotten the scripts', async () => {
  const limits = [{ name: 'action:d', limit: 2, windowMs: 60_000 }]
  await shared.take(limits, Date.now())
  await inside.script('FLUSH')
  expect(await shared.take(limits, Date.now())).toMatchObject({ isRefused: false, state: { remaining: 0 } })
  expect((await shared.take(limits, Date.now())).isRefused).toBe(true)
  expect(shared.sharing).toMatchObject({ isShared: true, outages: 0, own: 0 })
})

test('says how the sharing goes: what was counted where, and how often it broke off', async () => {
  const limits = [{ name: 'action:e', limit: 1_000, windowMs: 60_000 }]
  const before = { ...shared.sharing }
  await shared.take(limits, Date.now())
  // A Redis that takes no writes answers, but it cannot count.
  await inside.config('SET', 'min-replicas-to-write', '1')
  expect((await shared.take(limits, Date.now())).isRefused).toBe(false)
  await shared.take(limits, Date.now())
  expect(shared.sharing).toEqual({
    isShared: false,
    shared: before.shared + 1,
    own: before.own + 2,
    outages: before.outages + 1,
  })
  await inside.config('SET', 'min-replicas-to-write', '0')
  await eventually(() => shared.sharing.isShared).toBe(true)
})

test('tells Redis of every call that began while it did not answer, up to the moment of its return', async () => {
  const limits = [{ name: 'action:f', limit: 1_000_000, windowMs: 60_000 }]
  const held: Slot[] = []
  redis.pause()
  await shared.take(limits, Date.now())
  expect(shared.sharing.isShared).toBe(false)
  const resumed = setTimeout(700).then(() => redis.resume())
  while (!shared.sharing.isShared) {
    const slot = { name: 'concurrency:f', limit: 1_000_000, id: 0 }
    await shared.take(limits, Date.now(), slot)
    held.push(slot)
    // Often enough that some begin between the question that finds Redis back and its answer.
    await setTimeout(1)
  }
  await resumed
  // At once, and not only when it vouches for all its calls the next time.
  await eventually(() => inside.zcard('narrowapi:concurrency:f'), 1_000).toBe(held.length)
  for (const slot of held) shared.release(slot)
})

test('speaks TLS to a rediss URL, to one that it can trust', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'narrowapi-redis-'))
  const [certificate, key] = [join(folder, 'cert.pem'), join(folder, 'key.pem')]
  const made = createCertificate('localhost')
  await writeFile(certificate, made.cert)
  await writeFile(key, made.key)
  const port = await freePort()
  const files = ['--tls-cert-file', certificate, '--tls-key-file', key, '--tls-ca-cert-file', certificate]
  const secured = await startRedis(['--tls-port', String(port), '--tls-auth-clients', 'no', ...files])
  const REDIS_URL = `rediss://:${secured.password}@localhost:${port}`
  const trusting = await startServers(1, { REDIS_URL, NODE_EXTRA_CA_CERTS: certificate })
  const strange = await startServers(1, { REDIS_URL })
  expect(trusting.all[0]?.logged('limits are shared through Redis')).toHaveLength(1)
  expect(strange.all[0]?.logged('limits are shared through Redis')).toHaveLength(0)
  expect(strange.all[0]?.output()).toContain('self-signed certificate')
  await Promise.all([trusting.stop(), strange.stop()])
  await secured.kill()
  await rm(folder, { recursive: true })
})
