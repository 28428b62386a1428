import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { readChangesets } from '@changesets/read'
import type { Document } from '../openapi.ts'
import { type Announced, findUnannounced, highest } from './announced.ts'
import { type Change, compare, type Level } from './compare.ts'

/**
 * `npm run api:diff`: what the document changes for callers of the last released one, and whether the pending
 * changesets say so. With `--release` the present document becomes the released one. Run in the repository's root.
 */

const root = pathToFileURL(`${process.cwd()}/`)
const current = new URL('openapi/openapi.json', root)
const released = new URL('openapi/released/openapi.json', root)

const main = async (): Promise<void> => {
  const text = await readFile(current, 'utf8')
  if (process.argv.includes('--release')) {
    await mkdir(new URL('.', released), { recursive: true })
    await writeFile(released, text)
    return
  }
  const base = await readFile(released, 'utf8').catch(() => undefined)
  const revision: Document = JSON.parse(text)
  const changes = base === undefined ? [firstRelease] : await compare(JSON.parse(base), revision)
  const problems = findUnannounced(changes, await readAnnounced(['openapi', 'sdk']))
  process.stdout.write(`${report(changes)}\n`)
  if (problems.length === 0) return
  process.stderr.write(`\n${problems.join('\n')}\nRun \`npx changeset\`, or take the change back.\n`)
  process.exitCode = 1
}

/** Until something is released there is nothing to break, and everything is new. */
const firstRelease: Change = {
  level: 'additive',
  place: 'document',
  message: 'Nothing was released yet, so all of it is new.',
}

/** The packages that callers of the API install. */
const readAnnounced = async (folders: readonly string[]): Promise<Announced[]> => {
  const changesets = await readChangesets(fileURLToPath(root))
  const releases = changesets.flatMap((changeset) => changeset.releases)
  return Promise.all(
    folders.map(async (folder) => {
      const { name, version } = JSON.parse(await readFile(new URL(`${folder}/package.json`, root), 'utf8'))
      const bumps = releases.filter((release) => release.name === name).map(({ type }) => type)
      return { name, version, bump: highest(bumps) }
    }),
  )
}

const report = (changes: readonly Change[]): string => {
  if (changes.length === 0) return 'The document is the released one.'
  return levels
    .map(({ level, title }) => ({ title, found: changes.filter((change) => change.level === level) }))
    .filter(({ found }) => found.length > 0)
    .map(({ title, found }) => `${title} (${found.length})\n${listed(found)}`)
    .join('\n\n')
}

const levels: readonly { level: Level; title: string }[] = [
  { level: 'breaking', title: 'Breaking' },
  { level: 'additive', title: 'Additive' },
  { level: 'docs', title: 'Documentation' },
]

const listed = (changes: readonly Change[]): string =>
  [...new Set(changes.map(({ place }) => place))]
    .map((place) => {
      const messages = changes.filter((change) => change.place === place).map(({ message }) => message)
      return `  ${place}\n${messages.map((message) => `    ${message}`).join('\n')}`
    })
    .join('\n')

await main()
