import { expect, test } from 'vitest'
import { type Bump, findUnannounced, neededFor } from './announced.ts'
import type { Level } from './compare.ts'

test.each<[Level, string, Bump]>([
  ['breaking', '1.4.0', 'major'],
  ['additive', '1.4.0', 'minor'],
  ['docs', '1.4.0', 'none'],
  ['breaking', '0.4.0', 'minor'],
  ['additive', '0.4.0', 'patch'],
  ['docs', '0.4.0', 'none'],
  ['breaking', '10.0.0', 'major'],
])('%s over %s needs %s', (level, version, bump) => {
  expect(neededFor(level, version)).toBe(bump)
})

test.each<{ version: string; bump: Bump; levels: Level[]; isEnough: boolean }>([
  { version: '1.0.0', bump: 'major', levels: ['breaking', 'additive', 'docs'], isEnough: true },
  { version: '1.0.0', bump: 'minor', levels: ['additive', 'breaking'], isEnough: false },
  { version: '1.0.0', bump: 'minor', levels: ['docs', 'additive'], isEnough: true },
  { version: '1.0.0', bump: 'major', levels: ['additive'], isEnough: true },
  { version: '1.0.0', bump: 'patch', levels: ['additive'], isEnough: false },
  { version: '1.0.0', bump: 'none', levels: ['additive'], isEnough: false },
  { version: '1.0.0', bump: 'none', levels: ['docs'], isEnough: true },
  { version: '1.0.0', bump: 'none', levels: [], isEnough: true },
  { version: '0.2.0', bump: 'minor', levels: ['breaking'], isEnough: true },
  { version: '0.2.0', bump: 'patch', levels: ['breaking'], isEnough: false },
  { version: '0.2.0', bump: 'patch', levels: ['additive'], isEnough: true },
])('$bump over $version for $levels is enough: $isEnough', ({ version, bump, levels, isEnough }) => {
  const changes = levels.map((level) => ({ level, place: 'GET /', message: 'Something.' }))
  const problems = findUnannounced(changes, [{ name: '@narrowapi/sdk', version, bump }])
  expect(problems).toEqual(isEnough ? [] : [expect.stringContaining('@narrowapi/sdk')])
})

test('asks of each package what its own version means', () => {
  const changes = [{ level: 'breaking', place: 'GET /', message: 'Gone.' }] as const
  const packages = [
    { name: 'young', version: '0.9.0', bump: 'minor' },
    { name: 'old', version: '2.0.0', bump: 'minor' },
  ] as const
  expect(findUnannounced(changes, packages)).toEqual([
    'old 2.0.0 needs a changeset of at least major, and the pending changesets say minor.',
  ])
})
