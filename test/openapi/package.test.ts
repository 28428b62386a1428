import { execFile } from 'node:child_process'
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { parse } from 'yaml'

// What somebody finds who installed the package.

const tests = fileURLToPath(new URL('../', import.meta.url))
let folder: string

beforeAll(async () => {
  // Inside the workspace, where the package is found, and where Git and the compiler do not look.
  await mkdir(join(tests, 'dist'), { recursive: true })
  folder = await mkdtemp(join(tests, 'dist/openapi-'))
})

afterAll(() => rm(folder, { recursive: true }))

const entry = (name: string): string => fileURLToPath(import.meta.resolve(`@narrowapi/openapi/${name}`))

test('the JSON and the YAML are one document, of the version of the package', async () => {
  const [json, yaml] = await Promise.all(
    ['openapi.json', 'openapi.yaml'].map((name) => readFile(entry(name), 'utf8')),
  )
  const document = JSON.parse(json ?? '')
  expect(parse(yaml ?? '')).toEqual(document)
  const manifest = JSON.parse(await readFile(entry('package.json'), 'utf8'))
  expect(document).toMatchObject({ openapi: '3.1.1', info: { version: manifest.version } })
})

test('everything that can be imported is in the tarball', async () => {
  const { exports, files } = JSON.parse(await readFile(entry('package.json'), 'utf8'))
  const targets = Object.values<string | { types: string }>(exports)
    .map((target) => (typeof target === 'string' ? target : target.types).replace('./', ''))
    .filter((target) => target !== 'package.json')
  expect(files.toSorted()).toEqual(targets.toSorted())
})

const consumer = `
import document from '@narrowapi/openapi/openapi.json' with { type: 'json' }
import type { components, operations, paths } from '@narrowapi/openapi/types'

export const version: string = document.info.version
export const action = (one: components['schemas']['Action']): string => one.id
type Created = operations['actions_create']['responses'][201]['content']['application/json']
export const created: (one: Created) => components['schemas']['Action'] = (one) => one
export type List = paths['/api/v1/actions']['get']
// @ts-expect-error: a schema that there is not, so the types are not just any
export type Nothing = components['schemas']['Nothing']
`

const typescript59 = join(dirname(entry('package.json')), 'node_modules/typescript')
test.each([
  ['5.9', typescript59],
  ['7', join(tests, '../node_modules/typescript')],
])('the types pass TypeScript %s at its strictest', async (version, compiler) => {
  const project = join(folder, version)
  await mkdir(project)
  await writeFile(join(project, 'consumer.ts'), consumer)
  const compilerOptions = {
    strict: true,
    exactOptionalPropertyTypes: true,
    noUncheckedIndexedAccess: true,
    verbatimModuleSyntax: true,
    skipLibCheck: false,
    noEmit: true,
    module: 'nodenext',
    resolveJsonModule: true,
    target: 'es2023',
    types: [],
  }
  await writeFile(join(project, 'package.json'), '{ "type": "module" }')
  await writeFile(join(project, 'tsconfig.json'), JSON.stringify({ compilerOptions }))
  const run = promisify(execFile)
  const tsc = join(compiler, 'bin/tsc')
  expect((await run(process.execPath, [tsc, '--version'])).stdout).toContain(` ${version}`)
  const compiled = run(process.execPath, [tsc, '-p', project, '--pretty', 'false'])
  expect(await compiled.catch(({ stdout }: { stdout: string }) => ({ stdout }))).toMatchObject({ stdout: '' })
})
