import { mkdir, mkdtemp, readdir, readFile, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { expect, test } from 'vitest'
import { prune } from '../../sdk/release/prune.ts'

/** What is left of declarations whose only entry is `index.d.ts`. */
const pruned = async (files: Record<string, string>): Promise<Record<string, string>> => {
  const folder = await mkdtemp(join(tmpdir(), 'narrowapi-prune-'))
  for (const [path, text] of Object.entries(files)) {
    await mkdir(dirname(join(folder, path)), { recursive: true })
    await writeFile(join(folder, path), text)
  }
  await prune(folder, ['index.d.ts'])
  const left = (await readdir(folder, { recursive: true })).filter((path) => path.endsWith('.d.ts'))
  return Object.fromEntries(
    await Promise.all(left.map(async (path) => [path, await readFile(join(folder, path), 'utf8')] as const)),
  )
}

test('keeps what an entry leads to, with its comments, and nothing else', async () => {
  const index = `/** The whole file. */
import type { Shape } from './inner/shape.js';
/** Makes one. */
export declare const make: () => Shape;
`
  const left = await pruned({
    'index.d.ts': index,
    'inner/shape.d.ts': `import type { Size } from '../size.js';
import type { State } from './state.js';
/** A shape. */
export interface Shape {
	/** Its size. */
	size: Size;
}
/** The inside. */
export declare const toShape: (state: State) => Shape;
`,
    'size.d.ts':
      'declare const brand: unique symbol;\nexport type Size = number & { [brand]?: 1 };\nexport {};\n',
    'inner/state.d.ts': 'export declare class State {\n}\n',
  })
  expect(left).toEqual({
    'index.d.ts': index,
    'inner/shape.d.ts': `import type { Size } from '../size.js';
/** A shape. */
export interface Shape {
	/** Its size. */
	size: Size;
}
`,
    'size.d.ts':
      'declare const brand: unique symbol;\nexport type Size = number & { [brand]?: 1 };\nexport {};\n',
  })
})

test('keeps the modules on the way to what is exported again', async () => {
  const files = {
    'index.d.ts': "export { type One } from './middle.js';\nexport type * from './all.js';\n",
    'middle.d.ts': "import type { One } from './one.js';\nexport type { One };\n",
    'one.d.ts': 'export interface One {\n}\n',
    'all.d.ts': "export type * from './many.js';\n",
    'many.d.ts': 'export interface Many {\n}\n',
  }
  expect(await pruned(files)).toEqual(files)
})
