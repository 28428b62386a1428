import type { Change, Level } from './compare.ts'

export type Bump = 'none' | 'patch' | 'minor' | 'major'

/** A package and what the pending changesets say becomes of it. */
export type Announced = { name: string; version: string; bump: Bump }

const ORDER: readonly Bump[] = ['none', 'patch', 'minor', 'major']

export const highest = (bumps: readonly Bump[]): Bump =>
  bumps.reduce((high, bump) => (ORDER.indexOf(bump) > ORDER.indexOf(high) ? bump : high), 'none')

/**
 * The least bump that may carry a change. Below 1.0.0 each part counts one place lower, as `^0.2.1` takes 0.2.2
 * and not 0.3.0: a break is a minor, an addition a patch. Words may be released with whatever comes next.
 */
export const neededFor = (level: Level, version: string): Bump => {
  if (level === 'docs') return 'none'
  const isBeforeOne = version.startsWith('0.')
  if (level === 'breaking') return isBeforeOne ? 'minor' : 'major'
  return isBeforeOne ? 'patch' : 'minor'
}

/** What is wrong with the pending changesets, in a sentence for each package. */
export const findUnannounced = (changes: readonly Change[], packages: readonly Announced[]): string[] =>
  packages.flatMap(({ name, version, bump }) => {
    const needed = highest(changes.map(({ level }) => neededFor(level, version)))
    if (ORDER.indexOf(bump) >= ORDER.indexOf(needed)) return []
    const said = bump === 'none' ? 'no pending changeset names it' : `the pending changesets say ${bump}`
    return [`${name} ${version} needs a changeset of at least ${needed}, and ${said}.`]
  })
