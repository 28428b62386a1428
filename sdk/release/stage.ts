import { execFile } from 'node:child_process'
import { cp, mkdir, readFile, rm, writeFile } from 'node:fs/promises'
import { dirname, join, normalize } from 'node:path'
import { promisify } from 'node:util'
import { type OutputChunk, rolldown } from 'rolldown'
import { minify } from 'rolldown/utils'
import { publishedManifest } from './manifest.ts'
import { prune } from './prune.ts'
import { type Published, readManifest, root } from './workspaces.ts'

/** Writes a package, complete as npm is to publish it, into a folder. */
export const stage = async (workspace: Published, folder: string): Promise<void> => {
  const home = join(root, workspace)
  const manifest = await readManifest(workspace)
  await rm(folder, { recursive: true, force: true })
  await mkdir(folder, { recursive: true })
  await writeFile(
    join(folder, 'package.json'),
    `${JSON.stringify(publishedManifest(manifest), undefined, 2)}\n`,
  )
  await cp(join(root, 'LICENSE'), join(folder, 'LICENSE'))
  for (const asset of ['README.md', ...(manifest.files ?? [])])
    await cp(join(home, asset), join(folder, asset), { recursive: true })
  const { exports = {}, bin = {} } = manifest
  await bundle(join(home, 'src'), namesOf([...Object.values(exports), ...Object.values(bin)]), folder)
  if (manifest.exports) await declare(join(home, 'src'), namesOf(Object.values(exports)), folder)
}

/** `./src/webhooks/index.ts` is `webhooks/index`. */
const namesOf = (paths: string[]): string[] => paths.map((path) => path.replace(/^\.\/src\/|\.ts$/g, ''))

/**
 * One readable file for each entry, and one for what they share: they are imported in a third of the time that the
 * many small modules of the sources take. What comes from other packages stays an import.
 */
const bundle = async (sources: string, names: string[], folder: string): Promise<void> => {
  const bundled = await rolldown({
    input: Object.fromEntries(names.map((name) => [name, join(sources, `${name}.ts`)])),
    external: /^@?[a-z]/,
    platform: 'neutral',
    // The names of our sources say nothing to whoever has only this file.
    experimental: { attachDebugInfo: 'none' },
  })
  const { output } = await bundled.generate({
    format: 'esm',
    entryFileNames: '[name].js',
    chunkFileNames: 'shared/[name].js',
    codeSplitting: {
      groups: [
        // The class is apart too: it adds its nouns to itself, which no bundler dares to leave out of a file.
        {
          name: 'core',
          test: (id) => !apart.test(id),
          minShareCount: 2,
          priority: 1,
        },
        { name: 'mock', test: mock, minShareCount: 2 },
      ],
    },
    comments: false,
  })
  await bundled.close()
  for (const file of output) {
    if (file.type !== 'chunk') throw new Error(`Nobody expects the asset ${file.fileName}`)
    const target = join(folder, file.fileName)
    await mkdir(dirname(target), { recursive: true })
    await writeFile(
      target,
      isMock(file) ? (await minify(target, file.code, { module: true })).code : file.code,
    )
  }
}

/** The mock is half of the code and no part of anybody's product, so it gives up its looks for a small install. */
const isMock = ({ moduleIds }: OutputChunk): boolean => moduleIds.every((id) => mock.test(id))

const mock = /\/src\/testing\//
const apart = /\/src\/(testing\/|webhooks\/|client[.]ts$)/

/** Declarations with the comments that editors show, of the entries and of what they lead to. */
const declare = async (sources: string, names: string[], folder: string): Promise<void> => {
  const all = join(folder, '.declarations')
  const project = join(all, 'tsconfig.json')
  const compilerOptions = {
    noEmit: false,
    declaration: true,
    emitDeclarationOnly: true,
    rootDir: sources,
    outDir: all,
    typeRoots: [join(root, 'node_modules/@types')],
  }
  const files = names.map((name) => join(sources, `${name}.ts`))
  await mkdir(all)
  await writeFile(
    project,
    JSON.stringify({ extends: join(root, 'tsconfig.json'), compilerOptions, files, include: [] }),
  )
  const compiler = join(root, 'node_modules/typescript/bin/tsc')
  await promisify(execFile)(process.execPath, [compiler, '-p', project]).catch(({ stdout }) => {
    throw new Error(`${sources} does not compile:\n${stdout}`)
  })
  const wanted = new Set(names.map((name) => `${name}.d.ts`))
  for (const name of wanted) {
    const text = await readFile(join(all, name), 'utf8')
    const target = join(folder, name)
    await mkdir(dirname(target), { recursive: true })
    // The compiler keeps the `.ts` of an import in declarations, where older ones cannot follow it.
    const followable = text.replaceAll(/(\b(?:from |import\()['"])(\.[^'"]+)\.ts\b/g, (_, before, path) => {
      wanted.add(normalize(join(dirname(name), `${path}.d.ts`)))
      return `${before}${path}.js`
    })
    await writeFile(target, withTabs(followable))
  }
  await rm(all, { recursive: true })
  await prune(
    folder,
    names.map((name) => `${name}.d.ts`),
  )
}

/** The compiler's four spaces would be a twentieth of the package. */
const withTabs = (text: string): string =>
  text.replaceAll(/^(?: {4})+/gm, (spaces) => '\t'.repeat(spaces.length / 4))
