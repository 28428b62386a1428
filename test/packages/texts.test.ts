import { execFile } from 'node:child_process'
import { mkdir, mkdtemp, readFile, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { beforeAll, expect, inject, test } from 'vitest'
import { serverAndUpstream } from '../support/server-and-upstream.ts'
import { json } from '../support/upstream.ts'
import { packed, startProject } from './packed.ts'

const run = promisify(execFile)
const texts = ['README.md', 'skills/narrowapi-sdk/SKILL.md']
const modules = fileURLToPath(new URL('../../node_modules', import.meta.url))

const { server, upstream } = await serverAndUpstream()
/** Has the packed SDK, and what the texts show beside it. */
let project: string

beforeAll(async () => {
  project = await startProject('sdk')
  for (const scope of ['@types', '@opentelemetry']) await mkdir(join(project, 'node_modules', scope))
  for (const module of ['@types/node', 'undici-types', '@opentelemetry/api'])
    await symlink(join(modules, module), join(project, 'node_modules', module))
}, 120_000)

test('what the README says to type is ten lines, and works in a fresh folder', async () => {
  const readme = await readText('README.md')
  const [program = ''] = blocksOf(readme, 'js')
  const [prepare = '', start = ''] = blocksOf(readme, 'sh')
  expect(program.match(/^.+$/gm)?.length).toBeLessThanOrEqual(10)
  upstream.answer = json(200, { full_name: 'nodejs/node' })
  const folder = await mkdtemp(join(inject('runFolder'), 'readme-'))
  const typed = prepare
    .replace('install @narrowapi/sdk', `install ${(await packed()).sdk}`)
    .replace('http://127.0.0.1:3000', server.url)
    .replace('sk_…', server.owner.key)
  await writeFile(join(folder, 'first.mjs'), program.replace('https://api.github.com', upstream.url))
  const { stdout } = await run('sh', ['-c', `set -e\n${typed}\n${start}`], {
    cwd: folder,
    env: { PATH: process.env.PATH, HOME: folder, npm_config_offline: 'true', npm_config_audit: 'false' },
  })
  expect(stdout).toContain("{ full_name: 'nodejs/node' }")
  expect(upstream.received).toMatchObject([{ method: 'GET', url: '/repos/nodejs/node' }])
})

test.each(texts)('%s is right about names and types', async (name) => {
  const folder = await mkdtemp(join(project, 'types-'))
  await writeFile(join(folder, 'given.d.ts'), given)
  await writeFile(join(folder, 'tsconfig.json'), tsconfig)
  const blocks = blocksOf(await readText(name), 'ts')
  expect(blocks.length).toBeGreaterThan(5)
  for (const [index, block] of blocks.entries())
    await writeFile(join(folder, `block-${index + 1}.ts`), `${block}\nexport {}\n`)
  const { stdout } = await run(process.execPath, [join(modules, 'typescript/bin/tsc'), '-p', folder]).catch(
    (failure: { stdout: string }) => failure,
  )
  expect(stdout).toBe('')
})

test.each(texts)('what %s says about the mock comes true', async (name) => {
  const block = blocksOf(await readText(name), 'ts').find((text) => text.includes('/testing')) ?? ''
  await writeFile(join(project, 'mock.js'), block)
  const { stdout } = await run(process.execPath, ['mock.js'], { cwd: project })
  expect(stdout.trim()).toMatch(/^[\d ]+$/)
  expect(block).toContain(`// ${stdout.trim()}`)
})

const readText = (name: string): Promise<string> =>
  readFile(new URL(`../../sdk/${name}`, import.meta.url), 'utf8')

const blocksOf = (markdown: string, language: string): string[] =>
  [...markdown.matchAll(new RegExp(`^\`\`\`${language}\n(.*?)^\`\`\`$`, 'gms'))].map(
    ([, block]) => block ?? '',
  )

/** What the texts take as given, by a name that says what it is. */
const given = `
declare const narrow: import('@narrowapi/sdk').NarrowAPI
declare const action: import('@narrowapi/sdk').Action
declare const stored: string
declare const storedKey: string
declare const traceId: string
declare const secret: string
declare const store: (cursor: string | null) => void
declare const readKey: () => Promise<string>
`

const tsconfig = JSON.stringify({
  compilerOptions: {
    module: 'nodenext',
    target: 'es2024',
    lib: ['es2024', 'dom', 'dom.iterable'],
    types: ['node'],
    strict: true,
    exactOptionalPropertyTypes: true,
    noUncheckedIndexedAccess: true,
    noEmit: true,
  },
})
