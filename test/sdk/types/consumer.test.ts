import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type Compiler, compilers, createProject } from './project.ts'

let project: Awaited<ReturnType<typeof createProject>>

beforeAll(async () => {
  project = await createProject()
  await project.write(
    'entries.ts',
    project.entries.map((entry, index) => `export * as entry${index} from '${entry}'\n`).join(''),
  )
})

afterAll(() => project.remove())

const resolutions = {
  nodenext: { module: 'nodenext', moduleResolution: 'nodenext' },
  bundler: { module: 'preserve', moduleResolution: 'bundler' },
}

/** Of what needs no second look at every declaration of the libraries, which takes longer than all the rest. */
const brief = { skipLibCheck: true }

describe.each(Object.keys(compilers) as Compiler[])('TypeScript %s', (version) => {
  test.each(Object.entries(resolutions))(
    'compiles every entry and call as %s resolves them',
    async (_, options) => {
      const files = ['entries.ts', 'five-calls.ts', 'promises.ts', 'functions.ts', 'document.ts']
      expect((await project.compile(version, files, options)).problems).toEqual([])
    },
  )

  test('compiles where Node has the types of fetch, and there is no DOM', async () => {
    const options = { lib: ['es2022'], types: ['node'] }
    expect((await project.compile(version, ['five-calls.ts', 'promises.ts'], options)).problems).toEqual([])
  })

  test('refuses what the types do not promise', async () => {
    await project.write(
      'wrong.ts',
      `import { NarrowAPI } from '@narrowapi/sdk'
       export const action = await new NarrowAPI('sk_…').actions.get('act_…', { fields: ['name'] })
       export const slug: string = action.slug`,
    )
    const { problems } = await project.compile(version, ['wrong.ts'], brief)
    expect(problems).toEqual([
      expect.stringMatching(/^wrong\.ts\(3,.*TS2339: Property 'slug' does not exist/),
    ])
  })

  test('infers next to nothing for five calls: a plain fetch and some hundreds of instantiations', async () => {
    const raw = await project.compile(version, ['raw-fetch.ts'], brief)
    const ours = await project.compile(version, ['five-calls.ts'], brief)
    expect(raw.problems).toEqual([])
    expect(ours.instantiations - raw.instantiations).toBeGreaterThan(0)
    expect(ours.instantiations - raw.instantiations).toBeLessThan(1000)
  })
})
