import { expect, test } from 'vitest'
import { actionIdleMs, CallMetrics, maxActions } from './calls.ts'
import { MetricRegistry } from './registry.ts'

const answered = { status: 200, duration_ms: 20, attempts: 1, bytes: 2 }

const started = () => {
  const registry = new MetricRegistry()
  const clock = { now: 0 }
  const calls = new CallMetrics(registry, () => clock.now)
  const countOf = async (action: string): Promise<number | null> => {
    const line = new RegExp(`^narrowapi_upstream_duration_seconds_count\\{action="${action}"\\} (\\d+)$`, 'm')
    const [, count] = line.exec(await registry.text()) ?? []
    return count === undefined ? null : Number(count)
  }
  return { registry, clock, calls, countOf }
}

test('gives figures of their own to so many actions and counts the rest together', async () => {
  const { calls, countOf, registry } = started()
  for (let action = 0; action < maxActions + 50; action += 1)
    calls.ended(`act_${action}`, 'completed', answered)
  expect(await countOf('act_0')).toBe(1)
  expect(await countOf(`act_${maxActions - 1}`)).toBe(1)
  expect(await countOf(`act_${maxActions}`)).toBeNull()
  expect(await countOf('other')).toBe(50)
  const lines = (await registry.text()).split('\n').length
  for (let action = 0; action < 10_000; action += 1) calls.ended(`act_${action}`, 'completed', answered)
  expect((await registry.text()).split('\n')).toHaveLength(lines)
})

test('gives the place of an idle action to one that is called, and keeps those in use', async () => {
  const { calls, clock, countOf } = started()
  for (let action = 0; action < maxActions; action += 1) calls.ended(`act_${action}`, 'completed', answered)
  clock.now = actionIdleMs - 1
  calls.ended('act_7', 'failed', answered)
  calls.ended('act_new', 'completed', answered)
  expect(await countOf('act_new')).toBeNull()
  clock.now = 2 * actionIdleMs - 2
  calls.ended('act_new', 'completed', answered)
  expect(await countOf('act_new')).toBe(1)
  expect(await countOf('act_7')).toBe(2)
  expect(await countOf('act_8')).toBeNull()
})
