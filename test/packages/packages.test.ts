import { execFile } from 'node:child_process'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { publint } from 'publint'
import { formatMessage } from 'publint/utils'
import { beforeAll, describe, expect, test } from 'vitest'
import { type Published, published } from '../../sdk/release/workspaces.ts'
import { packed, startProject } from './packed.ts'
import { installPrograms, programs } from './runtimes.ts'

const run = promisify(execFile)
const attw = fileURLToPath(
  new URL('dist/index.js', import.meta.resolve('@arethetypeswrong/cli/package.json')),
)

const nodes = ['node20', 'node22', 'node24'] as const

let tarballs: Record<Published, string>
/** A project with all packages installed. */
let project: string

beforeAll(async () => {
  tarballs = await packed()
  project = await startProject(...published)
  await installPrograms()
}, 300_000)

describe.each(published)('the packed package of %s', (workspace) => {
  test('is published as it should be, says publint', async () => {
    const { buffer } = new Uint8Array(await readFile(tarballs[workspace]))
    const { messages, pkg } = await publint({ pack: { tarball: buffer }, strict: true })
    expect(messages.map((message) => formatMessage(message, pkg, { color: false }))).toEqual([])
  })

  test('is public, licensed and traceable to its source', async () => {
    const folder = join(project, 'node_modules', await nameOf(workspace))
    const manifest = JSON.parse(await readFile(join(folder, 'package.json'), 'utf8'))
    expect(manifest).toMatchObject({
      license: 'MIT',
      repository: { type: 'git', directory: workspace },
      publishConfig: { access: 'public', provenance: true },
    })
    expect(manifest).not.toHaveProperty('private')
    expect(await readFile(join(folder, 'LICENSE'), 'utf8')).toMatch(/^MIT License/)
    expect(await readFile(join(folder, 'README.md'), 'utf8')).toContain(manifest.name)
  })
})

// They are ES modules only: Node 20.19, 22.12 and later give them to `require` as well, which a test below shows. So
// what attw says about CommonJS and about Node 10 does not count. The YAML text is no module at all.
test.each([
  ['sdk', []],
  ['openapi', ['--exclude-entrypoints', 'openapi.yaml']],
] as const)('the types of %s are right, says attw', async (workspace, more) => {
  const { stdout } = await run(process.execPath, [
    attw,
    tarballs[workspace],
    '--profile',
    'esm-only',
    ...more,
  ])
  expect(stdout).toContain('(ESM)')
})

describe('the installed SDK', () => {
  test('is one package', async () => {
    const alone = await startProject('sdk')
    const { stdout } = await run('npm', ['ls', '--all', '--parseable', '--prefix', alone], { cwd: alone })
    expect(stdout.trim().split('\n')).toEqual([alone, join(alone, 'node_modules/@narrowapi/sdk')])
  })

  test.each(nodes)('can be imported and required in %s', async (name) => {
    const { exports } = JSON.parse(
      await readFile(join(project, 'node_modules/@narrowapi/sdk/package.json'), 'utf8'),
    )
    const modules = Object.keys(exports)
      .filter((entry) => entry !== './package.json' && entry !== './testing/msw')
      .map((entry) => entry.replace('.', '@narrowapi/sdk'))
    expect(modules).toContain('@narrowapi/sdk/testing')
    const script = `
      for (const entry of ${JSON.stringify(modules)}) {
        const [required, imported] = [require(entry), await import(entry)]
        for (const name of Object.keys(imported)) if (required[name] !== imported[name]) throw new Error(entry + name)
      }`
    await run(programs[name], ['--no-warnings', '--eval', `(async () => {${script}})()`], { cwd: project })
  })
})

test.each(nodes)('the installed CLI runs in %s', async (name) => {
  const command = join(project, 'node_modules/.bin/narrowapi')
  const { stdout } = await run(programs[name], [command, '--help'])
  expect(stdout).toContain('narrowapi pull')
})

test.each(['sdk', 'sdk/cli'])('the sources of %s are not published by mistake', async (workspace) => {
  const cwd = fileURLToPath(new URL(`../../${workspace}`, import.meta.url))
  await expect(run('npm', ['publish', '--dry-run'], { cwd })).rejects.toThrow('npm run release')
})

const nameOf = async (workspace: Published): Promise<string> =>
  JSON.parse(await readFile(new URL(`../../${workspace}/package.json`, import.meta.url), 'utf8')).name
