import { execFile } from 'node:child_process'
import { cp, mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { stage } from '../../../sdk/release/stage.ts'

const root = fileURLToPath(new URL('../../../', import.meta.url))

/** The two compilers a user may have, by their version. */
export const compilers = {
  '5.9': join(root, 'openapi/node_modules/typescript/bin/tsc'),
  '7': join(root, 'node_modules/typescript/bin/tsc'),
}

export type Compiler = keyof typeof compilers

export type Compiled = {
  /** What the compiler says, a line for each problem. */
  problems: string[]
  instantiations: number
}

/** Somebody's project with our packages as npm would install them, and the files of `consumer/`. */
export const createProject = async () => {
  const folder = await mkdtemp(join(tmpdir(), 'narrowapi-types-'))
  const sdk = join(folder, 'node_modules/@narrowapi/sdk')
  await stage('sdk', sdk)
  // Published as it stands.
  await symlink(join(root, 'openapi'), join(folder, 'node_modules/@narrowapi/openapi'))
  for (const name of ['msw', '@types']) {
    await symlink(join(root, 'node_modules', name), join(folder, 'node_modules', name))
  }
  await cp(fileURLToPath(new URL('consumer/', import.meta.url)), folder, { recursive: true })
  await writeFile(join(folder, 'package.json'), '{ "type": "module" }')
  const { exports } = JSON.parse(await readFile(join(sdk, 'package.json'), 'utf8'))
  const entries = Object.entries<{ types?: string }>(exports).flatMap(([path, { types }]) =>
    types ? [join('@narrowapi/sdk', path)] : [],
  )
  return {
    entries,
    write: (name: string, text: string) => writeFile(join(folder, name), text),
    /** Checks these files, and every declaration they lead to. */
    async compile(version: Compiler, files: string[], options: object = {}): Promise<Compiled> {
      const config = join(folder, `${files.join('-')}-${version}.json`)
      await writeFile(config, JSON.stringify({ compilerOptions: { ...strictest, ...options }, files }))
      const args = [compilers[version], '-p', config, '--extendedDiagnostics', '--pretty', 'false']
      const { stdout } = await promisify(execFile)(process.execPath, args, { cwd: folder }).catch(asRefusal)
      return {
        problems: stdout.split('\n').filter((line) => /: error TS|^error /.test(line)),
        instantiations: Number(/^Instantiations: +(\d+)/m.exec(stdout)?.[1]),
      }
    },
    remove: () => rm(folder, { recursive: true, force: true }),
  }
}

const strictest = {
  target: 'es2022',
  lib: ['es2022', 'dom', 'dom.iterable'],
  module: 'nodenext',
  types: [],
  strict: true,
  exactOptionalPropertyTypes: true,
  noUncheckedIndexedAccess: true,
  noPropertyAccessFromIndexSignature: true,
  skipLibCheck: false,
  noEmit: true,
}

/** A compiler that finds problems ends with a code other than 0, and has written them to its output. */
const asRefusal = (error: unknown): { stdout: string } => {
  if (error instanceof Error && 'stdout' in error && typeof error.stdout === 'string' && error.stdout) {
    return { stdout: error.stdout }
  }
  throw error
}
