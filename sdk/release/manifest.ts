/** What the build reads of a package.json. */
export type Manifest = {
  name: string
  version: string
  exports?: Record<string, string>
  bin?: Record<string, string>
  files?: string[]
  scripts?: Record<string, string>
  devDependencies?: Record<string, string>
  publishConfig?: { directory?: string; [option: string]: unknown }
  [field: string]: unknown
}

/**
 * The package.json that is published. In the workspace an entry is its TypeScript source, which Node runs as it
 * is, though not below node_modules; published, it is the JavaScript and the declarations built from it.
 */
export const publishedManifest = (manifest: Manifest) => {
  const { scripts, devDependencies, files, publishConfig, exports, bin, ...kept } = manifest
  const { directory, ...publishing } = publishConfig ?? {}
  return {
    ...kept,
    ...(exports && { exports: { ...mapped(exports, builtEntry), './package.json': './package.json' } }),
    ...(bin && { bin: mapped(bin, builtPath) }),
    publishConfig: publishing,
  }
}

const mapped = <Value>(record: Record<string, string>, change: (path: string) => Value) =>
  Object.fromEntries(Object.entries(record).map(([name, path]) => [name, change(path)]))

const builtEntry = (path: string) => ({
  types: builtPath(path).replace(/js$/, 'd.ts'),
  default: builtPath(path),
})

/** `./src/webhooks/index.ts` is published as `./webhooks/index.js`. */
const builtPath = (path: string): string => path.replace('./src/', './').replace(/ts$/, 'js')
