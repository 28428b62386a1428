import { join } from 'node:path'
import { constants, gzipSync } from 'node:zlib'
import { build, type Plugin } from 'rolldown'

/**
 * The bytes that `code` costs a browser: bundled with everything it imports, minified and compressed. Imports
 * are resolved as if the code stood in a file of `folder`; `replaced` are files, by their paths, of which
 * another text is taken.
 */
export const gzipSize = async (
  code: string,
  folder: string,
  replaced: Readonly<Record<string, string>> = {},
): Promise<number> =>
  gzipSync(await bundle(code, folder, replaced), { level: constants.Z_BEST_COMPRESSION }).byteLength

const bundle = async (
  code: string,
  folder: string,
  replaced: Readonly<Record<string, string>>,
): Promise<string> => {
  const entry = join(folder, 'bundle-entry.ts')
  const { output } = await build({
    input: entry,
    cwd: folder,
    platform: 'browser',
    plugins: [texts({ ...replaced, [entry]: code })],
    // Some peers import parts of Node, which they use nowhere else.
    external: /^node:/,
    logLevel: 'silent',
    write: false,
    output: { format: 'es', minify: true, codeSplitting: false },
  })
  return output[0].code
}

const texts = (files: Readonly<Record<string, string>>): Plugin => ({
  name: 'texts',
  resolveId: (id) => (id in files ? id : null),
  load: (id) => files[id] ?? null,
})
