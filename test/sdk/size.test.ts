import { fileURLToPath } from 'node:url'
import { gzipSync } from 'node:zlib'
import { rolldown } from 'rolldown'
import { expect, it } from 'vitest'

const KIB = 1024

/** What a program that uses `names` of an entry weighs when it is bundled, minified and compressed, in bytes. */
const sizeOf = async (entry: string, names: readonly string[]): Promise<number> => {
  const id = fileURLToPath(new URL('program.ts', import.meta.url))
  const list = names.join(', ')
  const code = `export { ${list} } from '${entry}'`
  const bundle = await rolldown({
    input: id,
    platform: 'browser',
    logLevel: 'silent',
    plugins: [
      {
        name: 'program',
        resolveId: (wanted) => (wanted === id ? id : null),
        load: (wanted) => (wanted === id ? code : null),
      },
    ],
  })
  const { output } = await bundle.generate({ format: 'esm', minify: true })
  await bundle.close()
  return gzipSync(output.map((file) => ('code' in file ? file.code : '')).join(''), { level: 9 }).length
}

const functions = '@narrowapi/sdk/functions'
const two = ['createClient', 'actionsList', 'actionsCreate']

it('a client, one list and one create weigh 3 KiB at most', async () => {
  expect(await sizeOf(functions, two)).toBeLessThanOrEqual(3 * KIB)
})

it('the class with every operation weighs 8 KiB at most', async () => {
  expect(await sizeOf('@narrowapi/sdk', ['NarrowAPI'])).toBeLessThanOrEqual(8 * KIB)
})

it('each further operation adds 40 bytes at most', async () => {
  const more = ['actionsGet', 'tokensCreate', 'secretsUpdate', 'auditList', 'workspacesPause']
  const [small, large] = await Promise.all([sizeOf(functions, two), sizeOf(functions, [...two, ...more])])
  expect((large - small) / more.length).toBeLessThanOrEqual(40)
})

it('what is not used is not there', async () => {
  const [one, all] = await Promise.all([
    sizeOf(functions, ['createClient', 'healthLive']),
    sizeOf(functions, ['createFullClient', 'actionsList', 'execute']),
  ])
  expect(one).toBeLessThan(2.8 * KIB)
  expect(all).toBeGreaterThan(one + 1.5 * KIB)
})
