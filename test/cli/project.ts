import { execFile } from 'node:child_process'
import { mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

const root = fileURLToPath(new URL('../../', import.meta.url))

/** The compilers that a user may have. */
export const compilers = {
  '5.9': join(root, 'openapi/node_modules/typescript/bin/tsc'),
  '7': join(root, 'node_modules/typescript/bin/tsc'),
} as const

export type Project = {
  folder: string
  write(name: string, text: string): Promise<void>
  /** What the compiler says of the project's own files; an empty text when it is content. */
  compile(version: keyof typeof compilers): Promise<string>
  remove(): Promise<void>
}

export type Ran = { exitCode: number; stdout: string; stderr: string }

/** Where Node keeps what it compiled, so that the same program need not be compiled a hundred times. */
const compiledCode = join(root, 'node_modules/.cache/narrowapi/tests')

/** Runs a Node program in a folder to its end, with no environment but the given one and that of its cache. */
export const runNode = (
  args: readonly string[],
  { cwd, environment = {} }: { cwd: string; environment?: Record<string, string> },
): Promise<Ran> =>
  new Promise((resolve) => {
    const env = { NODE_COMPILE_CACHE: compiledCode, ...environment }
    const options = { cwd, env, timeout: 60_000, maxBuffer: 64 * 1024 * 1024 }
    const child = execFile(process.execPath, args, options, (_, stdout, stderr) =>
      resolve({ exitCode: child.exitCode ?? -1, stdout, stderr }),
    )
  })

/** A user's project with the strictest settings, in a folder of its own. */
export const createProject = async (): Promise<Project> => {
  const folder = await mkdtemp(join(tmpdir(), 'narrowapi-cli-'))
  await mkdir(join(folder, 'node_modules/@narrowapi'), { recursive: true })
  await symlink(join(root, 'sdk'), join(folder, 'node_modules/@narrowapi/sdk'))
  const write = (name: string, text: string) => writeFile(join(folder, name), text)
  await write('package.json', '{ "type": "module" }')
  await write('tsconfig.json', JSON.stringify({ compilerOptions, include: ['*.ts'] }))
  return {
    folder,
    write,
    async compile(version) {
      const { exitCode, stdout, stderr } = await runNode(
        [compilers[version], '-p', '.', '--pretty', 'false'],
        {
          cwd: folder,
        },
      )
      if (exitCode !== 0 && stdout === '') throw new Error(`The compiler did not run: ${stderr}`)
      // The sources of the package, which stand elsewhere, are checked with this repository.
      return stdout
        .split('\n')
        .filter((line) => !/^(\.\.|\/| )/.test(line))
        .join('\n')
    },
    remove: () => rm(folder, { recursive: true, force: true }),
  }
}

const compilerOptions = {
  target: 'es2024',
  lib: ['es2024', 'esnext.disposable', 'dom', 'dom.iterable'],
  module: 'nodenext',
  types: ['node'],
  typeRoots: [join(root, 'node_modules/@types')],
  noEmit: true,
  // The package is read from its sources here, which name each other with these endings.
  allowImportingTsExtensions: true,
  erasableSyntaxOnly: true,
  verbatimModuleSyntax: true,
  isolatedModules: true,
  strict: true,
  exactOptionalPropertyTypes: true,
  noUncheckedIndexedAccess: true,
  noUnusedLocals: true,
  // A client is no declaration file, so all of it is checked. Those of the package are checked with its own tests.
  skipLibCheck: true,
}
