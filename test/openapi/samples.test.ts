import { execFile } from 'node:child_process'
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { type Document, operationsOf } from '../../openapi/src/openapi.ts'
import { createWorld, idsOf, type World } from '../support/examples.ts'
import { serverAndUpstream } from '../support/server-and-upstream.ts'

// Whoever pastes a sample into a shell or a file must get what it promises.

const document: Document = JSON.parse(
  await readFile(new URL('../../openapi/openapi.json', import.meta.url), 'utf8'),
)
const samples = operationsOf(document).map(
  ({ method, operation: { operationId, 'x-codeSamples': all = [] } }) => ({
    id: operationId,
    reads: method === 'GET',
    curl: all.find(({ lang, label }) => lang === 'Shell' && label === 'curl')?.source ?? '',
    sdk: all.find(({ lang, label }) => lang === 'TypeScript' && label === 'SDK')?.source ?? '',
  }),
)

const run = promisify(execFile)
const tests = fileURLToPath(new URL('../', import.meta.url))
const { server, upstream } = await serverAndUpstream()
let folder: string
let world: World

beforeAll(async () => {
  world = await newWorld()
  // Inside the workspace, where `@narrowapi/sdk` is found, and where Git and the compiler do not look.
  await mkdir(join(tests, 'dist'), { recursive: true })
  folder = await mkdtemp(join(tests, 'dist/samples-'))
  await writeFile(join(folder, '.curlrc'), 'silent\nshow-error\nfail-with-body\n')
})

afterAll(() => rm(folder, { recursive: true }))

test('every operation has a sample for curl and one for the SDK', () => {
  expect(samples.length).toBeGreaterThan(40)
  expect(samples.filter(({ curl, sdk }) => !curl || !sdk)).toEqual([])
})

test('the samples for the SDK compile under strict rules', async () => {
  const project = join(folder, 'tsconfig.json')
  await writeFile(
    project,
    JSON.stringify({ extends: '../../../tsconfig.json', include: ['*.ts'], exclude: [] }),
  )
  await Promise.all(samples.map(({ id, sdk }) => writeFile(join(folder, `${id}.ts`), sdk)))
  const wrong = samples.find(({ id }) => id === 'actions_get')?.sdk.replace('.get(', '.obtain(') ?? ''
  await writeFile(join(folder, 'wrong.ts'), wrong)
  const compiled = run(process.execPath, [
    join(tests, '../node_modules/typescript/bin/tsc'),
    '-p',
    project,
    '--pretty',
    'false',
  ])
  const { stdout } = await compiled.catch((failed: { stdout: string }) => failed)
  const errors = stdout.split('\n').filter((line) => /dist.samples-.*: error TS/.test(line))
  expect(errors).toEqual([expect.stringMatching(/wrong\.ts.*obtain/)])
})

test.concurrent.each(samples)('the samples of $id work', async ({ id, reads, curl, sdk }) => {
  // What changes something gets a world of its own.
  const [first, second] = reads ? [world, world] : [await newWorld(), await newWorld()]
  await run('sh', ['-c', inWorld(curl, first)], environmentOf(first))
  const file = join(folder, `run-${id}.ts`)
  await writeFile(file, inWorld(sdk, second))
  await run(process.execPath, [file], environmentOf(second))
})

test('a sample whose ids are not there fails', async () => {
  const { curl = '' } = samples.find(({ id }) => id === 'actions_get') ?? {}
  await expect(run('sh', ['-c', curl], environmentOf(world))).rejects.toMatchObject({
    stdout: expect.stringContaining('not_found'),
  })
})

const newWorld = (): Promise<World> => createWorld(server, upstream.url)

/** All that the samples find in their environment. */
const environmentOf = ({ owner, token }: World) => ({
  env: {
    PATH: process.env.PATH,
    CURL_HOME: folder,
    NARROWAPI_BASE_URL: server.url,
    NARROWAPI_API_KEY: owner.key,
    NARROWAPI_TOKEN: token.token,
  },
})

/** The example ids of the document, which all end alike, replaced by those that are there. */
const inWorld = (sample: string, one: World): string =>
  sample.replaceAll(/\b([a-z]+_)06Wz1Xb4mJq0YcT7eKs2hU\b/g, (example, prefix: string) => {
    return idsOf(one).find((id) => id.startsWith(prefix)) ?? example
  })
